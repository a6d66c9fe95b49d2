#!/usr/bin/env bash
# dax.sh [MEMORY]: what the DAX window costs and saves: the same work in a sandbox with and without it.
# Meant for ./dev lab --counted, see docs/performance.md. Microseconds of the guest, KiB of its memory.
set -u

memory=${1-2G}
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
cd "$dir" || exit 1
chmod 755 .

# Programs and libraries of 128 KiB and more, 200 MB of them.
find /usr/bin /usr/lib/x86_64-linux-gnu -maxdepth 1 -type f -size +128k -printf '%s %p\n' |
	sort -k2 | awk '{ s += $1; if (s > 200e6) exit; print $2 }' >list
printf 'int main(void)\n{\n\treturn 0;\n}\n' >hello.c
cat >inside <<'END'
took() { a=$(date +%s%N); "$@" >/dev/null 2>&1; b=$(date +%s%N); echo $(((b - a) / 1000)); }
used() { awk '/^(Cached|AnonPages|Slab|PageTables):/ { s += $2 } END { print s }' /proc/meminfo; }
echo "python3: $(took python3 -c 'import json') $(took python3 -c 'import json') us"
echo "gcc hello.c: $(took gcc -o /tmp/h hello.c) $(took gcc -o /tmp/h hello.c) us"
xargs ls -l <list >/dev/null
before=$(used)
echo "reading $(xargs cat <list | wc -c) bytes of $(wc -l <list) files"
xargs cat <list >/dev/null
after=$(used)
echo "twice took $((after - before)) KiB; a third time $(took xargs cat <list) us"
END
# The host's page cache has all of it before anything is measured.
sh inside >/dev/null
sandcastle run -- true
for options in '' --no-dax; do
	echo "== sandcastle run $options"
	# Nothing, or one option.
	# shellcheck disable=SC2086
	sandcastle run -v $options --memory "$memory" --cpus 1 --name dax-bench -- sh -c \
		'sh inside; echo over; exec sleep 3600' 2>&1 |
		sed -un 's/^sandcastle: times: /times: /p; /^sandcastle/!p' |
		while read -r line; do
			if [ "$line" = over ]; then
				sandcastle stats --json dax-bench
				sandcastle stop --force dax-bench
			else
				echo "$line"
			fi
		done
done
