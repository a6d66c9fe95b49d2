# shellcheck shell=bash
# Many sandboxes at once.

test_many_at_once()
{
	local -a pids=() options=(--cpus 1 --memory 256M)
	local i many=20

	run_sandcastle template build "${options[@]}"
	expect_code 0
	for ((i = 1; i <= many; i++)); do
		# The first ones are cold starts, all others clones.
		[ "$i" -gt 6 ] || options[4]=--no-template
		[ "$i" -le 6 ] || unset 'options[4]'
		timeout 600 sandcastle run "${options[@]}" -- echo "number $i" >"$i.out" 2>"$i.err" &
		pids+=($!)
	done
	for ((i = 1; i <= many; i++)); do
		wait "${pids[i - 1]}" || fail "sandbox $i: exit code $?, $(cat "$i.err")"
		expect_same "number $i" "$(cat "$i.out")"
	done
}
