# shellcheck shell=bash
# Memory as for a process: taken as used, given back when freed. Limits are wide: the lab is slow.

# start_sandbox OPTION... -- COMMAND...: in the background. Sets pid.
start_sandbox()
{
	sandcastle run --name memory-box "$@" >"$TEST_DIR/.out" 2>"$TEST_DIR/.err" &
	pid=$!
}

# figure NAME: the last one of that name in what `stats` says now.
figure()
{
	sandcastle stats --json memory-box | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

# rss: the sandbox's resident set in MiB.
rss()
{
	local pages

	read -r _ pages _ <"/proc/$pid/statm" && echo $((pages / 256))
}

# said WORD: the command has printed that line.
said()
{
	says "^$1\$" "$TEST_DIR/.out"
}

rss_below()
{
	[ "$(rss)" -lt "$1" ]
}

test_the_ceiling_is_not_taken()
{
	start_sandbox --memory 4G -- sh -c 'echo up; exec sleep 60'
	expect_within 90 said up
	[ "$(rss)" -lt 400 ] || fail "$(rss) MiB are taken at the start"
	kill "$pid"
	wait "$pid"
}

test_freed_memory_comes_back()
{
	start_sandbox --memory 2G -- sh -c 'echo up; sleep 5
		dd if=/dev/zero of=/dev/null bs=600M count=1 2>/dev/null; echo freed; exec sleep 60'
	expect_within 90 said up
	sleep 3
	before=$(rss)
	expect_within 60 said freed
	[ "$(figure total)" -gt 0 ] || fail "no figures"
	expect_within 30 rss_below $((before + 32))
	kill "$pid"
	wait "$pid"
}

# lines_of FILE N: there are so many at least.
lines_of()
{
	[ "$(wc -l <"$1")" -ge "$2" ]
}

test_figures_are_followed_as_lines_of_json()
{
	local follower

	start_sandbox --memory 512M -- sh -c 'echo up; exec sleep 60'
	expect_within 90 said up
	sandcastle stats --follow --json memory-box >followed &
	follower=$!
	expect_within 30 lines_of followed 3
	kill "$pid"
	wait "$pid"
	wait "$follower" || fail "exit code $?"
	while read -r line; do
		[[ $line =~ ^\{\"uptime_ms\":[0-9]+,.*\"memory\":\{\"resident\":[0-9]+,.*\"pressure\":\"[a-z]+\"\},\"power\":\{.*\},\"display\":null,\"network\":null\}$ ]] ||
			fail "not JSON: $line"
		[[ $line =~ \"private\":[1-9] ]] || fail "no private memory: $line"
	done <followed
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
