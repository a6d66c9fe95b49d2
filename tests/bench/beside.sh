#!/usr/bin/env bash
# beside.sh [MEMORY]: what the host sees of a guest that allocates, touches and frees 1 GiB, in
# Sandcastle and in QEMU with virtio-balloon-pci,free-page-reporting=on: the same kernel as an
# uncompressed ELF, one CPU, the same busybox. For docs/memory.md; where time is counted:
#	./dev lab --counted --timeout 15m -- tests/bench/beside.sh 4G
set -u

memory=${1-4G}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
busybox=$(command -v busybox)
job='echo up; sleep 5; dd if=/dev/zero of=/dev/null bs=1G count=1 2>/dev/null; echo freed; sleep 12'

# now: sets ms, without starting a process.
now()
{
	ms=${EPOCHREALTIME/[.,]/}
	ms=$((ms / 1000))
}

# look: sets rss, the resident MiB of process $pid.
look()
{
	local pages

	read -r _ pages _ <"/proc/$pid/statm" 2>/dev/null || return 1
	rss=$((pages / 256))
}

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
		kill -0 "$pid" 2>/dev/null || exit 1
		sleep 0.02
	done
}

# watch NAME: process $pid does the job, its output is in $dir/out.
watch()
{
	local before top start back='' at='' next=1

	wait_for up
	sleep 4
	look
	before=$rss top=$rss
	until said freed; do
		look && [ "$rss" -gt "$top" ] && top=$rss
		sleep 0.02
	done
	now
	start=$ms
	while look && [ "$ms" -lt $((start + 11000)) ]; do
		[ -n "$back" ] || [ "$rss" -gt $((before + 16)) ] || back=$((ms - start))
		if [ "$ms" -ge $((start + next * 1000)) ]; then
			at+=" ${next}s:$rss"
			next=$((next * 2))
		fi
		sleep 0.05
		now
	done
	echo "$1: idle $before MiB, at most $top; after it was freed$at 11s:$rss;" \
		"within 16 MiB of before: ${back:-never} ms"
	wait "$pid"
}

# The second start has the host's files in memory, and the kernel in the cache.
sandcastle run --memory "$memory" --cpus 1 -- true || exit
: >"$dir/out"
sandcastle run --memory "$memory" --cpus 1 -- "$busybox" sh -c "$job" >"$dir/out" &
pid=$!
watch sandcastle

kernels=("${XDG_CACHE_HOME:-$HOME/.cache}"/sandcastle/kernels/*.elf)
mkdir -p "$dir/root/bin" "$dir/root/dev"
cp "$busybox" "$dir/root/bin/busybox"
{
	printf '#!/bin/busybox sh\n/bin/busybox --install -s /bin\nexport PATH=/bin\nmount -t devtmpfs dev /dev\n'
	while read -r _ module _; do
		cp "$module" "$dir/root/"
		printf 'insmod /%s\n' "${module##*/}"
	done < <(/sbin/modprobe -a --show-depends virtio_pci virtio_balloon | awk '!seen[$2]++')
	printf '%s\npoweroff -f\n' "$job"
} >"$dir/root/init"
chmod +x "$dir/root/init"
(cd "$dir/root" && find . | "$busybox" cpio -o -H newc >"$dir/initrd" 2>/dev/null)

# qemu NAME KERNEL-OPTION...
qemu()
{
	: >"$dir/out"
	qemu-system-x86_64 -M q35,usb=off -accel kvm -cpu host -smp 1 -m "$memory" -nodefaults \
		-no-user-config -display none -no-reboot -kernel "${kernels[0]}" -initrd "$dir/initrd" \
		-append "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check ${*:2}" \
		-device virtio-balloon-pci,free-page-reporting=on -serial "file:$dir/out" &
	pid=$!
	watch "$1"
}

qemu "qemu" ''
qemu "qemu, Sandcastle's options for memory" swiotlb=noforce init_on_alloc=0 \
	sysctl.vm.percpu_pagelist_high_fraction=1024
