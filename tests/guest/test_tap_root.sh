# shellcheck shell=bash
# root
# shellcheck disable=SC2016 # scripts for the shell in the guest
# Networks of the user's own: a tap in a bridge, whose other port leads to a machine made of a network
# namespace. 172.31.8.1 is the bridge, where the DHCP server is, 172.31.8.2 the machine.

# A server that gives everybody 172.31.8.77, for ten minutes.
write_dhcp_server()
{
	cat >dhcp.py <<'END'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
s.bind(("", 67))
ip = lambda a: bytes(map(int, a.split(".")))
print("up", flush=True)
while True:
    q = s.recv(2048)
    kind = q[q.index(b"\x63\x82\x53\x63") + 6]
    print(kind, flush=True)
    r = b"\2" + q[1:16] + ip("172.31.8.77") + ip("172.31.8.1") + q[24:236] + b"\x63\x82\x53\x63"
    r += bytes([53, 1, 2 if kind == 1 else 5, 54, 4]) + ip("172.31.8.1")
    r += bytes([1, 4]) + ip("255.255.255.0") + bytes([3, 4]) + ip("172.31.8.1") + bytes([6, 4]) + ip("172.31.8.1")
    r += bytes([15, 8]) + b"tap.test" + bytes([51, 4, 0, 0, 2, 88, 255])
    s.sendto(r, ("255.255.255.255", 68))
END
}

# make_bridge NAME: a bridge of that name with a machine behind it; says "machine" at port 80, takes
# what is sent to port 81 and says its sum, and gives 4 MB at port 82, whose sum is in the file sum.
make_bridge()
{
	command -v ip >/dev/null || skip "ip is not installed (iproute2)"
	command -v python3 >/dev/null || skip "python3 is not installed"
	modprobe -a veth bridge tun || skip "this kernel has no veth, bridge or tun"
	pids=()
	ip netns add machine || fail "no network namespaces"
	trap 'kill "${pids[@]}"; ip netns del machine; ip link del '"$1"'; ip link del sc9 2>/dev/null' EXIT
	ip link add "$1" type bridge
	ip address add 172.31.8.1/24 dev "$1"
	ip link set "$1" up
	ip link add sc2 type veth peer name sc3 netns machine
	ip link set sc2 master "$1" up
	ip -n machine address add 172.31.8.2/24 dev sc3
	ip -n machine link set sc3 up
	write_dhcp_server
	python3 dhcp.py "$1" >asked &
	pids+=($!)
	cat >machine.py <<'END'
import hashlib, os, socket, threading
blob = os.urandom(4 << 20)
open("sum", "w").write(hashlib.md5(blob).hexdigest())
def serve(port, answer):
    s = socket.create_server(("", port))
    while True:
        c = s.accept()[0]
        answer(c)
        c.close()
def take(c):
    h = hashlib.md5()
    while data := c.recv(65536):
        h.update(data)
    c.sendall(h.hexdigest().encode() + b"\n")
for port, answer in (81, take), (82, lambda c: c.sendall(blob)):
    threading.Thread(target=serve, args=(port, answer)).start()
serve(80, lambda c: c.sendall(b"machine\n"))
END
	ip netns exec machine python3 machine.py &
	pids+=($!)
	expect_within 120 both_are_up
}

both_are_up()
{
	[ -s asked ] && (exec 3<>/dev/tcp/172.31.8.2/80) 2>/dev/null
}

# What a guest in that bridge finds there: its address, its resolver, the machine, whole megabytes.
look='
	ip -4 -o address show dev eth0 | sed "s/.*inet \([0-9./]*\).*/\1/"
	ip route show default | sed "s/ dev.*//"
	cat /etc/resolv.conf
	exec 3<>/dev/tcp/172.31.8.2/80; head -n 1 <&3
	head -c 4000000 /dev/urandom >up; md5sum <up | cut -c 1-32 >sum
	exec 4<>/dev/tcp/172.31.8.2/81
	python3 -c "import socket; s = socket.socket(fileno=4); s.sendall(open(\"up\", \"rb\").read()); s.shutdown(1); print(s.recv(64).decode().strip() == open(\"sum\").read().strip())"
	exec 5<>/dev/tcp/172.31.8.2/82; md5sum <&5 | cut -c 1-32
	'

expect_whole_network()
{
	expect_out "172.31.8.77/24
default via 172.31.8.1
nameserver 172.31.8.1
search tap.test
machine
True
$(<sum)"
}

is_down()
{
	[ "$(sandcastle stats --json "$box" | perl -0ne 'print $1 if /"network".*?"up": *(\w+)/s')" = false ]
}

test_a_tap()
{
	make_bridge br9
	ip tuntap add dev sc9 mode tap
	ip link set sc9 master br9 up
	box=$(sandcastle start --network tap=sc9) || fail "start"
	run_sandcastle exec -w /tmp "$box" -- bash -c "$look"
	expect_whole_network
	expect_same "up
1
3" "$(<asked)"
	run_sandcastle ip "$box"
	expect_out 172.31.8.77
	run_sandcastle run --network tap=sc9 true
	expect_one_line_error "the tap 'sc9' is in use"
	# The cable is pulled, and the guest lives on without.
	ip link del sc9
	expect_within 60 is_down
	run_sandcastle exec "$box" -- bash -c '
		until [ "$(cat /sys/class/net/eth0/carrier)" = 0 ]; do sleep 0.2; done; echo down'
	expect_out down
	run_sandcastle stop "$box"
	expect_code 0
}

# The command starts all the same.
test_a_tap_without_a_server()
{
	command -v ip >/dev/null || skip "ip is not installed (iproute2)"
	modprobe -a tun || skip "this kernel has no tun"
	ip tuntap add dev sc9 mode tap
	trap 'ip link del sc9' EXIT
	ip link set sc9 up
	run_sandcastle run --network tap=sc9 -- bash -c 'ip -4 -o address show dev eth0; cat /etc/resolv.conf; cat /sys/class/net/eth0/carrier'
	expect_out 1
}

test_taps_that_are_none()
{
	run_sandcastle run --network tap=sc8 true
	expect_one_line_error "this host has no tap 'sc8'"
	run_sandcastle run --network tap=lo true
	expect_one_line_error "'lo' is no tap|cannot open"
	run_sandcastle run --network tap= true
	expect_one_line_error 'tap=NAME'
	run_sandcastle run --network tap=../x true
	expect_one_line_error 'tap=NAME'
	run_sandcastle run --network libvirt:no-such-network true
	expect_one_line_error "cannot find libvirt's network 'no-such-network'"
}

# By libvirt's test driver, which needs no server and has a network "default" with the bridge virbr0.
test_a_network_of_libvirts()
{
	ldconfig -p | grep -q 'libvirt\.so\.0' || skip "libvirt is not installed (libvirt0)"
	[ -x /usr/lib/qemu/qemu-bridge-helper ] || skip "there is no qemu-bridge-helper"
	export LIBVIRT_DEFAULT_URI=test:///default
	make_bridge virbr0
	rm -f /etc/qemu/bridge.conf
	run_sandcastle run --network libvirt:default true
	expect_code 125
	expect_err_match 'may not plug a sandbox into virbr0'
	mkdir -p /etc/qemu
	echo 'allow virbr0' >/etc/qemu/bridge.conf
	run_sandcastle run --network libvirt:default -w /tmp -- bash -c "$look"
	expect_whole_network
}
