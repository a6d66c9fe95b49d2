# shellcheck shell=bash
# Sandboxes that stay: start, exec, list, stats, wait, stop. Few of them carry all the checks.

# The first number called $1 in the JSON of the last command.
json_number()
{
	grep -o "\"$1\": *[0-9]*" "$TEST_DIR/.out" | head -n 1 | grep -o '[0-9]*$'
}

runtime_dir()
{
	printf '%s/sandcastle' "${XDG_RUNTIME_DIR:-/run/user/$UID}"
}

# runs_commands N: that many commands run in the only sandbox. To ask costs what is waited for.
runs_commands()
{
	sleep 1
	[[ $(sandcastle list) =~ [[:space:]]$1$ ]]
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
	[ "$(json_number resident)" -gt 1048576 ] || fail "memory in use was expected"
	[ "$(json_number resident)" -lt "$(json_number memory)" ] || fail "more is in use than may be"
	pid=$(json_number pid)
	run_sandcastle list
	expect_match "^quiet-dune +$pid running .* [0-9.]+[MG] / [0-9.]+[MG] +0\$"
	# One that is stuck holds nobody up for long, and is said to be.
	kill -STOP "$pid"
	run_sandcastle list --json
	expect_code 0
	expect_match '"state": "no-answer"'
	kill -CONT "$pid"
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
	expect_within 60 says up signal.out
	kill -TERM $!
	wait $!
	expect_same 3 $?
	expect_same $'up\ngot it' "$(cat signal.out)"
	sandcastle exec "$box" sh -c 'echo up; exec sleep 300' >killed.out &
	expect_within 60 says up killed.out
	kill -KILL $!
	wait $! 2>/dev/null
	expect_within 60 sh -c "sandcastle list --json | grep -q '\"commands\": \[\]'"

	# One that nobody waits for.
	run_sandcastle exec --detach "$box" echo nobody waits for this
	expect_code 0
	expect_match '^[0-9]+$'
	expect_within 60 sh -c "sandcastle logs $box | grep -q '^nobody waits for this$'"

	# 64 at once: none ends before all run, since they wait for the end of one pipe.
	mkfifo gate
	exec 5<>gate
	for ((i = 1; i <= 64; i++)); do
		sandcastle exec "$box" sh -c "cat; echo number $i; exit $i" <gate 5>&- >"$i.out" &
		pids+=($!)
	done
	expect_within 120 runs_commands 64
	exec 5>&-
	for ((i = 1; i <= 64; i++)); do
		wait "${pids[i - 1]}"
		expect_same "$i" $?
		expect_same "number $i" "$(<"$i.out")"
	done

	run_sandcastle stats --json "$box"
	expect_code 0
	[ "$(json_number resident)" -gt 1048576 ] || fail "more memory was expected"
	[ "$(json_number total)" -gt 1048576 ] || fail "the guest was expected to speak of its memory"
	expect_match '"power":\{"ac":(true|false)'
	expect_match '"files":\{"base":\{"known":[1-9][0-9]*,"known_max":[1-9]'
	run_sandcastle stats "$box"
	expect_match '^memory the guest holds +[0-9.]+ MiB$'
	expect_match '^files known of the base +[1-9][0-9]* of [0-9]+$'

	# Stopping waits for the commands, says so to who waits, and leaves nothing.
	sandcastle wait "$box" >wait.out &
	pids=($!)
	sandcastle exec "$box" sh -c 'trap "echo bye >/srv/shared/bye; exit 0" TERM; echo up; while :; do sleep 0.1; done' >stopped.out &
	pids+=($!)
	expect_within 60 says up stopped.out
	run_sandcastle stop "$box"
	expect_code 0
	expect_out ''
	wait "${pids[0]}"
	expect_same 0 $?
	wait "${pids[1]}"
	expect_same 0 $?
	expect_same stopped "$(cat wait.out)"
	expect_same bye "$(cat shared/bye)"
	[ ! -e "$dir/$box" ] || fail "$dir/$box is left"
	expect_within 60 test ! -e "/proc/$pid"
	# The folder of all of them goes with the next command that looks.
	run_sandcastle stop "$box"
	expect_one_line_error "no sandbox named 'quiet-dune'"
	[ ! -e "$dir" ] || fail "$dir is left"
}

test_a_terminal_and_commands_of_a_file()
{
	command -v script >/dev/null || skip "no script(1)"
	mkdir work
	cat >box.sandbox <<-'END'
		[sandbox]
		name = quiet-dune
		env = COLOUR=sand
		[map work]
		host = work
		guest = /work
		[command]
		run = echo "$COLOUR in $(pwd)"; printf unfinished
		run = touch /work/x; exit 6
		run = echo not reached
	END
	run_sandcastle start --config box.sandbox
	expect_code 0
	expect_out quiet-dune
	expect_within 30 sh -c 'sandcastle logs quiet-dune | grep -q "^sandcastle: command 2 failed"'
	run sh -c 'sandcastle logs quiet-dune | sed -n "/^sandcastle: command 1/,\$p"'
	expect_match "^sand in $HOME\$"
	expect_match '^unfinished$'
	expect_match '^touch: .*Read-only file system$'
	expect_match '^sandcastle: command 2 failed with exit code 6; those after it are not run$'
	expect_no_match 'not reached$'

	# Its terminal is the guest's: size, keys, raw mode; and ours is as before afterwards.
	mkfifo keys
	exec 5<>keys
	cat >typing <<-'END'
		tty >terminal
		stty rows 33 cols 99
		stty -g >before
		sandcastle exec quiet-dune sh -c '
			trap "echo interrupted" INT
			tty; stty size; cat
			until [ "$(stty size)" = "40 120" ]; do sleep 0.2; done
			echo resized; read -r line; echo "got $line"; exit 7'
		echo "code $?"
		stty -g >after
	END
	script -qec "sh typing" /dev/null <keys >screen 5>&- &
	expect_within 30 says '^33 99' screen
	grep -q '^/dev/pts/' screen || fail "no terminal"
	stty -F "$(<terminal)" -a | grep -q -- '-isig' || fail "keys do not go to the command as they are"
	printf 'echoed\r' >&5
	# Once by the terminal, once by cat.
	# shellcheck disable=SC2016
	expect_within 20 sh -c '[ "$(grep -c "^echoed" screen)" = 2 ]'
	printf '\003' >&5
	expect_within 20 says 'interrupted' screen
	stty -F "$(<terminal)" rows 40 cols 120
	expect_within 20 says '^resized' screen
	printf 'it\r' >&5
	expect_within 20 says '^code 7' screen
	grep -q '^got it' screen || fail "what was typed did not arrive"
	wait $!
	expect_same "$(<before)" "$(<after)"

	# The console: a shell of root's, which is there again after a detach.
	TERM=dumb script -qec 'stty rows 33 cols 99; sandcastle attach quiet-dune; echo "code $?"' \
		/dev/null <keys >screen 5>&- &
	expect_within 30 says 'Ctrl-] detaches' screen
	printf 'kept=it; stty size; tty\r' >&5
	expect_within 60 says '^33 99' screen
	expect_within 20 says '^/dev/hvc0' screen
	# Another one sees what is typed.
	sandcastle attach quiet-dune </dev/null >second 5>&- &
	expect_within 30 says hvc0 second
	# shellcheck disable=SC2016
	printf 'echo $((6 * 7))\r' >&5
	expect_within 20 says '^42' second
	printf '\035' >&5
	expect_within 20 says '^code 0' screen
	# shellcheck disable=SC2016 # for the shell in the guest
	run_sandcastle attach quiet-dune <<<'echo "still $kept, $(id -un)"; exit'
	expect_code 0
	expect_match '^still it, root'
	# The shell has ended, and with it whoever was there.
	wait
	exec 5>&-
	run_sandcastle stop quiet-dune
	expect_code 0
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
	[ ! -e "$dir/$box" ] || fail "$dir/$box is left"

	# A sandbox of `run` has the same channel, is asked to stop by it, and says so.
	sandcastle run --name for-run -- sh -c 'echo up; exec sleep 300' >run.out 2>&1 &
	expect_within 60 says up run.out
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
