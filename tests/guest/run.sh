#!/usr/bin/env bash
# run.sh user|root [REGEX [K/N]]: the guest tests for the ordinary user or for root whose "file/name"
# matches; of these the K-th of N shares of about the same length. Meant to run in the lab:
# ./dev test guest [REGEX].
# Prints a line for each test as it ends, what a failed one printed, and the sums at the end.
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
who=${1-user}
filter=${2-}
share=${3-1/1}
passed=0 failed=0 skipped=0

TEST_TOP=$(mktemp -d "${TMPDIR:-/tmp}/guest-tests.XXXXXX")
export TEST_TOP
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

# wanted FILE: whether its tests are for the user that was asked for.
wanted()
{
	local line

	{ read -r line && read -r line; } <"$1"
	case $line in
	'# root') [ "$who" = root ] ;;
	*) [ "$who" = user ] ;;
	esac
}

# What takes longer than most, which take some 20 s, and how often as long. Only for the shares.
declare -A length=([many/many_at_once]=11 [install_root/the_debian_package]=5 [run/a_gibibyte_both_ways]=5
	[image_root/no_secret_of_the_host]=4 [control/a_sandbox_that_stays]=4 [cp/both_ways]=3
	[image/programs_work_as_on_the_host]=3)
given=()

# mine TEST: whether it is of the share asked for. Each test goes to the share that has been given
# the least so far; to be asked for all tests, in one order.
mine()
{
	local k least=0

	for ((k = 1; k < ${share#*/}; k++)); do
		[ "${given[k]-0}" -ge "${given[least]-0}" ] || least=$k
	done
	given[least]=$((${given[least]-0} + ${length[$1]-1}))
	[ "$least" -eq $((${share%/*} - 1)) ]
}

# test_names FILE: in the order they stand there.
test_names()
{
	sed -n 's/^\(test_[a-z0-9_]*\)()$/\1/p' "$1"
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

for file in "$here"/test_*.sh; do
	wanted "$file" || continue
	area=${file##*/test_}
	area=${area%.sh}
	for function in $(test_names "$file"); do
		name=$area/${function#test_}
		[[ $name =~ $filter ]] || continue
		mine "$name" || continue
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
	done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
