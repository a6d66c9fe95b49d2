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

# Sets own: KiB of the process $1 that are not guest RAM, which is all its shared memory. Without a
# DAX window, or the files mapped for the guest count as well.
read_own()
{
	local key value

	own=0
	while read -r key value _; do
		case $key in
		RssAnon: | RssFile:) own=$((own + value)) ;;
		esac
	done 2>/dev/null <"/proc/$1/status"
	[ "$own" -gt 0 ]
}

# Prints what process $1 has resident, by mapping. Shared mappings are the guest's: RAM, files in the
# DAX window; but for the base image's index and what KVM shares with us.
print_resident()
{
	awk '/^[0-9a-f]+-[0-9a-f]+ / {
			name = NF > 5 ? $6 : "anonymous, thread stacks"
			sub(/.*\//, "", name)
			guest = $2 ~ /s$/ && $6 !~ /\.index$/ && $6 !~ /^anon_inode/
		}
		/^Rss:/ && guest { of_guest += $2 }
		/^Rss:/ && !guest { rss[name] += $2; all += $2 }
		/^Private_Dirty:/ && !guest { dirty[name] += $2; own += $2 }
		END {
			printf "VMM beside guest RAM: %d KiB idle, %d of it its own, the rest pages of files; mapped for the guest %d KiB\n", all, own, of_guest
			for (name in rss)
				if (rss[name] > 0)
					printf "  %s: %d KiB, %d its own\n", name, rss[name], dirty[name] | "sort -t: -k2 -rn"
		}' "/proc/$1/smaps"
}

# Prints how often the threads of process $1 have gone to sleep so far.
switches()
{
	cat "/proc/$1"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
}

program=$(command -v sandcastle)
echo "program: $(($(stat -c %s "$program") / 1024)) KiB on disk, with symbols"
echo "libraries: $(ldd "$program" | awk '$3 ~ /^\// { print $1 }' | tr '\n' ' ')"

# The second start has the host's files in memory, and the third finds the index checked.
sandcastle run --memory "$memory" --cpus 1 -- true || exit
pause 3
sandcastle run --memory "$memory" --cpus 1 -- true || exit
sandcastle run --memory "$memory" --cpus 1 --no-dax -- sleep 1 &
pid=$!
most=0
while kill -0 "$pid" 2>/dev/null; do
	read_own "$pid" && [ "$own" -gt "$most" ] && most=$own
	pause 0.01
done
wait "$pid" || exit
echo "VMM beside guest RAM: at most $most KiB in a whole run without a DAX window (each 10 ms)"
# shellcheck disable=SC2016 # for the shell in the guest
sandcastle run --memory "$memory" --cpus 1 -- sh -c '
	cat /proc/meminfo; cut -d" " -f1,2 /proc/modules | sed "s/^/module /"; echo ready; sleep 30' >"$dir/guest" &
pid=$!
until grep -qs '^ready' "$dir/guest"; do
	pause 0.1
	kill -0 "$pid" 2>/dev/null || exit 1
done
pause 5
print_resident "$pid"
before=$(switches "$pid")
pause 10
after=$(switches "$pid")
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
