# shellcheck shell=bash
# counted
# Many sandboxes at once.

test_twenty_at_once()
{
	local -a pids=()
	local i

	for i in {1..20}; do
		timeout 600 sandcastle run --cpus 1 --memory 256M -- echo "number $i" >"$i.out" 2>"$i.err" &
		pids+=($!)
	done
	for i in {1..20}; do
		wait "${pids[i - 1]}" || fail "sandbox $i: exit code $?, $(cat "$i.err")"
		expect_same "number $i" "$(cat "$i.out")"
	done
}
