#!/usr/bin/env bash
# wakeups.sh [SECONDS]: how often an idle sandbox wakes the host, on mains and on battery. For
# docs/battery.md:
#	./dev lab --timeout 5m -- tests/bench/wakeups.sh
set -u

seconds=${1-30}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# sleeps: sets slept[THREAD] to how often each thread of $pid went to sleep, and ticks to the CPU
# time of all, in 1/100 s.
declare -A slept
sleeps()
{
	local task name key value fields

	for task in "/proc/$pid/task"/*; do
		read -r name <"$task/comm"
		while read -r key value; do
			[ "$key" != voluntary_ctxt_switches: ] || slept[$name]=$value
		done <"$task/status"
	done
	read -ra fields <"/proc/$pid/stat"
	ticks=$((fields[13] + fields[14]))
}

# idle NAME TIMELINE
idle()
{
	local name line='' before_ticks
	local -A before

	printf '%s\n' "$2" >"$dir/timeline"
	coproc box { exec sandcastle run --cpus 1 --memory 1G --battery "$dir/timeline" \
		-- sh -c 'echo up; exec cat'; }
	# shellcheck disable=SC2154 # set by coproc
	pid=$box_PID
	read -r line <&"${box[0]}"
	[ "$line" = up ] || exit 1
	sleep 20
	sleeps
	for name in "${!slept[@]}"; do
		before[$name]=${slept[$name]}
	done
	before_ticks=$ticks
	sleep "$seconds"
	sleeps
	line="$1, in $seconds s:"
	for name in "${!slept[@]}"; do
		line+=" $name $((slept[$name] - before[$name])),"
	done
	echo "$line CPU time $((ticks - before_ticks))0 ms"
	eval "exec ${box[1]}>&-"
	wait "$pid"
	slept=()
}

idle "on mains" 'AC online=1
BAT0 status=Full energy_full=50000000 energy_now=50000000 power_now=0'
idle "on battery" 'AC online=0
BAT0 status=Discharging energy_full=50000000 energy_now=40000000 power_now=7500000'
