# shellcheck shell=bash
# libsandcastle by its examples, with real sandboxes.

examples=$LAB_REPO/build/examples

test_the_examples()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	run "$examples/hello" sh -c 'echo "in $(uname -n), $(id -un)"; echo err >&2; exit 9'
	expect_code 9
	expect_match "^in [a-z]+-[a-z]+, $(id -un)$"
	expect_err err
	run env LIBSANDCASTLE="$LAB_REPO/build/libsandcastle.so.0" "$LAB_REPO/examples/hello.py" sh -c 'pwd; exit 4'
	expect_code 4
	expect_out /
}

test_a_shell_on_a_terminal()
{
	command -v script >/dev/null || skip "no script(1)"
	run script -qec "stty rows 33 cols 99; $examples/shell sh -c 'stty size; tty; exit 8'" /dev/null </dev/null
	expect_code 8
	expect_match '33 99'
	expect_match '^/dev/pts/'
}

test_a_runner_and_its_sudden_end()
{
	local pid

	echo data >file
	run "$examples/ci" 'cat file' 'false; exit 3'
	expect_code 1
	expect_match '^--- false; exit 3: exit code 3$'
	expect_err_match '2 of 2 done, 1 failed'
	# Killed at any time, it takes its sandboxes along; the harness looks whether anything is left.
	"$examples/ci" 'sleep 600' >/dev/null 2>&1 &
	pid=$!
	sleep 3
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	expect_within 30 no_sandcastle
}

no_sandcastle()
{
	! pgrep -u "$UID" -x sandcastle >/dev/null
}
