# shellcheck shell=bash
# root
# shellcheck disable=SC2016 # scripts for the shell in the guest
# A sandbox's network, with an internet and a LAN made of a network namespace: 9.9.9.9 is in the one,
# 172.31.9.2 in the other, and both are the same machine, which also is the resolver.

# serve NAME ADDRESS PORT COMMAND...: by COMMAND, something that says NAME to whoever connects.
serve()
{
	local name=$1 address=$2 port=$3

	shift 3
	"$@" perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Listen => 64, LocalAddr => $ARGV[1], LocalPort => $ARGV[2],
			ReuseAddr => 1) or die;
		while (my $c = $s->accept) { print $c "$ARGV[0]\n"; close $c }' "$name" "$address" "$port" &
	pids+=($!)
}

# Every name is 9.9.9.9, but lan.test, which is 172.31.9.2.
resolve()
{
	ip netns exec outside perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Proto => "udp", LocalAddr => "172.31.9.2", LocalPort => 53) or die;
		while ($s->recv(my $q, 512)) {
			my $lan = $q =~ /\x03lan/;
			my $a = substr($q, -4, 2) eq "\0\1";
			my $question = substr($q, 12);
			$question =~ s/^(.*?\0.{4}).*$/$1/s;
			$s->send(substr($q, 0, 2) . "\x81\x80\0\1" . ($a ? "\0\1" : "\0\0") . "\0\0\0\0" . $question .
				($a ? "\xc0\x0c\0\1\0\1\0\0\0\1\0\4" . ($lan ? "\xac\x1f\x09\x02" : "\x09\x09\x09\x09") : ""));
		}' &
	pids+=($!)
}

make_outside()
{
	command -v ip >/dev/null || skip "ip is not installed (iproute2)"
	modprobe -a veth || skip "this kernel has no veth"
	pids=()
	ip netns add outside || fail "no network namespaces"
	trap 'kill "${pids[@]}"; ip netns del outside; umount -l /etc/resolv.conf' EXIT
	ip link add sc0 type veth peer name sc1 netns outside
	ip address add 172.31.9.1/24 dev sc0
	ip link set sc0 up
	ip -n outside address add 172.31.9.2/24 dev sc1
	ip -n outside address add 9.9.9.9/32 dev sc1
	ip -n outside link set sc1 up
	ip -n outside link set lo up
	ip route add 9.9.9.9 via 172.31.9.2
	printf 'nameserver 172.31.9.2\nsearch sandbox.test\n' >resolv.conf
	mount --bind resolv.conf "$(realpath /etc/resolv.conf)" || fail "no resolv.conf"
	serve outside 0.0.0.0 80 ip netns exec outside
	serve host 0.0.0.0 81 env
	serve loopback 127.0.0.1 82 env
	resolve
	expect_within 120 answers 9.9.9.9 80
	expect_within 120 answers 127.0.0.1 81
	expect_within 120 answers 127.0.0.1 82
}

answers()
{
	(exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

# What the script in the guest asks for: a line "WHOM PORT: who answered" each, all at once.
ask='
	ask() {
		said=$(timeout 40 bash -c "exec 3<>/dev/tcp/$1/$2 && head -n 1 <&3" 2>/dev/null) || said=nobody
		echo "$1 $2: $said"
	}
	'

# What must never be reached, whatever the mode.
never='
	for a in 127.0.0.1 127.0.0.53 0.0.0.0 $gateway; do
		for p in 81 82; do ask $a $p & done
	done
	'

test_internet()
{
	make_outside
	run_sandcastle run --network internet -- bash -c "$ask"'
		gateway=$(sed -n "s/^nameserver \(.*\)\.3$/\1.2/p" /etc/resolv.conf)
		ask 9.9.9.9 80 & ask 172.31.9.2 80 & ask 172.31.9.1 81 & ask 192.168.7.7 80 &
		'"$never"'
		ask name.test 80 & ask lan.test 80 &
		getent hosts name.test | sed "s/  */ /g"
		grep search /etc/resolv.conf
		wait'
	expect_code 0
	expect_match '^9\.9\.9\.9 80: outside$'
	expect_match '^name\.test 80: outside$'
	expect_match '^9\.9\.9\.9 name\.test$'
	expect_match '^search sandbox\.test$'
	# DNS may say what it likes: an address of the LAN is none of the internet.
	expect_match '^lan\.test 80: nobody$'
	expect_match '^172\.31\.9\.2 80: nobody$'
	expect_match '^172\.31\.9\.1 81: nobody$'
	expect_match '^192\.168\.7\.7 80: nobody$'
	expect_no_match ': (host|loopback)$'
}

test_user()
{
	make_outside
	run_sandcastle run --network user -- bash -c "$ask"'
		gateway=$(sed -n "s/^nameserver \(.*\)\.3$/\1.2/p" /etc/resolv.conf)
		ask 9.9.9.9 80 & ask 172.31.9.2 80 & ask lan.test 80 &
		'"$never"'
		wait'
	expect_code 0
	expect_match '^9\.9\.9\.9 80: outside$'
	expect_match '^172\.31\.9\.2 80: outside$'
	expect_match '^lan\.test 80: outside$'
	expect_no_match ': (host|loopback)$'
}

test_an_address_that_comes_is_not_reached_any_more()
{
	make_outside
	box=$(sandcastle start --network internet) || fail "start"
	run_sandcastle exec "$box" -- bash -c "$ask"'ask 9.9.9.9 80'
	expect_out '9.9.9.9 80: outside'
	ip address add 9.9.9.1/24 dev sc0
	run_sandcastle exec "$box" -- bash -c "$ask"'ask 9.9.9.9 80'
	expect_out '9.9.9.9 80: nobody'
	ip address del 9.9.9.1/24 dev sc0
	ip route replace 9.9.9.9 via 172.31.9.2
	run_sandcastle exec "$box" -- bash -c "$ask"'ask 9.9.9.9 80'
	expect_out '9.9.9.9 80: outside'
	run_sandcastle stop "$box"
	expect_code 0
}

# The children of process $1 that are network processes.
network_processes()
{
	local pid

	for pid in $(pgrep -P "$1"); do
		tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q network-process && echo "$pid"
	done
}

# figure NAME: that one of the network's in the stats of the sandbox.
figure()
{
	sandcastle stats --json "$box" | perl -0ne 'print $1 if /"network".*?"'"$1"'": *(\w+)/s'
}

figure_is()
{
	[ "$(figure "$1")" = "$2" ]
}

test_the_process_is_sealed_and_another_one_follows()
{
	local vmm pid downs

	make_outside
	box=$(sandcastle start --network internet) || fail "start"
	vmm=$(sandcastle list --json | perl -0ne 'print $1 if /"pid": *(\d+)/')
	pid=$(network_processes "$vmm")
	[ -n "$pid" ] || fail "no network process below $vmm"
	expect_same 2 "$(sed -n 's/^Seccomp:\t//p' "/proc/$pid/status")"
	expect_same 1 "$(sed -n 's/^NoNewPrivs:\t//p' "/proc/$pid/status")"
	run_sandcastle exec "$box" -- cat /sys/class/net/eth0/carrier_down_count
	downs=$out
	kill -9 "$pid"
	expect_within 60 figure_is restarts 1
	figure_is up true || fail "the link is down"
	run_sandcastle exec "$box" -- bash -c "$ask"'
		until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.2; done
		cat /sys/class/net/eth0/carrier_down_count
		ask 9.9.9.9 80'
	expect_out "$((downs + 1))
9.9.9.9 80: outside"
	[ "$(network_processes "$vmm")" != "$pid" ] || fail "it is not another one"
	run_sandcastle stop "$box"
	expect_code 0
}

test_it_ends_with_the_sandbox()
{
	local vmm pid

	make_outside
	box=$(sandcastle start --network user) || fail "start"
	vmm=$(sandcastle list --json | perl -0ne 'print $1 if /"pid": *(\d+)/')
	pid=$(network_processes "$vmm")
	[ -n "$pid" ] || fail "no network process below $vmm"
	kill -9 "$vmm"
	expect_within 20 is_gone "$pid"
	sandcastle list >/dev/null
}

is_gone()
{
	! kill -0 "$1" 2>/dev/null
}

test_none_has_nothing()
{
	make_outside
	run_sandcastle run -- bash -c "$ask"'
		ls /sys/class/net
		grep -c virtio_net /proc/modules
		cat /sys/bus/pci/devices/*/device | grep -cx 0x1041
		getent hosts name.test
		ask 9.9.9.9 80'
	expect_out "lo
0
0
9.9.9.9 80: nobody"
}
