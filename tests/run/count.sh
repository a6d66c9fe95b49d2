# shellcheck shell=bash
# Sourced by ./dev: what the stages of ./dev test add up.

# A stage of ./dev test adds what it ran to these.
passed=0 failed=0 skipped=0

# count PASSED FAILED SKIPPED
count()
{
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

# remember FILE: keeps what FILE says of tests that failed, for the end of a long run.
remember()
{
	grep -ahE -A 45 '^(FAIL |\[FAIL\]|Test Failed\.|Test timed out)' "$1" >>"$scratch/failures"
}

# Counts ctest's log $1: the tests inside a Criterion binary, and 1 for any other program. A binary
# that failed without saying which test did (a leak, a crash, a time limit) is one more failure.
count_ctest()
{
	remember "$1"
	# Three numbers, meant to be three arguments.
	# shellcheck disable=SC2046
	count $(awk '
		function finish() {
			if (open && skip) { skipped++ }
			else if (open && good) { passed += ok + bad ? ok : 1 }
			else if (open) { passed += ok; failed += bad ? bad : 1 }
		}
		/^[0-9]+\/[0-9]+ Testing: / { finish(); open = 1; good = skip = ok = bad = 0 }
		/^\[.*Synthesis.*: Tested:/ || /^\[.*Synthesis: / {
			gsub(/\033\[[0-9;]*m/, "")
			for (i = 1; i < NF; i++) {
				if ($i == "Passing:") ok += $(i + 1)
				if ($i == "Failing:" || $i == "Crashing:") bad += $(i + 1)
			}
		}
		/^\[SKIP\]/ { skipped++ }
		/^Test Passed\.$/ { good = 1 }
		/^Test Skipped\.$/ { skip = 1 }
		END { finish(); print passed + 0, failed + 0, skipped + 0 }' "$1")
}

# Counts the last line of the guest tests in file $1, "N passed, N failed, N skipped".
count_guest()
{
	local line

	remember "$1"
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$1" | tail -n 1)
	if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+) ]]; then
		count "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "${BASH_REMATCH[3]}"
	else
		echo "the guest tests ended before they could say how many passed"
		count 0 1 0
	fi
}
