# shellcheck shell=bash
# Sourced by ./dev: the guest tests, in as many L1 as there are CPUs.

labs=() # the L1s that this call keeps up

# guest_stage DURATION FILTER: as many L1 as there are CPUs. Each takes the next test of one list as
# soon as it has done one, the tests for the ordinary user before those for root.
guest_stage()
{
	local k who shares=1

	need lab
	{ build_quietly gcc '' && make_package; } || { count 0 1 0; return; }
	for who in user root; do
		tests/guest/run.sh --list "$who" "$2" >"$scratch/tests.$who"
	done
	if ! on_this_machine; then
		shares=$(cat "$scratch"/tests.* | wc -l)
		[ "$shares" -le "$jobs" ] || shares=$jobs
	elif [ -s "$scratch/tests.root" ] && [ "$(id -u)" -ne 0 ]; then
		echo "The tests for root are left out: on this machine they need root."
		: >"$scratch/tests.root"
	fi
	for ((k = 1; k <= shares; k++)); do
		on_this_machine || labs+=("test-$$-$k")
		guest_share "$1" "$k" "${labs[k - 1]-}" &
	done
	wait
	labs_down
	for k in "$scratch"/guest.*; do
		[ ! -e "$k" ] || count_guest "$k"
	done
}

# next_test WHO: takes the first test off the list; an empty line if there is none.
next_test()
{
	(
		flock 9
		head -n 1 "$scratch/tests.$1" | grep . || echo
		sed -i 1d "$scratch/tests.$1"
	) 9>"$scratch/lock.$1"
}

# guest_share DURATION K [L1]: one L1's work, by its log in guest.K.WHO.
guest_share()
{
	local who line names lab=${3:-up}

	if [ -n "${3-}" ] && ! tests/lab/lab.sh --name "$lab" --up; then
		: >"$scratch/guest.$2.user"
		return
	fi
	for who in user root; do
		[ -s "$scratch/tests.$who" ] || continue
		mkfifo "$scratch/names.$2.$who"
		exec {names}<>"$scratch/names.$2.$who"
		next_test "$who" >&"$names"
		tests/lab/lab.sh --name "$lab" "--$who" --timeout "$1" -- \
			tests/guest/run.sh --asked <&"$names" 2>&1 |
			while IFS= read -r line; do
				printf '%s\n' "$line"
				[[ ! $line =~ ^(ok|FAIL|skip)\  ]] || next_test "$who" >&"$names"
			done | tee "$scratch/guest.$2.$who"
		exec {names}>&-
	done
}

# True if the lab is this machine itself.
on_this_machine()
{
	tests/lab/lab.sh --status | grep -q '^this machine'
}

labs_down()
{
	local lab

	for lab in "${labs[@]}"; do
		tests/lab/lab.sh --name "$lab" --down
	done
	labs=()
}
