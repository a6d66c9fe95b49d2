# shellcheck shell=bash
# Sourced by ./dev: the guest tests, in as many L1 as there are CPUs.

labs=() # the L1s that this call keeps up

# guest_stage DURATION FILTER: as many L1 as there are CPUs, each with a share of the tests.
guest_stage()
{
	local k shares=1

	need lab
	{ build_quietly gcc '' '' && make_package; } || { count 0 1 0; return; }
	on_this_machine || shares=$jobs
	for ((k = 1; k <= shares; k++)); do
		on_this_machine || labs+=("test-$$-$k")
		guest_share "$1" "$2" "$k/$shares" "${labs[k - 1]-}" &
	done
	wait
	labs_down
	for k in "$scratch"/guest.*; do
		count_guest "$k"
	done
}

# guest_share DURATION FILTER K/N [L1]: one share, the tests for the ordinary user and those for root.
guest_share()
{
	local who out lab=${4:-up}

	if [ -n "${4-}" ] && ! tests/lab/lab.sh --name "$lab" --up; then
		: >"$scratch/guest.${3%/*}"
		return
	fi
	for who in user root; do
		if [ "$who" = root ] && [ -z "${4-}" ] && [ "$(id -u)" -ne 0 ]; then
			echo "The tests for root are left out: on this machine they need root."
			continue
		fi
		out=$scratch/guest.${3%/*}.$who
		tests/lab/lab.sh --name "$lab" "--$who" --timeout "$1" -- \
			tests/guest/run.sh "$who" "$2" "$3" 2>&1 </dev/null | tee "$out"
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
