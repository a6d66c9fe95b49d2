#!/usr/bin/env bash
# exec.sh [N]: what a command in a running sandbox costs, in the lab:
#   ./dev lab -- tests/bench/exec.sh            (time)
#   ./dev lab -- tests/bench/exec.sh 2000       (and N of them in a row: memory and descriptors)
# Prints: from `start` to ready; `exec true` beside `true` here, and beside a request that the sandbox
# answers without the guest; 64 at once; what N in a row leave in the sandbox's process and in the agent.
set -u

now()
{
	echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# timed N COMMAND...: milliseconds for each of N runs, the best and the median.
timed()
{
	local n=$1 i start
	local -a ms=()

	shift
	for ((i = 0; i < n; i++)); do
		start=$(now)
		"$@" >/dev/null || return
		ms+=($(($(now) - start)))
	done
	mapfile -t ms < <(printf '%s\n' "${ms[@]}" | sort -n)
	echo "${ms[0]} ms best, ${ms[n / 2]} ms median of $n"
}

# Of the sandbox: descriptors and private memory beyond the guest's RAM; of the agent: both of its own.
leftovers()
{
	local private agent

	private=$(sandcastle stats --json "$box" | grep -o '"private":[0-9]*' | grep -o '[0-9]*$')
	agent=$(sandcastle exec -u root "$box" sh -c 'ls /proc/1/fd | wc -l; grep VmRSS /proc/1/status')
	echo "sandbox: $(find "/proc/$pid/fd" -type l | wc -l) fds, $((private / 1024)) KiB;" \
		"agent: $(tr -s '[:space:]' ' ' <<<"$agent")"
}

start=$(now)
box=$(sandcastle start) || exit 1
echo "start to ready: $(($(now) - start)) ms"
start=$(now)
sandcastle run true
echo "run true: $(($(now) - start)) ms"
pid=$(sandcastle list --json | grep -o '"pid": [0-9]*' | grep -o '[0-9]*$')
trap 'sandcastle stop "$box"' EXIT

echo "true on the host: $(timed 10 /bin/true)"
echo "sandcastle --version: $(timed 10 sandcastle --version)"
echo "exec true: $(timed 10 sandcastle exec "$box" /bin/true)"
# shellcheck disable=SC2016 # for the shell in the guest
echo "fork and exec of true in the guest, 20: $(timed 1 sandcastle exec "$box" sh -c \
	'i=0; while [ $i -lt 20 ]; do /bin/true; i=$((i+1)); done')"

start=$(now)
for ((i = 0; i < 64; i++)); do
	sandcastle exec "$box" /bin/true || echo "one failed: $?" &
done
wait
echo "64 at once: $(($(now) - start)) ms"

[ $# -eq 0 ] && exit 0
leftovers
start=$(now)
for ((i = 0; i < $1; i++)); do
	sandcastle exec "$box" /bin/true || exit 1
	[ $(((i + 1) % ($1 / 4))) -ne 0 ] || leftovers
done
echo "$1 in a row: $(($(now) - start)) ms"
