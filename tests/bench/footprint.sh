#!/usr/bin/env bash
# footprint.sh [MEMORY]: what one sandbox of one CPU costs its host beside the guest's RAM, and what its
# guest uses that RAM for, at the time of the first command. For docs/performance.md:
#	./dev lab --counted -- tests/bench/footprint.sh
set -u

memory=${1-2G}
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
mkfifo "$dir/clock"
exec 3<>"$dir/clock"

# Waits without starting a process.
pause()
{
	read -r -t "$1" <&3
}

# Sets anon and file: KiB of the process $1 that are not guest RAM, which is all its shared memory.
read_own()
{
	local key value

	anon=0 file=0
	while read -r key value _; do
		case $key in
		RssAnon:) anon=$value ;;
		RssFile:) file=$value ;;
		esac
	done 2>/dev/null <"/proc/$1/status"
	own=$((anon + file))
	[ "$own" -gt 0 ]
}

# Prints how often the threads of process $1 have gone to sleep so far.
switches()
{
	cat "/proc/$1"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
}

program=$(command -v sandcastle)
echo "program: $(($(stat -c %s "$program") / 1024)) KiB on disk, with symbols"
echo "libraries: $(ldd "$program" | awk '$3 ~ /^\// { print $1 }' | tr '\n' ' ')"

# The second start has the host's files in memory.
sandcastle run --memory "$memory" --cpus 1 -- true || exit
# shellcheck disable=SC2016 # for the shell in the guest
sandcastle run --memory "$memory" --cpus 1 -- sh -c '
	cat /proc/meminfo; cut -d" " -f1,2 /proc/modules | sed "s/^/module /"; echo ready; sleep 30' >"$dir/guest" &
pid=$!
most=0
until grep -qs '^ready' "$dir/guest"; do
	read_own "$pid" && [ "$own" -gt "$most" ] && most=$own
	pause 0.01
	kill -0 "$pid" 2>/dev/null || exit 1
done
pause 5
read_own "$pid"
before=$(switches "$pid")
pause 10
after=$(switches "$pid")
echo "VMM beside guest RAM: $own KiB idle ($anon its own, $file of files), at most $most KiB until the command ran (each 10 ms)"
echo "threads: $(cat "/proc/$pid"/task/*/comm | tr '\n' ' ')"
echo "idle wake-ups of all threads: $(((after - before) / 10)) a second"
echo "guest RAM taken from the host: $(awk '/^RssShmem/ { print $2 }' "/proc/$pid/status") KiB"
echo "inside the guest, KiB:"
awk '/^(MemTotal|MemFree|Buffers|Cached|AnonPages|Shmem|Slab|SUnreclaim|KernelStack|PageTables|Percpu|VmallocUsed):/ {
		print "  " $1, $2 }
	/^module / { n++; bytes += $3 }
	END { print "  modules: " int(bytes / 1024) " (" n ")" }' "$dir/guest"
kill "$pid"
wait "$pid"
