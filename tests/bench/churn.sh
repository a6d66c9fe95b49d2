#!/usr/bin/env bash
# churn.sh [ROUNDS]: what giving memory back costs a job that takes and frees much of it: a build with
# two jobs in the guest, with its balloon's driver and without. And settings of the guest's kernel:
# how long the same takes with each, and what the sandbox holds 8 s later. For docs/memory.md:
#	./dev lab --counted --timeout 20m -- tests/bench/churn.sh
set -u

rounds=${1-2}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cat >"$dir/guest" <<'END'
set -u
mm=/sys/kernel/mm
drv=/sys/bus/virtio/drivers/virtio_balloon
dev=$(cd $drv && echo virtio*)
files=(vmm/machine vmm/session launcher/run_options devices/virtio/pci balloon/keeper devices/fs/server)

# The compiler proper on sources that need no header: a file looked up in vain is asked of the host
# each time, and where L1 has it from its own host that is time nobody counts.
cp "$(cc -print-prog-name=cc1)" /tmp/cc1
for f in "${files[@]}"; do
	cc -std=c11 -D_GNU_SOURCE -I. -E -o "/tmp/${f##*/}.i" "$f.c"
done
cd /tmp || exit

build()
{
	local f

	for f in "${files[@]##*/}"; do
		./cc1 -fpreprocessed -quiet -O1 "$f.i" -o "$f.1" &
		./cc1 -fpreprocessed -quiet -O2 "$f.i" -o "$f.2" &
		wait
	done
	rm -f ./*.[12]
}

# round NAME
round()
{
	local start=${EPOCHREALTIME/[.,]/}

	build
	echo "$1: $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
	sleep 8
	echo look
	sleep 0.5
}

round warm
for ((i = 0; i < ROUNDS; i++)); do
	round 'with the driver'
	echo "$dev" >$drv/unbind
	round 'without the driver'
	echo "$dev" >$drv/bind
done
echo 5 >/sys/module/page_reporting/parameters/page_reporting_order
round 'page_reporting_order=5'
echo 9 >/sys/module/page_reporting/parameters/page_reporting_order
echo 100 >/proc/sys/vm/watermark_scale_factor
round 'watermark_scale_factor=100'
echo 10 >/proc/sys/vm/watermark_scale_factor
echo y >$mm/lru_gen/enabled
round 'lru_gen/enabled=y'
echo 1000 >$mm/lru_gen/min_ttl_ms
round 'lru_gen/min_ttl_ms=1000'
END

sandcastle run --memory 2G --cpus 1 -- true || exit
coproc box { ROUNDS=$rounds exec sandcastle run --env ROUNDS --user root --memory 2G --cpus 1 \
	--map "$dir" -- bash "$dir/guest"; }
# shellcheck disable=SC2154 # set by coproc
pid=$box_PID
before=0
while read -r line <&"${box[0]}"; do
	if [ "$line" = look ]; then
		read -r _ pages _ <"/proc/$pid/statm"
		read -ra fields <"/proc/$pid/stat"
		used=$((fields[13] + fields[14]))
		echo "    $((used - before))0 ms of CPU since the last, $((pages / 256)) MiB held"
		before=$used
	else
		echo "$line"
	fi
done
wait "$pid"
