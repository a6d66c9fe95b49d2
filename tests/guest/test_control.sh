# shellcheck shell=bash
# Sandboxes that stay: start, exec, list, stats, wait, stop. Two of them carry all the checks.

# The first number called $1 in the JSON of the last command.
json_number()
{
	grep -o "\"$1\": *[0-9]*" "$TEST_DIR/.out" | head -n 1 | grep -o '[0-9]*$'
}

runtime_dir()
{
	printf '%s/sandcastle' "${XDG_RUNTIME_DIR:-/run/user/$UID}"
}

test_a_sandbox_that_stays()
{
	local box dir pid i
	local -a pids=()

	dir=$(runtime_dir)
	mkdir shared
	echo outside >shared/file
	run_sandcastle start --name quiet-dune --map shared:/srv/shared:rw --env WHO=box
	expect_code 0
	expect_out quiet-dune
	expect_err ''
	box=quiet-dune
	expect_same 700 "$(stat -c %a "$dir")"
	expect_same 700 "$(stat -c %a "$dir/$box")"

	# Its name is taken, and it is found by it.
	run_sandcastle start --name quiet-dune
	expect_one_line_error "named 'quiet-dune' is running"
	run_sandcastle list --quiet
	expect_out quiet-dune
	run_sandcastle list --json
	expect_match '"name": "quiet-dune"'
	expect_match '"state": "running"'
	expect_match '"main": null'
	expect_match '"guest": "/srv/shared"'
	pid=$(json_number pid)
	run_sandcastle exec other true
	expect_one_line_error "no sandbox named 'other'"

	# Streams, exit codes, who and where.
	# shellcheck disable=SC2016 # for the shell in the guest
	run_sandcastle exec "$box" sh -c 'cat; echo err >&2; id -un; pwd; echo "$WHO"; exit 7' <<<typed
	expect_code 7
	expect_out "typed
$(id -un)
$PWD
box"
	expect_err err
	# shellcheck disable=SC2016
	run_sandcastle exec -u root -w /srv/shared -e WHO=me -e EMPTY= "$box" -- sh -c 'id -u; cat file; echo "$WHO$EMPTY"; echo inside >made'
	expect_code 0
	expect_out $'0\noutside\nme'
	expect_same inside "$(cat shared/made)"
	run_sandcastle exec "$box" no-such-command
	expect_code 127
	expect_err 'sandcastle: cannot run no-such-command: No such file or directory'
	run_sandcastle exec "$box" /etc/passwd
	expect_code 126
	# shellcheck disable=SC2016
	run_sandcastle exec "$box" sh -c 'kill -9 $$'
	expect_code 137
	# What one command leaves the next one finds; a name with any byte in it passes.
	run_sandcastle exec "$box" sh -c "printf kept >/tmp/\$1" sh $'a\xff'
	expect_code 0
	run_sandcastle exec "$box" cat $'/tmp/a\xff'
	expect_out kept
	# Pipes, as those of any command.
	expect_same y "$(sandcastle exec "$box" yes | head -n 1)"
	head -c 1000000 /dev/zero | sandcastle exec "$box" cat >copy
	expect_same 1000000 "$(stat -c %s copy)"

	# Signals reach it; a client that is killed hangs up on its command.
	# shellcheck disable=SC2016
	sandcastle exec "$box" sh -c 'trap "echo got it; exit 3" TERM; echo up; while :; do sleep 0.1; done' >signal.out &
	expect_within 60 grep -q up signal.out
	kill -TERM $!
	wait $!
	expect_same 3 $?
	expect_same $'up\ngot it' "$(cat signal.out)"
	sandcastle exec "$box" sh -c 'echo up; exec sleep 300' >killed.out &
	expect_within 60 grep -q up killed.out
	kill -KILL $!
	wait $! 2>/dev/null
	expect_within 60 sh -c "sandcastle list --json | grep -q '\"commands\": \[\]'"

	# One that nobody waits for.
	run_sandcastle exec --detach "$box" echo nobody waits for this
	expect_code 0
	expect_match '^[0-9]+$'
	expect_within 60 sh -c "sandcastle logs $box | grep -q '^nobody waits for this$'"

	# Many at once.
	for ((i = 1; i <= 24; i++)); do
		sandcastle exec "$box" sh -c "read -r word; echo \$word; exit $i" <<<"number $i" >"$i.out" &
		pids+=($!)
	done
	for ((i = 1; i <= 24; i++)); do
		wait "${pids[i - 1]}"
		expect_same "$i" $?
		expect_same "number $i" "$(cat "$i.out")"
	done

	run_sandcastle stats --json "$box"
	expect_code 0
	[ "$(json_number resident)" -gt 1048576 ] || fail "more memory was expected"
	[ "$(json_number total)" -gt 1048576 ] || fail "the guest was expected to speak of its memory"
	expect_match '"power":\{"ac":(true|false)'
	run_sandcastle stats "$box"
	expect_match '^memory the guest holds +[0-9.]+ MiB$'

	# Stopping waits for the commands, says so to who waits, and leaves nothing.
	sandcastle wait "$box" >wait.out &
	pids=($!)
	sandcastle exec "$box" sh -c 'trap "echo bye >/srv/shared/bye; exit 0" TERM; echo up; while :; do sleep 0.1; done' >stopped.out &
	pids+=($!)
	expect_within 60 grep -q up stopped.out
	run_sandcastle stop "$box"
	expect_code 0
	expect_out ''
	wait "${pids[0]}"
	expect_same 0 $?
	wait "${pids[1]}"
	expect_same 0 $?
	expect_same stopped "$(cat wait.out)"
	expect_same bye "$(cat shared/bye)"
	[ ! -e "$dir" ] || fail "$dir is left"
	expect_within 60 test ! -e "/proc/$pid"
	run_sandcastle stop "$box"
	expect_one_line_error "no sandbox named 'quiet-dune'"
}

test_a_sandbox_ends_with_whom_it_is_tied_to_or_is_killed()
{
	local box pid dir

	dir=$(runtime_dir)
	# A shell that starts one and is killed.
	sh -c 'sandcastle start --tie-to-parent >name; echo done >started; sleep 300' &
	expect_within 60 test -e started
	box=$(cat name)
	expect_same 0 "$(sandcastle exec "$box" sh -c 'echo $?')"
	run_sandcastle list --json
	expect_match '"tied": true'
	pid=$(json_number pid)
	kill -KILL $!
	wait $! 2>/dev/null
	expect_within 60 test ! -e "/proc/$pid"
	[ ! -e "$dir" ] || fail "$dir is left"

	# A sandbox of `run` has the same channel, is asked to stop by it, and says so.
	sandcastle run --name for-run -- sh -c 'echo up; exec sleep 300' >run.out 2>&1 &
	expect_within 60 grep -q up run.out
	run_sandcastle exec for-run echo beside
	expect_out beside
	run_sandcastle stop for-run
	expect_code 0
	wait $!
	expect_same 143 $?

	# What a killed one leaves, the next command removes.
	run_sandcastle start
	expect_code 0
	# shellcheck disable=SC2154 # lib.sh sets it
	box=$out
	[[ $box =~ ^[a-z]+-[a-z]+$ ]] || fail "a name of two words was expected"
	run_sandcastle list --json
	pid=$(json_number pid)
	kill -KILL "$pid"
	expect_within 60 test ! -e "/proc/$pid"
	[ -e "$dir/$box" ] || fail "$dir/$box is gone by itself"
	run_sandcastle list --quiet
	expect_out ''
	[ ! -e "$dir" ] || fail "$dir is left"
}
