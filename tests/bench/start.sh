#!/usr/bin/env bash
# start.sh [RUNS]: how long `sandcastle run -- true` takes, and QEMU microvm beside it with the same
# kernels and a busybox initrd that powers off at once. Meant for ./dev lab --counted, see
# docs/performance.md. Prints a line a run: what, milliseconds from exec to exit.
set -u

runs=${1-3}
kernels=("/boot/vmlinuz-$(uname -r)" /boot/vmlinuz-*-cloud-amd64)
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT

# timed NAME COMMAND...
timed()
{
	local name=$1 start=$EPOCHREALTIME

	shift
	"$@" || echo "$name: exit code $?"
	echo "$name: $(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 1000)) ms"
}

mkdir -p "$dir/root/bin"
cp "$(command -v busybox)" "$dir/root/bin/"
printf '#!/bin/busybox sh\n/bin/busybox poweroff -f\n' >"$dir/root/init"
chmod +x "$dir/root/init"
(cd "$dir/root" && find . | busybox cpio -o -H newc >"$dir/initrd" 2>/dev/null)

for kernel in "${kernels[@]}"; do
	# The first one unpacks the kernel into the cache, and warms L1's page cache for both.
	sandcastle run --kernel "$kernel" -- true
	for ((i = 0; i < runs; i++)); do
		timed "sandcastle ${kernel##*/}" sandcastle run -v --cpus 1 --memory 2G --kernel "$kernel" -- true
	done
	for ((i = 0; i < runs; i++)); do
		timed "qemu microvm ${kernel##*/}" qemu-system-x86_64 -M microvm,pit=off,pic=off,rtc=off \
			-accel kvm -cpu host -m 2G -nodefaults -no-user-config -display none -no-reboot \
			-kernel "$kernel" -initrd "$dir/initrd" -append "panic=-1 loglevel=1 tsc=reliable \
			no_timer_check cryptomgr.notests rcupdate.rcu_expedited=1 reboot=t"
	done
done
