#!/usr/bin/env bash
# ceiling.sh [MEMORY...]: what an idle sandbox holds after its start, by its ceiling: what that costs
# beyond the first are the guest kernel's page structures. Time plays no part:
#	./dev lab --timeout 5m -- tests/bench/ceiling.sh
set -u

# shellcheck disable=SC2154 # set by coproc
for memory in "${@:-512M}"; do
	coproc box { exec sandcastle run --cpus 1 --memory "$memory" -- \
		sh -c 'grep MemTotal /proc/meminfo; exec cat'; }
	pid=$box_PID
	read -r _ total _ <&"${box[0]}" || exit
	sleep 5
	read -r _ pages shared _ <"/proc/$pid/statm"
	echo "$memory: the guest's MemTotal $((total / 1024)) MiB," \
		"resident $((pages / 256)) MiB, private to the VMM $(((pages - shared) * 4)) KiB"
	eval "exec ${box[1]}>&-"
	wait "$pid"
done
