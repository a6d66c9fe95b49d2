#!/usr/bin/env bash
# run.sh user|root [REGEX]: the guest tests for the ordinary user or for root whose "file/name"
# matches. Meant to run in the lab: ./dev test guest [REGEX].
# Prints a line for each test as it ends, what a failed one printed, and the sums at the end.
#
#   run.sh --list user|root [REGEX]   prints their names instead, the longest first
#   run.sh --asked                    runs the tests whose names come from standard input, each as
#                                     it comes, until an empty line
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
passed=0 failed=0 skipped=0

TEST_TOP=$(mktemp -d "${TMPDIR:-/tmp}/guest-tests.XXXXXX")
SANDCASTLE_POLICY_LOG=$TEST_TOP/refused
export TEST_TOP SANDCASTLE_POLICY_LOG
trap 'remove "$TEST_TOP"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck source=tests/guest/lib.sh
. "$here/lib.sh"

# Removes directory $1, in which a test may have closed some.
# shellcheck disable=SC2317 # called by a trap, too
remove()
{
	rm -rf "$1" 2>/dev/null || { chmod -R u+rwX "$1" && rm -rf "$1"; }
}

# for_whom FILE: prints for which user its tests are.
for_whom()
{
	local line

	{ read -r line && read -r line; } <"$1"
	case $line in
	'# root') echo root ;;
	*) echo user ;;
	esac
}

# What takes longer than most, which take some 20 s, and how often as long. It begins first, so that
# no L1 is left with it when the others have ended.
declare -A length=([many/many_at_once]=11 [desktop/weston_in_the_window]=6 [desktop/xorg_follows_the_window]=4
	[install_root/the_debian_package]=5 [run/a_gibibyte_both_ways]=5
	[image_root/no_secret_of_the_host]=4 [control/a_sandbox_that_stays]=4 [cp/both_ways]=3
	[session/an_editor_fills_the_display]=3 [session/one_file_is_opened]=3
	[image/programs_work_as_on_the_host]=3 [network_root/real_clients]=4)

# list WHO REGEX: the tests by their names, the longest first, else in the order they stand there.
list()
{
	local file area function name

	for file in "$here"/test_*.sh; do
		[ "$(for_whom "$file")" = "$1" ] || continue
		area=${file##*/test_}
		area=${area%.sh}
		while read -r function; do
			name=$area/${function#test_}
			[[ ! $name =~ $2 ]] || echo "${length[$name]-1} $name"
		done < <(sed -n 's/^\(test_[a-z0-9_]*\)()$/\1/p' "$file")
	done | sort -s -k 1,1nr | cut -d ' ' -f 2
}

# run_test FILE FUNCTION: in a shell of its own, after find_traces.
run_test()
{
	TEST_DIR=$TEST_TOP/dir
	mkdir "$TEST_DIR"
	cd "$TEST_DIR" || exit 1
	code=0 out='' err='' last_command=''
	# shellcheck source=/dev/null
	. "$1"
	"$2"
	expect_nothing_left "${traces[@]}"
}

# one TEST: runs it, says what came of it, and counts it.
one()
{
	local area=${1%%/*} name=$1 function=test_${1#*/} file start status tenths took

	file=$here/test_$area.sh
	find_traces
	start=$EPOCHREALTIME
	(run_test "$file" "$function") >"$TEST_TOP/output" 2>&1 </dev/null
	status=$?
	# The emulated CPU now and then kills a guest's kernel, see docs/testing.md: said, and
	# tried once more.
	if [ "$status" -ne 0 ] && [ "${LAB_MODE-}" = emulated ] &&
		grep -qE "the guest's kernel panicked|the guest rebooted before" "$TEST_TOP/output"; then
		echo "again $name, whose guest died:"
		sed 's/^/    /' "$TEST_TOP/output"
		pkill -KILL -u "$UID" -x sandcastle
		remove "$TEST_TOP/dir"
		(run_test "$file" "$function") >"$TEST_TOP/output" 2>&1 </dev/null
		status=$?
	fi
	# What a build with SANDCASTLE_POLICY_TRAP says: a line is missing in vmm/confine/policy.def.
	if [ -s "$SANDCASTLE_POLICY_LOG" ]; then
		sort "$SANDCASTLE_POLICY_LOG" | uniq -c >>"$TEST_TOP/output"
		: >"$SANDCASTLE_POLICY_LOG"
		status=1
	fi
	tenths=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 100000))
	took=$((tenths / 10)).$((tenths % 10))
	if [ "$status" -ne 0 ]; then
		failed=$((failed + 1))
		echo "FAIL $name ($took s)"
		sed 's/^/    /' "$TEST_TOP/output"
		pkill -KILL -u "$UID" -x sandcastle
	elif [ -e "$TEST_TOP/dir/.skip" ]; then
		skipped=$((skipped + 1))
		echo "skip $name: $(<"$TEST_TOP/dir/.skip")"
	else
		passed=$((passed + 1))
		echo "ok $name ($took s)"
	fi
	remove "$TEST_TOP/dir"
}

case ${1-user} in
--list)
	list "$2" "${3-}"
	exit
	;;
--asked)
	while read -r name && [ -n "$name" ]; do
		one "$name"
	done
	;;
*)
	for name in $(list "${1-user}" "${2-}"); do
		one "$name"
	done
	;;
esac
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
