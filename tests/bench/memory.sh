#!/usr/bin/env bash
# memory.sh freed | squeeze | cost | ceiling [MEMORY...]: a sandbox's memory as the host sees it. Called by
# ./dev bench memory, as root in the lab; the sandboxes are an ordinary user's. See docs/memory.md.
#
# freed     the guest allocates, touches and frees 1 GiB, beside QEMU with free page reporting
# squeeze   the guest holds 1 GiB of page cache and the host (a cgroup) is cut to half of what it holds
# cost      a build in the guest with its balloon's driver and without, and with settings of its kernel
# ceiling   what an idle sandbox holds, by its ceiling
set -u

# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
dir=$(mktemp -d)
group=/sys/fs/cgroup/memory-bench
trap 'rm -rf "$dir"; rmdir "$group" 2>/dev/null' EXIT
chmod 755 "$dir"
export XDG_CACHE_HOME=$dir/cache XDG_RUNTIME_DIR=$dir/run HOME=$dir/home
mkdir "$dir"/{cache,run,home,in}
chmod 700 "$dir/run"
: >"$dir/out"
chown -R user: "$dir"
copy_program "$(command -v sandcastle)" "$dir/sandcastle"
cd "$dir/home" || exit
# To wait without a process.
exec {never}<> <(:)

pause()
{
	read -r -t "$1" <&"$never"
}

# now: sets ms, without starting a process.
now()
{
	ms=${EPOCHREALTIME/[.,]/}
	ms=$((ms / 1000))
}

# In place of this shell: an ordinary user's `sandcastle run`.
sandbox()
{
	LD_LIBRARY_PATH=$dir/sandcastle exec setpriv --reuid=user --regid=user --init-groups -- \
		"$dir/sandcastle/program" run --cpus 1 "$@"
}

# look: sets rss, the resident MiB of process $pid, and private, its KiB that are not in a file.
look()
{
	local pages shared

	read -r _ pages shared _ <"/proc/$pid/statm" 2>/dev/null || return 1
	rss=$((pages / 256)) private=$(((pages - shared) * 4))
}

# Whether the guest's output has the line $1.
said()
{
	local line

	while read -r line; do
		[ "${line%$'\r'}" != "$1" ] || return 0
	done <"$dir/out"
	return 1
}

wait_for()
{
	until said "$1"; do
		kill -0 "$pid" 2>/dev/null || { echo "$1: the guest has ended" >&2 && exit 1; }
		pause 0.02
	done
}

# --- freed --------------------------------------------------------------------------------------

job='echo up; sleep 5; dd if=/dev/zero of=/dev/null bs=1G count=1 2>/dev/null; echo freed; sleep 12'

# watch NAME: process $pid does the job, its output is in $dir/out.
watch()
{
	local before top start back=never next=1
	local -a at=()

	wait_for up
	pause 4
	look
	before=$rss top=$rss
	until said freed; do
		look && [ "$rss" -gt "$top" ] && top=$rss
		pause 0.02
	done
	now
	start=$ms
	while look && [ "$ms" -lt $((start + 11000)) ]; do
		[ "$back" != never ] || [ "$rss" -gt $((before + 16)) ] || back=$((ms - start))
		if [ "$ms" -ge $((start + next * 1000)) ]; then
			at+=("$rss")
			next=$((next * 2))
		fi
		pause 0.05
		now
	done
	# QEMU's guest RAM is in no file.
	[ "$1" = sandcastle ] || private=-
	printf '%-32s %8d %8d %8d %8d %8d %8d %8s %8s\n' "$1" "$before" "$top" "${at[@]}" "$back" "$private"
	wait "$pid"
}

# freed_in_qemu NAME KERNEL-OPTION...
freed_in_qemu()
{
	: >"$dir/out"
	LD_LIBRARY_PATH=$dir/qemu "$dir/qemu/program" -L "$dir/firmware" -M q35,usb=off -accel kvm -cpu host -smp 1 \
		-m "$memory" -nodefaults -no-user-config -display none -no-reboot -kernel "$elf" -initrd "$dir/initrd" \
		-append "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check ${*:2}" \
		-device virtio-balloon-pci,free-page-reporting=on,romfile= -serial "file:$dir/out" &
	pid=$!
	watch "$1"
}

# The same kernel as an uncompressed ELF, one CPU, the same busybox.
make_initrd()
{
	local module

	mkdir -p "$dir/root/bin" "$dir/root/dev"
	cp "$busybox" "$dir/root/bin/busybox"
	{
		printf '#!/bin/busybox sh\n/bin/busybox --install -s /bin\nexport PATH=/bin\nmount -t devtmpfs dev /dev\n'
		/sbin/modprobe -a --show-depends virtio_pci virtio_balloon | awk '!seen[$2]++ { print $2 }' |
			while read -r module; do
				cp "$module" "$dir/root/"
				printf 'insmod /%s\n' "${module##*/}"
			done
		printf '%s\npoweroff -f\n' "$job"
	} >"$dir/root/init"
	chmod +x "$dir/root/init"
	(cd "$dir/root" && find . | "$busybox" cpio -o -H newc >"$dir/initrd" 2>/dev/null)
}

freed()
{
	local memory=${1-4G} busybox elf

	busybox=$(command -v busybox)
	printf '%-32s %8s %8s %8s %8s %8s %8s %8s %8s\n' "1 GiB freed, MiB resident ($memory)" idle most '1 s' '2 s' '4 s' '8 s' \
		'back, ms' 'own, KiB'
	: >"$dir/out"
	sandbox --memory "$memory" -- "$busybox" sh -c "$job" >"$dir/out" &
	pid=$!
	watch sandcastle
	elf=$(find "$XDG_CACHE_HOME" -name '*.elf' | head -n 1)
	make_initrd
	copy_program "$(command -v qemu-system-x86_64)" "$dir/qemu"
	mkdir "$dir/firmware"
	cp -L /usr/share/{qemu,seabios}/*.{bin,rom} "$dir/firmware/" 2>/dev/null
	freed_in_qemu qemu ''
	freed_in_qemu "qemu, Sandcastle's settings" swiotlb=noforce init_on_alloc=0 \
		sysctl.vm.percpu_pagelist_high_fraction=1024
}

# --- squeeze ------------------------------------------------------------------------------------

# Sets held (MiB the group is charged for) and met (how often its limit was met).
look_at_group()
{
	local key value

	read -r held <"$group/memory.current"
	held=$((held >> 20))
	while read -r key value; do
		[ "$key" != high ] || met=$value
	done <"$group/memory.events"
}

squeeze()
{
	local before next=1 line start in=$dir/in
	local -a at=()

	echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir "$group" || exit
	# A hole: the host holds nothing of it.
	truncate -s 1G "$in/zeroes"
	coproc box {
		echo "$BASHPID" >"$group/cgroup.procs"
		sandbox --memory 2G --no-dax --map "$in" -- bash -c "sleep 1000 & cat '$in/zeroes' >/dev/null; echo read
			read -r; jobs -r | wc -l; dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null && echo got; jobs -r | wc -l"
	}
	# shellcheck disable=SC2154 # set by coproc
	pid=$box_PID
	read -r line <&"${box[0]}"
	[ "$line" = read ] || exit
	pause 3
	look_at_group
	before=$held
	echo "$((before / 2))M" >"$group/memory.high"
	now
	start=$ms
	while [ "$next" -le 10 ]; do
		pause 0.05
		now
		if [ "$ms" -ge $((start + next * 1000)) ]; then
			look_at_group
			at+=("$held")
			next=$((next + 1))
		fi
	done
	printf '%-32s %8s' 'squeezed to half, MiB charged' 'before'
	printf ' %6d s' 1 2 3 4 5 6 7 8 9 10
	printf '\n%-32s %8d' "limit met $met times" "$before"
	printf ' %8d' "${at[@]}"
	printf '\n%-32s %8s' 'of the gibibyte given back, %' ''
	for held in "${at[@]}"; do
		printf ' %8d' $(((before - held) * 100 / 1024))
	done
	printf '\n'
	now
	start=$ms
	echo >&"${box[1]}"
	while read -r line <&"${box[0]}"; do
		now
		echo "then, after $((ms - start)) ms, processes of the guest or what it needed: $line"
	done
	wait "$pid"
	rmdir "$group"
}

# --- cost ---------------------------------------------------------------------------------------

make_build()
{
	cat >"$dir/in/build" <<'GUEST'
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
	echo "$(((${EPOCHREALTIME/[.,]/} - start) / 1000)) $1"
	read -r
	sleep 8
	echo look
	read -r
}

round 'warm'
for ((i = 0; i < ROUNDS; i++)); do
	round 'with the driver'
	echo "$dev" >$drv/unbind
	round 'without the driver'
	echo "$dev" >$drv/bind
	# It takes its pages, and what is free is reported.
	sleep 10
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
GUEST
}

cost()
{
	local before=0 line

	make_build
	printf '%-32s %8s %8s %8s\n' 'twelve compilers, two at a time' ms 'CPU, ms' 'MiB 8 s later'
	coproc box { ROUNDS=${1-3} sandbox --env ROUNDS --user root --memory 2G --map "$dir/in" --map "$LAB_REPO:/src" \
		-- sh -c "cd /src && exec bash '$dir/in/build'"; }
	pid=$box_PID
	while read -r line <&"${box[0]}"; do
		read -ra fields <"/proc/$pid/stat"
		used=$((fields[13] + fields[14]))
		if [ "$line" = look ]; then
			look
			printf ' %8d\n' "$rss"
			before=$used
		else
			printf '%-32s %8d %8d' "${line#* }" "${line%% *}" $(((used - before) * 10))
		fi
		echo >&"${box[1]}"
	done
	wait "$pid"
}

# --- ceiling ------------------------------------------------------------------------------------

ceiling()
{
	local memory total

	printf '%-32s %8s %8s %8s\n' 'idle after its start' 'guest MiB' 'resident' 'own, KiB'
	for memory in "${@:-512M}"; do
		coproc box { sandbox --memory "$memory" -- sh -c 'grep MemTotal /proc/meminfo; exec cat'; }
		pid=$box_PID
		read -r _ total _ <&"${box[0]}" || exit
		pause 5
		look
		printf '%-32s %8d %8d %8d\n' "--memory $memory" $((total / 1024)) "$rss" "$private"
		eval "exec ${box[1]}>&-"
		wait "$pid"
	done
}

# The second start has the kernel in the cache, and the host's files in memory.
(sandbox --memory 512M -- true) || exit
"$@"
