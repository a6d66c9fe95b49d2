# shellcheck shell=bash
# root
# A host that is short of memory: cgroups with limits, which need root to make.

GROUPS_TOP=/sys/fs/cgroup/memory-test

# make_group NAME [LIMIT=VALUE...]: a cgroup below the test's own.
make_group()
{
	local pair

	if [ ! -d "$GROUPS_TOP" ]; then
		echo +memory >/sys/fs/cgroup/cgroup.subtree_control || skip "no memory cgroups"
		mkdir "$GROUPS_TOP"
		echo +memory >"$GROUPS_TOP/cgroup.subtree_control"
		trap 'rmdir "$GROUPS_TOP"/*/ "$GROUPS_TOP"' EXIT
	fi
	mkdir "$GROUPS_TOP/$1" || fail "mkdir"
	for pair in "${@:2}"; do
		echo "${pair#*=}" >"$GROUPS_TOP/$1/${pair%%=*}"
	done
}

# in_group NAME COMMAND...: instead of this shell.
in_group()
{
	echo "$BASHPID" >"$GROUPS_TOP/$1/cgroup.procs" || exit 99
	exec "${@:2}"
}

# ask FD-ARRAY COMMAND: what the shell in that sandbox prints, in $answer.
ask()
{
	local -n fds=$1
	local line

	answer=
	printf '%s\necho END\n' "$2" >&"${fds[1]}" || fail "the sandbox is gone"
	while :; do
		read -r -t "$TEST_LIMIT" line <&"${fds[0]}" || fail "no answer to: $2 (but: $answer)"
		[ "$line" != END ] || return 0
		answer+=${answer:+$'\n'}$line
	done
}

test_a_guest_fits_in_the_limit_it_is_started_in()
{
	make_group a memory.max=400M
	(in_group a sandcastle run --memory 1G -- true) >.out 2>.err
	code=$? out=$(<.out) err=$(<.err)
	expect_one_line_error '--memory 1G is more than this host has'
	# Inside, what does not fit is the guest's own affair.
	(in_group a sandcastle run --memory 360M -- sh -c \
		'dd if=/dev/zero of=/dev/null bs=500M count=1 || echo refused; echo alive') >.out 2>.err
	code=$? out=$(<.out) err=$(<.err)
	expect_code 0
	expect_match refused
	expect_match alive
}

# Two sandboxes on a host (a group) that has no room for what they want together.
test_a_host_out_of_memory_ends_one_sandbox_at_most()
{
	local answer

	make_group host memory.max=700M
	coproc b { in_group host sandcastle run --memory 256M --cpus 1 --name b -- bash; }
	ask b 'echo up'
	(in_group host timeout 100 sandcastle run --memory 600M --cpus 1 --name a -- \
		sh -c 'dd if=/dev/zero of=/dev/null bs=500M count=1') >.out 2>.err
	code=$? err=$(<.err)
	note "the one that took too much: exit code $code"
	[ "$code" -ne 124 ] || fail "it hangs"
	ask b 'echo alive'
	expect_same alive "$answer"
	eval "exec ${b[1]}>&-"
	wait "$b_PID" || fail "the other one was hurt: exit code $?"
	# One that the host's kernel killed left an empty folder, which the next command removes.
	run_sandcastle list --quiet
	expect_code 0
	expect_out ''
}

# group_below NAME MIB: what the group is charged for is less.
group_below()
{
	local bytes

	read -r bytes <"$GROUPS_TOP/$1/memory.current"
	[ "$bytes" -lt $(($2 << 20)) ]
}

# watch NAME: what its control channel tells a watcher, into the file "heard".
watch()
{
	cat >watch.py <<-'END'
		import os, socket, sys

		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.connect(f"{os.environ['XDG_RUNTIME_DIR']}/sandcastle/{sys.argv[1]}/control")
		s.send(b'{"type": "request", "id": 1, "op": "watch"}')
		while message := s.recv(131072):
		    print(message.decode(), flush=True)
	END
	/usr/bin/python3 watch.py "$1" >heard &
	expect_within 60 says '"reply"' heard
}

# A gibibyte of page cache, and a host (a group) that is cut to half of what it holds.
test_a_squeezed_guest_gives_its_page_cache_and_keeps_its_processes()
{
	local answer bytes before

	make_group squeezed
	# A hole: the host holds nothing of it.
	mkdir share
	truncate -s 1G share/zeroes
	coproc g { in_group squeezed sandcastle run --memory 2G --cpus 1 --no-dax --name g --map "$PWD/share" -- bash; }
	ask g "sleep 1000 & cat '$PWD/share/zeroes' >/dev/null; echo read"
	expect_same read "$answer"
	read -r bytes <"$GROUPS_TOP/squeezed/memory.current"
	before=$((bytes >> 20))
	[ "$before" -ge 1024 ] || fail "only $before MiB are held, so there is no page cache"
	watch g
	echo $((before / 2))M >"$GROUPS_TOP/squeezed/memory.high"
	expect_within 60 says '"pressure": ?"squeezing"' heard
	# 70 % of the cache.
	expect_within 240 group_below squeezed $((before - 717))
	ask g 'jobs -r | wc -l'
	expect_same 1 "$answer"
	ask g 'dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null && echo got'
	expect_same got "$answer"
	ask g 'jobs -r | wc -l; kill %1'
	expect_same 1 "$answer"
	echo max >"$GROUPS_TOP/squeezed/memory.high"
	expect_within 60 says '"pressure": ?"calm"' heard
	eval "exec ${g[1]}>&-"
	wait "$g_PID" || fail "exit code $?"
}

# host_page PID FRAME: the address in the host's memory of a page of a guest's.
host_page()
{
	perl -e '
	my ($pid, $frame) = @ARGV;
	my ($ram, $entry);
	open(my $maps, "<", "/proc/$pid/maps") or die;
	while (<$maps>) {
		($ram) = /^(\w+)-\w+ rw-s .*deleted/ and last;
	}
	open(my $pagemap, "<:raw", "/proc/$pid/pagemap") or die;
	sysseek($pagemap, ((hex($ram) >> 12) + $frame) * 8, 0);
	sysread($pagemap, $entry, 8) == 8 or die;
	$entry = unpack("Q", $entry);
	die "the host has not given it" unless $entry >> 63;
	printf "%#x\n", ($entry & (1 << 55) - 1) << 12;' "$1" "$2"
}

# Two sandboxes, and a page of one's memory in which the host finds an error that cannot be corrected.
test_broken_memory_ends_the_sandbox_that_uses_it()
{
	local answer page
	local offline=/sys/devices/system/memory/hard_offline_page

	[ "$LAB_MODE" != direct ] || skip "this machine is no throw-away one"
	[ -w $offline ] || skip "this kernel cannot give up a page"
	coproc b { sandcastle run --memory 128M --cpus 1 --timeout 200s -- bash; }
	# Not a clone, whose memory is mapped otherwise.
	# shellcheck disable=SC2016 # for perl
	sandcastle run --no-template --user root --memory 128M --cpus 1 --timeout 200s -- perl -e '
		$| = 1;
		$text = "x" x (1 << 20);
		open($pagemap, "<:raw", "/proc/self/pagemap") or die;
		sysseek($pagemap, ((unpack("J", pack("P", $text)) >> 12) + 9) * 8, 0);
		sysread($pagemap, $entry, 8) == 8 or die;
		print unpack("Q", $entry) & (1 << 55) - 1, "\n";
		for (;;) {
			$sum += ord substr($text, $_ << 12, 1) for 0 .. 255;
			select undef, undef, undef, 0.2;
		}' >.out 2>.err &
	ask b 'echo up'
	expect_within 100 test -s .out
	page=$(host_page $! "$(<.out)") || fail "no page to break"
	echo "$page" >$offline || fail "page $page does not break"
	wait $!
	code=$? err=$(<.err)
	expect_code 125
	expect_err "sandcastle: the host's memory is broken where the guest touched it; the host's kernel log says more"
	ask b 'echo alive'
	expect_same alive "$answer"
	eval "exec ${b[1]}>&-"
	wait "$b_PID" || fail "the other one was hurt: exit code $?"
}
