#!/usr/bin/env bash
# network.sh MB: what a MiB through the network process costs this machine's processors, beside QEMU's user
# network. Called by ./dev bench network, as root: it works in network namespaces of its own. The guest is
# one of them, behind a tap, so that no virtualization is needed.
#
# Prints lines: who, what, number, separated by tabs; of each number the least of five.
set -u

if [ "${BENCH_ALONE-}" != "$$" ]; then
	exec env "BENCH_ALONE=$$" unshare -n "$0" "$@"
fi
mb=$1
here=$(cd "$(dirname "$0")" && pwd -P)
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; rm -r "$dir"' EXIT
cd "$dir" || exit

# namespace: the number of a process that has one of its own.
namespace()
{
	unshare -n sleep 1000 &
	pids+=($!)
	until [ "$(readlink "/proc/$!/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do
		sleep 0.05
	done
}

# inside PID COMMAND...: COMMAND in that one's namespace.
inside()
{
	nsenter -t "$1" -n "${@:2}"
}

namespace
outside=${pids[-1]}
ip link set lo up
ip link add sc0 type veth peer name sc1 netns "$outside"
ip address add 172.31.9.1/24 dev sc0
ip link set sc0 up
inside "$outside" ip address add 172.31.9.2/24 dev sc1
inside "$outside" ip address add 9.9.9.9/32 dev lo
inside "$outside" ip link set sc1 up
inside "$outside" ip link set lo up
ip route add 9.9.9.9 via 172.31.9.2

cat >server.py <<'END'
import socket, sys, threading
size = int(sys.argv[1]) << 20
def spent():
    # Milliseconds of processor that each process of the file "pids" has had.
    return [int(open("/proc/%s/schedstat" % p).read().split()[0]) / 1e6 for p in open("pids").read().split()]
def take(c):
    n = 0
    while data := c.recv(1 << 18):
        n += len(data)
    return n
def give(c):
    zeros = bytes(1 << 18)
    for i in range(size // len(zeros)):
        c.sendall(zeros)
    c.shutdown(socket.SHUT_WR)
    take(c)
    return size
def serve(port, what, work):
    s = socket.create_server(("9.9.9.9", port))
    while True:
        c = s.accept()[0]
        before = spent()
        n = work(c)
        now = spent()
        print("%s\t%.3f\t%.3f" % (what, (now[0] - before[0]) * (1 << 20) / n,
            (sum(now) - sum(before)) * (1 << 20) / n), flush=True)
        c.sendall(b"x") if port == 81 else None
        c.close()
threading.Thread(target=serve, args=(82, "down", give)).start()
serve(81, "up", take)
END
cat >client.py <<'END'
import socket, sys
size = int(sys.argv[1]) << 20
for i in range(5):
    with socket.create_connection(("9.9.9.9", 81)) as c:
        zeros = bytes(1 << 16)
        for i in range(size // len(zeros)):
            c.sendall(zeros)
        c.shutdown(socket.SHUT_WR)
        c.recv(1)
    with socket.create_connection(("9.9.9.9", 82)) as c:
        while c.recv(1 << 18):
            pass
END
: >pids
: >said
inside "$outside" python3 server.py "$mb" >>said 2>errors &
pids+=($!)
until inside "$outside" grep -q ':0051 ' /proc/net/tcp; do sleep 0.1; done

# guest TAP WHO: brings it up in a namespace of its own, sends and receives, and says what that cost.
guest()
{
	local guest

	namespace
	guest=${pids[-1]}
	ip link set "$1" netns "$guest"
	inside "$guest" ip link set "$1" address 02:01:02:03:04:05 up
	inside "$guest" ip address add 10.0.2.15/24 dev "$1"
	inside "$guest" ip route add default via 10.0.2.2
	: >said
	inside "$guest" timeout 300 python3 client.py "$mb" || cat errors
	sleep 0.5
	sort -t "$(printf '\t')" -k 1,1r -k 3,3n said | awk -F '\t' -v who="$2" '!seen[$1]++ {
		print who "\tCPU ms for a MiB " $1 ", the process alone\t" $2
		print who "\tCPU ms for a MiB " $1 "\t" $3 }'
	kill "$guest"
}

"$here/../../build/tests/bench/bench_network" scb0 >pids &
pids+=($!)
until [ -s pids ]; do sleep 0.1; done
guest scb0 sandcastle

qemu-system-x86_64 -M none -nodefaults -display none -monitor none -netdev user,id=u \
	-netdev tap,id=t,ifname=scb1,script=no,downscript=no -netdev hubport,id=a,hubid=0,netdev=u \
	-netdev hubport,id=b,hubid=0,netdev=t &
pids+=($!)
echo $! >pids
until ip link show scb1 >/dev/null 2>&1; do sleep 0.1; done
guest scb1 QEMU
