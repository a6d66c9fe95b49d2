#!/usr/bin/env bash
# memory.sh [MEMORY] [OPTION...]: what the host sees of a guest that allocates, touches and frees
# 1 GiB. For docs/memory.md; run it where time is counted, the lab is shared:
#	./dev lab --counted --timeout 15m -- tests/bench/memory.sh 4G --cpus 1
set -u

memory=${1-4G}
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# Milliseconds, without starting a process.
now()
{
	local t=${EPOCHREALTIME/./}

	echo $((t / 1000))
}

# Resident and private memory of the sandbox in MiB and KiB. Sets rss and private.
look()
{
	local pages shared

	read -r _ pages shared _ <"/proc/$pid/statm" 2>/dev/null || return 1
	rss=$((pages / 256)) private=$(((pages - shared) * 4))
}

said()
{
	local line

	while read -r line; do
		[ "$line" != "$1" ] || return 0
	done <"$dir/out"
	return 1
}

wait_for()
{
	until said "$1"; do
		kill -0 "$pid" 2>/dev/null || exit 1
		sleep 0.02
	done
}

# The second start has the host's files in memory.
sandcastle run --memory "$memory" "$@" -- true || exit
: >"$dir/out"
sandcastle run --memory "$memory" "$@" -- sh -c 'echo up; sleep 5
	dd if=/dev/zero of=/dev/null bs=1G count=1 2>/dev/null; echo freed; sleep 12' >"$dir/out" &
pid=$!
start=$(now)
wait_for up
echo "start to the command's first line: $(($(now) - start)) ms"
sleep 4
look
before=$rss
echo "idle: $rss MiB resident, $private KiB private to the VMM"
wait_for freed
freed=$(now)
look
echo "freed: $rss MiB resident"
back=
until [ $(($(now) - freed)) -gt 11000 ]; do
	look || break
	if [ -z "$back" ] && [ "$rss" -le $((before + 16)) ]; then
		back=$(($(now) - freed))
		echo "within 16 MiB of before: after $back ms"
	fi
	sleep 0.05
done
[ -n "$back" ] || echo "not within 16 MiB of before in 11 s"
echo "in the end: $rss MiB resident, $private KiB private to the VMM"
wait "$pid"
