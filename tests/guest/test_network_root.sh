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

# resolve ADDRESS NAMES COMMAND...: by COMMAND, a resolver at ADDRESS. NAMES is "lan=172.31.9.2 =9.9.9.9":
# what begins with "lan" is the one, all others are the other; those it has no word of do not exist.
resolve()
{
	local address=$1 names=$2

	shift 2
	"$@" perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Proto => "udp", LocalAddr => $ARGV[0], LocalPort => 53) or die;
		my @names = map { [split /=/, $_, 2] } split / /, $ARGV[1];
		while ($s->recv(my $q, 512)) {
			my ($known) = grep { substr($q, 13, length $_->[0]) eq $_->[0] } @names;
			my $a = $known && substr($q, -4, 2) eq "\0\1";
			my $question = substr($q, 12);
			$question =~ s/^(.*?\0.{4}).*$/$1/s;
			$s->send(substr($q, 0, 2) . ($known ? "\x81\x80" : "\x81\x83") . "\0\1" . ($a ? "\0\1" : "\0\0") .
				"\0\0\0\0" . $question .
				($a ? "\xc0\x0c\0\1\0\1\0\0\0\1\0\4" . pack("C4", split /\./, $known->[1]) : ""));
		}' "$address" "$names" &
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
	resolve 172.31.9.2 'lan=172.31.9.2 =9.9.9.9' ip netns exec outside
	expect_within 120 answers 9.9.9.9 80
	expect_within 120 answers 127.0.0.1 81
	expect_within 120 answers 127.0.0.1 82
}

answers()
{
	(exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

# What the script in the guest asks for: a line "WHOM PORT: who answered" each, all at once. The network
# says what it does not reach, but of the link, from where nobody ever answers.
ask='
	ask() {
		limit=40
		[[ $1 != fe80:* ]] || limit=10
		said=$(timeout $limit bash -c "exec 3<>/dev/tcp/$1/$2 && head -n 1 <&3" 2>/dev/null) || said=nobody
		echo "$1 $2: $said"
	}
	'

# What must never be reached, whatever the mode: sockets take these as they are, or for the guest itself.
never='
	for a in 127.0.0.1 127.0.0.53 0.0.0.0 $gateway ::ffff:127.0.0.1 fe80::2%eth0 64:ff9b::7f00:1; do
		for p in 81 82; do ask $a $p & done
	done
	'

test_internet()
{
	make_outside
	run_sandcastle run --network internet -- bash -c "$ask"'
		gateway=$(sed -n "s/^nameserver \(.*\)\.3$/\1.2/p" /etc/resolv.conf)
		ask 9.9.9.9 80
		ask name.test 80
		ask 172.31.9.2 80 & ask 172.31.9.1 81 & ask 192.168.7.7 80 &
		ask 169.254.169.254 80 & ask ::ffff:172.31.9.2 80 & ask 2002:ac1f:902::1 80 &
		'"$never"'
		ask lan.test 80 &
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
	expect_match '^169\.254\.169\.254 80: nobody$'
	expect_match '^::ffff:172\.31\.9\.2 80: nobody$'
	expect_match '^2002:ac1f:902::1 80: nobody$'
	expect_no_match ': (host|loopback)$'
}

test_user()
{
	make_outside
	run_sandcastle run --network user -- bash -c "$ask"'
		gateway=$(sed -n "s/^nameserver \(.*\)\.3$/\1.2/p" /etc/resolv.conf)
		ask 9.9.9.9 80
		ask 172.31.9.2 80
		ask lan.test 80
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

# name_is NAME ADDRESS: that is what the sandbox makes of it now.
name_is()
{
	run_sandcastle exec "$box" -- bash -c "getent ahostsv4 $1 | sed -n '1s/ .*//p'"
	expect_out "$2"
}

# The host's resolver is one of its own loopback, which alone knows some names (split DNS, VPN); then the
# host has another one.
test_names_as_on_the_host()
{
	make_outside
	resolve 127.0.0.53 'corp=172.31.9.2 name=9.9.9.9' env
	printf 'nameserver 127.0.0.53\n' >resolv.conf
	box=$(sandcastle start --network user) || fail "start"
	name_is corp.test 172.31.9.2
	name_is name.test 9.9.9.9
	name_is other.test ''
	run_sandcastle exec "$box" -- bash -c "$ask"'ask corp.test 80; ask 127.0.0.53 53'
	expect_out "corp.test 80: outside
127.0.0.53 53: nobody"
	printf 'nameserver 172.31.9.2\n' >resolv.conf
	sleep 2 # it looks at the file once a second
	name_is other.test 9.9.9.9
	run_sandcastle stop "$box"
	expect_code 0
}

# A name whose address is public at first, and of the LAN or the loopback when it is asked for again.
test_a_name_that_changes_its_mind()
{
	make_outside
	resolve 127.0.0.53 'evil=9.9.9.9' env
	printf 'nameserver 127.0.0.53\n' >resolv.conf
	box=$(sandcastle start --network internet) || fail "start"
	run_sandcastle exec "$box" -- bash -c "$ask"'ask evil.test 80'
	expect_out "evil.test 80: outside"
	for address in 172.31.9.2 127.0.0.1 172.31.9.1; do
		kill "${pids[-1]}"
		wait "${pids[-1]}" 2>/dev/null
		unset 'pids[-1]'
		resolve 127.0.0.53 "evil=$address" env
		expect_within 60 name_is_now evil.test "$address"
		run_sandcastle exec "$box" -- bash -c "$ask"'ask evil.test 80 & ask evil.test 81 & ask evil.test 82 & wait'
		expect_no_match 'outside|host|loopback'
		expect_match nobody
	done
	run_sandcastle stop "$box"
	expect_code 0
}

name_is_now()
{
	(name_is "$1" "$2") 2>/dev/null
}

# No route at the start, then another network than before.
test_a_host_that_moves()
{
	make_outside
	ip link set sc0 down
	box=$(sandcastle start --network internet) || fail "start"
	run_sandcastle exec "$box" -- bash -c "$ask"'ask 9.9.9.9 80'
	expect_out '9.9.9.9 80: nobody'
	ip address flush dev sc0
	ip address add 172.31.10.1/24 dev sc0
	ip link set sc0 up
	ip -n outside address add 172.31.10.2/24 dev sc1
	ip route add 9.9.9.9 via 172.31.10.2
	ip route add 172.31.9.2 via 172.31.10.2
	run_sandcastle exec "$box" -- bash -c "$ask"'ask name.test 80; ask 172.31.10.2 80'
	expect_out "name.test 80: outside
172.31.10.2 80: nobody"
	run_sandcastle stop "$box"
	expect_code 0
}

# An internet of IPv6 beyond the LAN, whose prefixes are one of its own kind and a public one.
test_ipv6()
{
	make_outside
	[ -e /proc/sys/net/ipv6 ] || skip "this kernel has no IPv6"
	ip address add fd99::1/64 dev sc0 nodad
	ip address add 2600:5::1/64 dev sc0 nodad
	ip -n outside address add fd99::2/64 dev sc1 nodad
	ip -n outside address add 2600:5::2/64 dev sc1 nodad
	ip -n outside address add 2600:9::9/128 dev sc1 nodad
	ip route add 2600:9::/64 via fd99::2
	serve6 outside 80 ip netns exec outside
	serve6 host 81 env
	expect_within 120 answers 2600:9::9 80
	expect_within 120 answers ::1 81
	run_sandcastle run --network internet -- bash -c "$ask"'
		link=$1
		ask 2600:9::9 80
		for a in 2600:5::2 fd99::2; do ask $a 80 & done
		for a in 2600:5::1 fd99::1 ::1 $link%eth0 fe80::2%eth0; do ask $a 81 & done
		wait' - "$(link_local_address sc0)"
	expect_match '^2600:9::9 80: outside$'
	expect_match '^2600:5::2 80: nobody$'
	expect_match '^fd99::2 80: nobody$'
	expect_match '^2600:5::1 81: nobody$'
	expect_match '^fe80::.*%eth0 81: nobody$'
	expect_no_match ': host$'
	run_sandcastle run --network user -- bash -c "$ask"'
		for a in 2600:9::9 2600:5::2 fd99::2; do ask $a 80 & done
		for a in ::1 fe80::2%eth0; do ask $a 81 & done
		wait'
	expect_match '^2600:9::9 80: outside$'
	expect_match '^2600:5::2 80: outside$'
	expect_match '^fd99::2 80: outside$'
	expect_no_match ': host$'
}

# serve6 NAME PORT COMMAND...: as serve, at every address of IPv6.
serve6()
{
	local name=$1 port=$2

	shift 2
	"$@" perl -MIO::Socket::IP -e '
		my $s = IO::Socket::IP->new(Listen => 64, LocalHost => "::", LocalPort => $ARGV[1], V6Only => 1,
			ReuseAddr => 1) or die;
		while (my $c = $s->accept) { print $c "$ARGV[0]\n"; close $c }' "$name" "$port" &
	pids+=($!)
}

# The address of interface $1 that its link alone knows.
link_local_address()
{
	ip -6 -o address show dev "$1" scope link | sed -n '1s|.*inet6 \([^/]*\)/.*|\1|p'
}

# A VPN that takes all routes and brings a resolver of its own, and goes again.
test_a_vpn_that_comes_and_goes()
{
	make_outside
	# Says by which address of the host it was asked.
	ip netns exec outside perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Listen => 64, LocalPort => 83, ReuseAddr => 1) or die;
		while (my $c = $s->accept) { print $c $c->peerhost . "\n"; close $c }' &
	pids+=($!)
	expect_within 120 answers 9.9.9.9 83
	box=$(sandcastle start --network internet) || fail "start"
	run_sandcastle exec "$box" -- bash -c "$ask"'ask name.test 83'
	expect_out 'name.test 83: 172.31.9.1'
	ip link add vpn0 type veth peer name vpn1 netns outside
	ip address add 10.8.0.2/32 dev vpn0
	ip link set vpn0 up
	ip -n outside address add 10.8.0.1/32 dev vpn1
	ip -n outside link set vpn1 up
	ip -n outside route add 10.8.0.2 dev vpn1
	ip route del 9.9.9.9
	for net in 10.8.0.1 0.0.0.0/1 128.0.0.0/1; do ip route add "$net" dev vpn0 src 10.8.0.2; done
	resolve 10.8.0.1 'name=9.9.9.9 inside=9.9.9.9' ip netns exec outside
	printf 'nameserver 10.8.0.1\n' >resolv.conf
	expect_within 60 name_is_now inside.test 9.9.9.9
	# The VPN's own network is none of the internet.
	run_sandcastle exec "$box" -- bash -c "$ask"'ask inside.test 83; ask 10.8.0.1 83'
	expect_out 'inside.test 83: 10.8.0.2
10.8.0.1 83: nobody'
	ip link del vpn0
	ip route add 9.9.9.9 via 172.31.9.2
	printf 'nameserver 172.31.9.2\n' >resolv.conf
	expect_within 60 name_is_now name.test 9.9.9.9
	run_sandcastle exec "$box" -- bash -c "$ask"'ask name.test 83'
	expect_out 'name.test 83: 172.31.9.1'
	run_sandcastle stop "$box"
	expect_code 0
}

# As with a suspend: the link is gone for a while, and what was open goes on.
test_a_link_that_goes_and_comes_back()
{
	make_outside
	ip netns exec outside perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(Listen => 64, LocalPort => 84, ReuseAddr => 1) or die;
		while (my $c = $s->accept) { while (<$c>) { print $c "back: $_"; $c->flush } }' &
	pids+=($!)
	expect_within 120 answers 9.9.9.9 84
	box=$(sandcastle start --network internet --map .) || fail "start"
	sandcastle exec -w "$PWD" "$box" -- bash -c '
		exec 3<>/dev/tcp/9.9.9.9/84
		echo one >&3 && head -n 1 <&3
		until [ -e gone ]; do sleep 0.2; done
		echo two >&3 && head -n 1 <&3' >heard 2>&1 &
	pids+=($!)
	expect_within 120 says 'back: one' heard
	ip link set sc0 down
	touch gone
	sleep 5 # the guest sends meanwhile
	ip link set sc0 up
	ip route replace 9.9.9.9 via 172.31.9.2
	expect_within 240 says 'back: two' heard
	run_sandcastle stop "$box"
	expect_code 0
}

# A package mirror and a repository out there, for programs as people use them.
test_real_clients()
{
	local tool TEST_LIMIT=900

	for tool in git curl apt-get dpkg-deb python3; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
	make_outside
	mkdir -p www/debian tree/DEBIAN tree/usr/share/sandcastle-test
	printf 'Package: sandcastle-test\nVersion: 1\nArchitecture: all\nMaintainer: none <none@test>\nDescription: test\n' \
		>tree/DEBIAN/control
	echo installed >tree/usr/share/sandcastle-test/word
	dpkg-deb --build --root-owner-group tree www/debian/test.deb >/dev/null || fail "dpkg-deb"
	(cat tree/DEBIAN/control
		cd www/debian && printf 'Filename: ./test.deb\nSize: %s\nSHA256: %s\n' "$(stat -c %s test.deb)" \
			"$(sha256sum test.deb | cut -c 1-64)") >www/debian/Packages
	git init -q src
	echo content >src/file
	git -C src add file
	git -C src -c user.name=t -c user.email=t@test commit -qm one || fail "git commit"
	git clone -q --bare src www/repo.git
	git -C www/repo.git update-server-info
	ip netns exec outside python3 -m http.server --directory www 8080 >served 2>&1 &
	pids+=($!)
	expect_within 120 answers 9.9.9.9 8080
	run_sandcastle run --network internet --user root -w /root -- sh -ec '
		curl -sS http://name.test:8080/repo.git/HEAD
		git clone -q http://name.test:8080/repo.git
		cat repo/file
		rm -rf /etc/apt/sources.list /etc/apt/sources.list.d
		echo "deb [trusted=yes] http://name.test:8080/debian ./" >/etc/apt/sources.list
		apt-get -q update >log 2>&1 || cat log
		apt-get -qy install sandcastle-test >log 2>&1 || cat log
		cat /usr/share/sandcastle-test/word'
	expect_code 0
	expect_out "ref: refs/heads/$(git -C src branch --show-current)
content
installed"
}

# The network process of VMM $1: the child of its keeper.
network_processes()
{
	local keeper

	for keeper in $(pgrep -P "$1"); do
		tr '\0' ' ' <"/proc/$keeper/cmdline" | grep -q network-process && pgrep -P "$keeper"
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

# What the guest's root sends as whole frames, past its own kernel: each a datagram whose bytes are its
# name. "public" comes last, so whatever else gets through has come before it.
write_frames()
{
	cat >frames.py <<'END'
import socket, struct, sys
from socket import inet_aton, inet_pton, AF_INET6

def csum(data):
    data += b"\0" * (len(data) % 2)
    s = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff

def udp(name, pseudo, bad=0):
    body = name.encode()
    head = struct.pack("!4H", 7000, 7777, 8 + len(body), 0)
    sum_ = csum(pseudo + struct.pack("!HBBH", 0, 0, 17, 8 + len(body)) + head + body) or 0xffff
    return head[:6] + struct.pack("!H", sum_ ^ bad) + body

def ip4(name, to, source=None, frag=0, options=b"", bad=0, longer=0):
    s, d = inet_aton(source or own4), inet_aton(to)
    p = udp(name, s + d, bad)
    h = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(p) + longer,
        1, frag, 64, 17, 0, s, d) + options
    return 0x800, h[:10] + struct.pack("!H", csum(h)) + h[12:] + p

def ip6(name, to, extension=None):
    s, d = inet_pton(AF_INET6, own6), inet_pton(AF_INET6, to)
    p, next_ = udp(name, s + d), 17
    if extension is not None:
        p, next_ = bytes([17, 0]) + bytes([1, 4, 0, 0, 0, 0] if extension != 44 else [0] * 6) + p, extension
    return 0x86dd, struct.pack("!IHBB", 6 << 28, len(p), next_, 64) + s + d + p

card, own4, own6, gateway = sys.argv[1:5]
route = struct.pack("!BBB4sB", 131, 7, 4, inet_aton("172.31.9.2"), 0)
frames = [ip4(*a) for a in (("lo", "127.0.0.1"), ("stub", "127.0.0.53"), ("zero", "0.0.0.0"),
    ("gateway", gateway), ("everyone", "255.255.255.255"), ("mdns", "224.0.0.251"), ("reserved", "240.0.0.1"))]
frames += [ip4("source", "9.9.9.9", "127.0.0.1"), ip4("forged", "9.9.9.9", "172.31.9.1"),
    ip4("first", "9.9.9.9", frag=0x2000), ip4("later", "9.9.9.9", frag=8), ip4("later-lan", "172.31.9.2", frag=8),
    ip4("option", "9.9.9.9", options=route), ip4("checksum", "9.9.9.9", bad=0x55), ip4("longer", "9.9.9.9", longer=40)]
frames += [ip6(*a) for a in (("lo6", "::1"), ("mapped", "::ffff:127.0.0.1"), ("mapped-lan", "::ffff:172.31.9.2"),
    ("any6", "::"), ("nearby", "fe80::1"), ("group", "ff02::1"))]
frames += [ip6("extension%d" % n, "fd99::2", n) for n in (0, 43, 44, 60)]
frames += [ip4("own", "172.31.9.1"), ip4("lan", "172.31.9.2"), ip4("cloud", "169.254.169.254"),
    ip6("lan6", "fd99::2"), ip6("own6", "fd99::1"), ip6("6to4", "2002:ac1f:902::1"), ip6("nat64", "64:ff9b::ac1f:902")]
frames += [ip4("public", "9.9.9.9")]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((card, 0))
mac = s.getsockname()[4]
for kind, packet in frames:
    s.send(bytes.fromhex("525500000002") + mac + struct.pack("!H", kind) + packet)
s.send(bytes.fromhex("525500000002") + bytes([2, 9, 9, 9, 9, 9]) + struct.pack("!H", 0x800) + ip4("mac", "9.9.9.9")[1])
s.send(bytes.fromhex("525500000002") + mac + struct.pack("!HHH", 0x8100, 1, 0x800) + ip4("vlan", "9.9.9.9")[1])
END
	cat >catch.py <<'END'
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind(("::", 7777))
while True:
    print(s.recv(2048).decode(), flush=True)
END
	ip -n outside address add 169.254.169.254/32 dev sc1
	ip route add 169.254.169.254 via 172.31.9.2
	ip address add fd99::1/64 dev sc0 nodad
	ip -n outside address add fd99::2/64 dev sc1 nodad
	ip netns exec outside python3 catch.py >>caught &
	pids+=($!)
	python3 catch.py >>caught &
	pids+=($!)
	expect_within 60 caught_is_listening
}

# Both of them have heard of this one.
caught_is_listening()
{
	python3 -c '
import socket
for a in "172.31.9.1", "172.31.9.2":
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"probe", (a, 7777))'
	[ "$(grep -c probe caught)" -ge 2 ]
}

# send_frames MODE: what got through from a sandbox with that network, sorted.
send_frames()
{
	run_sandcastle run --network "$1" --user root -- sh -c '
		four=$(ip -4 -o address show dev "$1" | sed "s/.*inet \([0-9.]*\).*/\1/")
		python3 frames.py "$1" "$four" "$2" "${four%.*}.2"; sleep 2' sh "$2" "$3"
	expect_code 0
	got=$(grep -v probe caught | sort | tr '\n' ' ')
}

# More connections and datagrams' ports than the network process has descriptors for: new ones fail, and
# nothing else does.
test_more_flows_than_there_is_room_for()
{
	local vmm pid

	command -v python3 >/dev/null || skip "python3 is not installed"
	make_outside
	box=$(sandcastle start --network internet) || fail "start"
	vmm=$(sandcastle list --json | perl -0ne 'print $1 if /"pid": *(\d+)/')
	pid=$(network_processes "$vmm")
	run_sandcastle exec "$box" -- python3 -c '
import socket, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
kept = []
for n in range(1500):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"x", ("9.9.9.9", 7777))
    kept.append(s)
for n in range(1500):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("9.9.9.9", 80))
    kept.append(s)
print(len(kept))'
	expect_out 3000
	run_sandcastle exec "$box" -- echo alive
	expect_out alive
	expect_same "$pid" "$(network_processes "$vmm")"
	figure_is restarts 0 || fail "the process was started again"
	[ "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)" -le 1024 ] || fail "it has more descriptors than it may"
	run_sandcastle stop "$box"
	expect_code 0
}

test_frames_that_try_to_escape_from_internet()
{
	command -v python3 >/dev/null || skip "python3 is not installed"
	make_outside
	write_frames
	send_frames internet eth0 fd00:5ca5::15
	expect_same 'public ' "$got"
}

test_frames_that_try_to_escape_from_user()
{
	command -v python3 >/dev/null || skip "python3 is not installed"
	make_outside
	write_frames
	send_frames user eth0 fd00:5ca5::15
	expect_same 'cloud lan lan6 own own6 public ' "$got"
}

test_frames_that_try_to_escape_from_none()
{
	command -v python3 >/dev/null || skip "python3 is not installed"
	make_outside
	write_frames
	send_frames none lo ::1
	expect_same '' "$got"
}
