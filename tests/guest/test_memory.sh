# shellcheck shell=bash
# Memory as for a process: taken as used, given back when freed. Limits are wide: the lab is slow.

# start_sandbox OPTION... -- COMMAND...: in the background, with figures in the file stats. Sets pid.
start_sandbox()
{
	sandcastle run --stats "$TEST_DIR/stats" "$@" >"$TEST_DIR/.out" 2>"$TEST_DIR/.err" &
	pid=$!
}

# figure NAME: the last one of that name in the file stats.
figure()
{
	sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$TEST_DIR/stats" 2>/dev/null | tail -n 1
}

# rss: the sandbox's resident set in MiB.
rss()
{
	local pages

	read -r _ pages _ <"/proc/$pid/statm" && echo $((pages / 256))
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for()
{
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "waited in vain for: $*"
		sleep 0.2
	done
}

# said WORD: the command has printed that line.
said()
{
	grep -qx "$1" "$TEST_DIR/.out"
}

rss_below()
{
	[ "$(rss)" -lt "$1" ]
}

test_the_ceiling_is_not_taken()
{
	start_sandbox --memory 4G -- sh -c 'echo up; exec sleep 60'
	wait_for 90 said up
	[ "$(rss)" -lt 400 ] || fail "$(rss) MiB are taken at the start"
	kill "$pid"
	wait "$pid"
}

test_freed_memory_comes_back()
{
	start_sandbox --memory 2G -- sh -c 'echo up; sleep 5
		dd if=/dev/zero of=/dev/null bs=600M count=1 2>/dev/null; echo freed; exec sleep 60'
	wait_for 90 said up
	sleep 3
	before=$(rss)
	wait_for 60 said freed
	[ "$(figure total)" -gt 0 ] || fail "no figures"
	wait_for 30 rss_below $((before + 32))
	kill "$pid"
	wait "$pid"
}

test_figures_are_lines_of_json()
{
	start_sandbox --memory 512M -- sleep 3
	wait "$pid" || fail "exit code $?"
	[ -s stats ] || fail "nothing was written"
	while read -r line; do
		[[ $line =~ ^\{\"resident\":[0-9]+,.*\"pressure\":\"[a-z]+\",\"power\":\{.*\}\}$ ]] || fail "not JSON: $line"
	done <stats
	[ "$(figure private)" -gt 0 ] || fail "no private memory"
}

test_figures_in_a_place_that_is_not_there()
{
	run_sandcastle run --stats /nonexistent/file -- true
	expect_code 125
	expect_err_match 'cannot open /nonexistent/file: No such file or directory'
}

test_limits_of_the_process_end_in_one_line()
{
	run bash -c 'ulimit -v 600000; exec sandcastle run --memory 2G -- true'
	expect_one_line_error 'memory'
	run bash -c 'ulimit -f 1000; exec sandcastle run --memory 2G -- true'
	expect_one_line_error 'memory'
	run bash -c 'ulimit -n 12; exec sandcastle run -- true'
	expect_one_line_error
}
