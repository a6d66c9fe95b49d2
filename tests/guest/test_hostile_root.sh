# shellcheck shell=bash
# root
# shellcheck disable=SC2016 # scripts for the shell in the guest
# A mapped folder whose file system does not answer any more: what is to end the sandbox still does.

# begin_silence OPTION...: a sandbox `waits` that waits for a file server of the host's.
begin_silence()
{
	[ -c /dev/fuse ] || modprobe fuse || skip "this kernel has no FUSE"
	mkdir -p dir
	"$LAB_REPO/build/tests/guest/silent_fuse" dir >server &
	server=$!
	expect_within 20 says mounted server
	trap 'kill "$server"; umount -l dir' EXIT
	rm -f input
	mkfifo input
	sandcastle run --name waits --map ./dir:/dir "$@" -- \
		sh -c 'echo ready; read -r _; echo asking; ls /dir/file; echo answered' <input >log 2>errors &
	pid=$!
	exec 3>input
	expect_within 120 says ready log
	kill -USR1 "$server"
	expect_within 20 says silent server
	echo go >&3
	expect_within 20 says asking log
	sleep 2
}

# expect_gone CODE: within a time for an emulated host, with that code, and the process with it.
expect_gone()
{
	local began=$SECONDS

	( sleep 60; kill -KILL "$pid" ) 2>/dev/null &
	wait "$pid"
	code=$?
	kill %% 2>/dev/null
	exec 3>&-
	note "ended $((SECONDS - began)) s after it was asked to: $(tail -n 1 errors)"
	expect_same "$1" "$code"
	! grep -q answered log || fail "the file system was not silent"
	grep -q 'does not let go of a mapped folder' errors || fail "it did not say why"
	run_sandcastle list --quiet
	expect_out ''
	kill "$server"
	umount -l dir
	trap - EXIT
}

test_a_silent_file_system_and_the_time_limit()
{
	begin_silence --timeout 45s
	expect_gone 124
}

test_a_silent_file_system_and_stop()
{
	begin_silence
	run_sandcastle stop --time 0 waits
	expect_code 0
	expect_gone 143
}

test_a_silent_file_system_and_force()
{
	begin_silence
	run_sandcastle stop --force waits
	expect_code 0
	expect_gone 143
}
