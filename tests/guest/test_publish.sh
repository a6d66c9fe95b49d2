# shellcheck shell=bash
# shellcheck disable=SC2016 # scripts for the shell in the guest
# Ports of sandboxes that the host has, too: with no network card in them.

# A web server of its working directory's files, at the guest's loopback alone.
serve='python3 -m http.server --bind 127.0.0.1'

need_web()
{
	command -v python3 >/dev/null || skip "python3 is not installed"
	command -v curl >/dev/null || skip "curl is not installed"
}

# fetch ADDRESS:PORT PATH: what is there, tried until something answers.
fetch()
{
	run curl -sS --max-time 60 --retry 40 --retry-delay 1 --retry-all-errors "http://$1/$2"
}

test_a_web_server_at_the_loopback_alone()
{
	local at

	need_web
	mkdir www
	head -c 600000 /dev/urandom >www/big
	echo hello >www/index.html
	box=$(sandcastle start --map www --publish 0:8000 2>told) || fail "start"
	at=$(sed -n 's/^sandcastle: \(127\.0\.0\.1:[0-9]*\) is port 8000$/\1/p' told)
	[ -n "$at" ] || fail "no word of the port: $(<told)"
	run_sandcastle exec --detach -w "$PWD/www" "$box" -- sh -c "$serve 8000"
	expect_code 0
	fetch "$at" ''
	expect_out hello
	run curl -sS --max-time 60 -o got "http://$at/big"
	expect_code 0
	cmp got www/big || fail "another file"
	run_sandcastle ip "$box"
	expect_out "$at -> 8000"
	run_sandcastle list
	expect_match "^$box .*  ${at#127.0.0.1:}:8000\$"
	# Nobody listens there, nor at a port that is taken back.
	run_sandcastle publish "$box" 0:8001
	expect_code 0
	run curl -sS --max-time 60 "http://$out/"
	# The reset may come before curl has looked at its connection.
	expect_err_match 'reset|Empty reply|connect'
	run_sandcastle publish --remove "$box" "$at"
	expect_code 0
	run curl -sS --max-time 60 "http://$at/"
	expect_err_match 'refused|connect'
	run_sandcastle publish --remove "$box" "$at"
	expect_one_line_error 'nothing is published at 127.0.0.1'
	run_sandcastle ip --json "$box"
	expect_match '"network": null'
	expect_match '"guest": 8001'
	run_sandcastle stop "$box"
	expect_code 0
}

# Who speaks first, who ends first, many at once.
test_connections_of_all_kinds()
{
	local at

	command -v perl >/dev/null || skip "perl is not installed"
	box=$(sandcastle start) || fail "start"
	run_sandcastle publish "$box" 0:7000
	at=$out
	run_sandcastle exec --detach "$box" -- perl -MIO::Socket::INET -e '
		$SIG{CHLD} = "IGNORE";
		my $s = IO::Socket::INET->new(Listen => 200, LocalAddr => "127.0.0.1", LocalPort => 7000,
			ReuseAddr => 1) or die;
		while (my $c = $s->accept) {
			next if fork;
			print $c "220 hello\n"; $c->flush;
			my $n = 0;
			while (read $c, my $b, 65536) { $n += length $b }
			print $c "got $n\n"; exit }'
	cat >ask.pl <<'END'
use IO::Socket::INET;
my ($n, $size) = @ARGV[1, 2];
my @c = map { IO::Socket::INET->new(PeerAddr => $ARGV[0]) or die "connect: $!" } 1 .. $n;
for my $c (@c) {
	my $first = <$c>;
	die "first line" unless $first eq "220 hello\n";
}
for my $c (@c) { print $c "x" x $size; $c->flush; shutdown $c, 1 }
for my $c (@c) {
	my $last = <$c>;
	die "last line: $last" unless $last eq "got $size\n";
	die "more" if defined <$c>;
}
print "all right\n";
END
	expect_within 60 perl ask.pl "$at" 1 10
	run perl ask.pl "$at" 40 1000
	expect_out "all right"
	run perl ask.pl "$at" 1 3000000
	expect_out "all right"
	run_sandcastle stop "$box"
	expect_code 0
}

# A server of datagrams in the guest, at its loopback of either family: "ping" and whatever else is
# answered with itself, "who" with the sender's port, "flood" with more than anybody reads.
udp_server='
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
while True:
	data, peer = s.recvfrom(70000)
	if data == b"who":
		data = str(peer[1]).encode()
	if data == b"flood":
		for i in range(2000):
			s.sendto(bytes(60000), peer)
		data = b"done"
	s.sendto(data, peer)
'

# Its client here: one datagram and its answer, as often as it takes until there is one.
cat_udp_client()
{
	cat <<'END'
import socket, sys
address, port = sys.argv[1].removesuffix("/udp").rsplit(":", 1)
address = address.strip("[]")
def peer():
	s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
	s.connect((address, int(port)))
	return s
def ask(s, data, tries=60):
	for i in range(tries):
		s.send(data)
		s.settimeout(2)
		try:
			got = s.recv(70000)
			while got != data and data != b"who":
				got = s.recv(70000)
			return got
		except (TimeoutError, ConnectionRefusedError):
			pass
	sys.exit("no answer to %d bytes" % len(data))
END
}

test_datagrams()
{
	local at six

	command -v python3 >/dev/null || skip "python3 is not installed"
	cat_udp_client >ask.py
	box=$(sandcastle start --publish 0:53/udp 2>told) || fail "start"
	at=$(sed -n 's|^sandcastle: \(127\.0\.0\.1:[0-9]*/udp\) is port 53/udp$|\1|p' told)
	[ -n "$at" ] || fail "no word of the port: $(<told)"
	run_sandcastle exec --detach --user root "$box" -- python3 -c "$udp_server" 127.0.0.1 53
	expect_code 0
	cat >>ask.py <<'END'
a, b = peer(), peer()
ask(a, b"ping")
ask(b, b"ping")
if ask(a, b"who") == ask(b, b"who"):
	sys.exit("two peers are one")
if ask(a, b"who") != ask(a, b"who"):
	sys.exit("one peer is two")
for size in 0, 1, 2, 1472, 1473, 9000, 65506, 65507:
	ask(a, bytes(size))
# More peers than there can be at once: each has its answer.
for i in range(150):
	ask(peer(), b"%d" % i)
ask(a, b"still")
print("all right")
END
	run python3 ask.py "$at"
	expect_out "all right"
	# A service at ::1 alone, published while it runs; IPv6 outside, too.
	run_sandcastle publish "$box" '[::1]:0:5353/udp'
	expect_match '^\[::1\]:[0-9]*/udp$'
	six=$out
	run_sandcastle exec --detach "$box" -- python3 -c "$udp_server" ::1 5353
	run python3 ask.py "$six"
	expect_out "all right"
	run_sandcastle ip "$box"
	expect_out "${at%/udp} -> 53/udp
${six%/udp} -> 5353/udp"
	run_sandcastle ip --json "$box"
	expect_match '"network": null'
	expect_match '"protocol": "udp"'
	run_sandcastle list
	at=${at#127.0.0.1:}
	expect_match "^$box .*  ${at%/udp}:53/udp "
	at=127.0.0.1:$at
	run_sandcastle publish --remove "$box" "${at%/udp}"
	expect_one_line_error 'nothing is published at 127.0.0.1'
	run_sandcastle publish --remove "$box" "$at"
	expect_code 0
	run_sandcastle publish "$box" "${at%/udp}:53/udp"
	expect_code 0
	run_sandcastle stop "$box"
	expect_code 0
}

# Prints how much memory of its own the VMM of sandbox $1 has, in KiB.
own_memory()
{
	local pid

	pid=$(sandcastle list --json | python3 -c '
import json, sys
print(*[s["pid"] for s in json.load(sys.stdin) if s["name"] == sys.argv[1]])' "$1")
	awk '/RssAnon/ {print $2}' "/proc/$pid/status"
}

# A service that answers more than anybody reads: the rest is dropped, and nothing grows.
test_datagrams_without_end()
{
	local at before after

	command -v python3 >/dev/null || skip "python3 is not installed"
	cat_udp_client >ask.py
	box=$(sandcastle start --publish 0:53/udp 2>told) || fail "start"
	at=$(sed -n 's|^sandcastle: \(127\.0\.0\.1:[0-9]*/udp\) is port 53/udp$|\1|p' told)
	run_sandcastle exec --detach --user root "$box" -- python3 -c "$udp_server" 127.0.0.1 53
	cat >>ask.py <<'END'
s = peer()
ask(s, b"ping")
s.send(b"flood")
# Nobody reads of s, and the service answers others when it is through.
ask(peer(), b"ping", 200)
print("all right")
END
	run python3 ask.py "$at"
	expect_out "all right"
	before=$(own_memory "$box")
	run python3 ask.py "$at"
	expect_out "all right"
	after=$(own_memory "$box")
	[ $((after - before)) -lt 4096 ] || fail "grew from $before to $after KiB"
	run_sandcastle stop "$box"
	expect_code 0
}

test_what_is_refused()
{
	local at

	run_sandcastle run --publish 80 true
	expect_one_line_error "^sandcastle: --publish '80': give \[ADDRESS:\]HOST:GUEST"
	run_sandcastle run --publish 80:80/tcp true
	expect_one_line_error 'give \[ADDRESS:\]HOST:GUEST'
	run_sandcastle run --publish 192.0.2.7:8080:80 true
	expect_one_line_error 'does not have that address'
	box=$(sandcastle start --publish 0:80 2>told) || fail "start"
	at=$(sed 's/^sandcastle: \(.*\) is port 80$/\1/' told)
	run_sandcastle run --publish "$at:80" true
	expect_one_line_error "$at is in use"
	run_sandcastle publish "$box" "$at:80"
	expect_one_line_error "$at is in use"
	run_sandcastle publish "$box" "0:81/udp"
	expect_code 0
	run_sandcastle publish "$box" "${out%/udp}:82/udp"
	expect_one_line_error "$out is in use"
	run_sandcastle publish "$box" nonsense
	expect_one_line_error "'nonsense' is no port"
	run_sandcastle stop "$box"
	expect_code 0
}
