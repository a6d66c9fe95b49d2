# shellcheck shell=bash
# Many sandboxes at once.

test_many_at_once()
{
	local -a pids=()
	local i many=20

	for ((i = 1; i <= many; i++)); do
		timeout 600 sandcastle run --cpus 1 --memory 256M -- echo "number $i" >"$i.out" 2>"$i.err" &
		pids+=($!)
	done
	for ((i = 1; i <= many; i++)); do
		wait "${pids[i - 1]}" || fail "sandbox $i: exit code $?, $(cat "$i.err")"
		expect_same "number $i" "$(cat "$i.out")"
	done
}
