# shellcheck shell=bash
# What guest tests are written with; tests/guest/run.sh sources it and then one test file.
#
# A test is a function test_<name>. It runs in a process of its own, in an empty directory ($PWD,
# also $TEST_DIR) that goes away with it, with `set -u`. It passes if it returns; the first
# expectation that is not met ends it and shows what the last command printed. A file whose second
# line is "# root" holds tests that need root in L1, the others run as the ordinary user.
# After each test expect_nothing_left checks what sandboxes must not leave behind.
#
# In L1 each process costs 30 ms or more, so what every test goes through starts none.

# Seconds that one command under `run` may take. A test may set its own.
export TEST_LIMIT=300

# run COMMAND [ARG...]: runs it with this function's standard input. Sets code, out, err (without
# the last newline) and leaves the exact bytes in $TEST_DIR/.out and .err.
run()
{
	last_command=$*
	timeout -k 5 "$TEST_LIMIT" "$@" >"$TEST_DIR/.out" 2>"$TEST_DIR/.err"
	code=$?
	# A NUL cannot be in a variable, which bash reports; who wants it reads the file.
	{ out=$(<"$TEST_DIR/.out") err=$(<"$TEST_DIR/.err"); } 2>/dev/null
	if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then
		note "took longer than TEST_LIMIT=$TEST_LIMIT s, or was killed"
	fi
}

# run_sandcastle ARG...: the same for `sandcastle ARG...`.
run_sandcastle()
{
	run sandcastle "$@"
}

# Says something that is shown if the test fails.
note()
{
	printf '# %s\n' "$*" >&2
}

# Ends the test as failed, showing the last command.
fail()
{
	local frame

	note "$*"
	for ((frame = 1; frame < ${#FUNCNAME[@]}; frame++)); do
		if [[ ${FUNCNAME[frame]} == test_* ]]; then
			note "in ${FUNCNAME[frame]}, ${BASH_SOURCE[frame]##*/}:${BASH_LINENO[frame - 1]}"
		fi
	done
	if [ -n "${last_command-}" ]; then
		note "last command: $last_command"
		note "exit code: $code"
		show_end stdout "$TEST_DIR/.out"
		show_end stderr "$TEST_DIR/.err"
	fi
	exit 1
}

# Shows the end of file $2 under the name $1.
show_end()
{
	if [ -s "$2" ]; then
		note "$1, the last lines of $(wc -c <"$2") bytes:"
		tail -n 30 "$2" | cut -c 1-300 | sed 's/^/#   /' | tr -d '\0' >&2
	else
		note "$1: nothing"
	fi
}

# Ends the test as skipped.
skip()
{
	printf '%s\n' "$*" >"$TEST_DIR/.skip"
	exit 0
}

# Sets busybox: one for a tree that has no libraries.
need_busybox()
{
	busybox=$(command -v busybox) || skip "no busybox on the host"
	! ldd "$busybox" >/dev/null 2>&1 || skip "the host's busybox needs libraries"
}

expect_code()
{
	[ "$code" -eq "$1" ] || fail "expected exit code $1, got $code"
}

# expect_out TEXT: standard output is exactly that, but for the last newline.
expect_out()
{
	[ "$out" = "$1" ] || fail "expected on stdout: $1"
}

expect_err()
{
	[ "$err" = "$1" ] || fail "expected on stderr: $1"
}

# expect_match REGEX: some line of standard output matches the extended regular expression.
expect_match()
{
	grep -qE -- "$1" <<<"$out" || fail "expected a line on stdout that matches: $1"
}

expect_no_match()
{
	! grep -qE -- "$1" <<<"$out" || fail "expected no line on stdout that matches: $1"
}

expect_err_match()
{
	grep -qE -- "$1" <<<"$err" || fail "expected a line on stderr that matches: $1"
}

# expect_one_line_error [REGEX]: how Sandcastle says that it could not: exit code 125, nothing on
# standard output, and one line "sandcastle: ..." on standard error (that matches REGEX).
expect_one_line_error()
{
	expect_code 125
	expect_out ''
	[[ $err != *$'\n'* ]] || fail "expected one line on stderr"
	[[ $err == sandcastle:* ]] || fail "expected stderr to begin with sandcastle:"
	[ -z "${1-}" ] || expect_err_match "$1"
}

# expect_same TEXT TEXT
expect_same()
{
	[ "$1" = "$2" ] || fail "expected '$1', got '$2'"
}

# Nothing is ever written there: to wait for it with a limit starts no process, as sleep would.
exec {silence}<> <(:)

# pause SECONDS
pause()
{
	read -r -t "$1" -u "$silence" || return 0
}

# expect_within SECONDS COMMAND...: COMMAND succeeds within that time, tried over and over. What is
# waited for has the same CPU, so most of it is left to that: a dear COMMAND is tried less often.
expect_within()
{
	local end=$((SECONDS + $1)) start us rest

	shift
	while :; do
		start=$EPOCHREALTIME
		! "$@" || return 0
		[ "$SECONDS" -lt "$end" ] || fail "did not happen in time: $*"
		us=$((2 * (${EPOCHREALTIME/[.,]/} - ${start/[.,]/})))
		[ "$us" -ge 100000 ] || us=100000
		printf -v rest '%d.%06d' $((us / 1000000)) $((us % 1000000))
		pause "$rest"
	done
}

# says REGEX FILE: some line of FILE matches the extended regular expression. Starts no process.
says()
{
	local line

	while IFS= read -r line || [ -n "$line" ]; do
		[[ ! $line =~ $1 ]] || return 0
	done <"$2"
	return 1
} 2>/dev/null

# Sets the array traces to everything that a sandbox could leave behind: processes named
# sandcastle, and files in the places for temporary ones, if they are this user's.
find_traces()
{
	local proc name path runtime=${XDG_RUNTIME_DIR:-/run/user/$UID}

	traces=()
	for proc in /proc/[0-9]*; do
		if [ -O "$proc" ] && read -r name 2>/dev/null <"$proc/comm" && [[ $name == sandcastle* ]]; then
			traces+=("process ${proc#/proc/} ($name)")
		fi
	done
	shopt -s nullglob dotglob globstar
	for path in "$runtime"/** /dev/shm/** /tmp/* /var/tmp/*; do
		# The folder of the sandboxes' folders goes with the next command that looks.
		if [ -O "$path" ] && [ "$path" != "$TEST_TOP" ] && [ "$path" != "$runtime/sandcastle" ]; then
			traces+=("$path")
		fi
	done
	shopt -u nullglob dotglob globstar
}

# expect_nothing_left [TRACE...]: there is nothing but those now, which were there before the test.
# What is on its way out gets some time.
expect_nothing_left()
{
	local end=$((SECONDS + 20)) left trace
	local -a traces=()

	while :; do
		left=
		find_traces
		for trace in "${traces[@]}"; do
			[[ " $* " == *" $trace "* ]] || left+="$trace; "
		done
		[ -n "$left" ] || return 0
		if [ "$SECONDS" -ge "$end" ]; then
			last_command=
			fail "left behind: $left"
		fi
		pause 0.2
	done
}
