#!/usr/bin/env bash
# start.sh RUNS [SANDCASTLE...]: how long `sandcastle run -- true` takes from exec to exit, of the
# binary in build/ or of those named, and QEMU beside it with the same kernels and a busybox initrd that
# powers off at once. Called by ./dev bench, which says how; see docs/performance.md.
#
# Prints a line a run, separated by tabs: what, kernel, milliseconds, and of them the host's CPU
# milliseconds outside the guest (in steps of 10, as the kernel accounts).
set -u

runs=$1
shift
binaries=("$@")
[ $# -gt 0 ] || binaries=("$(command -v sandcastle)")
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache
modules=(virtio_pci vmw_vsock_virtio_transport virtiofs overlay virtio_console virtio_rng
	virtio_balloon ac battery)

# Sets spent: clock ticks of user and system time of the children that ended, less the guests'.
read_spent()
{
	local -a stat

	read -r -a stat <"/proc/$$/stat"
	spent=$((stat[15] + stat[16] - stat[43]))
}

# timed NAME KERNEL COMMAND...
timed()
{
	local name=$1 kernel=$2 start before us

	shift 2
	read_spent
	before=$spent start=$EPOCHREALTIME
	if ! "$@" >"$dir/said" 2>&1; then
		echo "$name did not work:" >&2
		cat "$dir/said" >&2
		exit 1
	fi
	us=$((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}))
	read_spent
	printf '%s\t%s\t%d.%03d\t%d\n' "$name" "$kernel" $((us / 1000)) $((us % 1000)) \
		$(((spent - before) * 10))
}

# Programs, libraries, kernels and modules are copied into memory: the lab's host has its files from
# another machine, and asking that costs time that no real host spends.
copy_program()
{
	local library to=$2

	mkdir -p "$to"
	cp "$1" "$to/program"
	ldd "$1" | awk '$3 ~ /^\// { print $3 }' | while read -r library; do
		cp -L "$library" "$to/"
	done
}

copy_kernel()
{
	local release=${1##*/vmlinuz-} to=$dir/kernels file

	mkdir -p "$to/boot" "$to/lib/modules/$release"
	cp "$1" "$to/boot/"
	cp "/lib/modules/$release/modules".{dep,builtin} "$to/lib/modules/$release/"
	/sbin/modprobe -q -S "$release" --show-depends -a "${modules[@]}" | awk '{ print $2 }' | sort -u |
		while read -r file; do
			mkdir -p "$to/lib/modules/$release/$(dirname "${file##*/"$release"/}")"
			cp "$file" "$to/lib/modules/$release/${file##*/"$release"/}"
		done
}

make_initrd()
{
	mkdir -p "$dir/root/bin"
	cp "$(command -v busybox)" "$dir/root/bin/"
	printf '#!/bin/busybox sh\n/bin/busybox poweroff -f\n' >"$dir/root/init"
	chmod +x "$dir/root/init"
	(cd "$dir/root" && find . | busybox cpio -o -H newc >"$dir/initrd" 2>/dev/null)
}

# qemu NAME RELEASE KERNEL_FILE OPTION...
qemu()
{
	local name=$1 release=$2 file=$3

	shift 3
	timed "$name" "$release" env LD_LIBRARY_PATH="$dir/qemu" "$dir/qemu/program" -L "$dir/firmware" \
		"$@" -accel kvm -cpu host -m 2G -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$file" -initrd "$dir/initrd" -append "panic=-1 loglevel=1 tsc=reliable \
		no_timer_check cryptomgr.notests rcupdate.rcu_expedited=1 reboot=t swiotlb=noforce \
		init_on_alloc=0"
}

sandcastles()
{
	local release=$1 i b

	for ((i = 0; i < runs; i++)); do
		for b in "${!binaries[@]}"; do
			timed "sandcastle$([ "$b" -eq 0 ] || echo " $((b + 1))")" "$release" \
				env LD_LIBRARY_PATH="$dir/sandcastle$b" "$dir/sandcastle$b/program" run \
				--cpus 1 --memory 2G --kernel "$dir/kernels/boot/vmlinuz-$release" -- true
		done
	done
}

peers()
{
	local release=$1 elf i

	elf=$(find "$XDG_CACHE_HOME" -name '*.elf' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
	for ((i = 0; i < runs; i++)); do
		qemu "qemu microvm, unpacked kernel" "$release" "$elf" -M microvm,pit=off,pic=off,rtc=off
	done
	for ((i = 0; i < runs; i++)); do
		qemu "qemu microvm" "$release" "$dir/kernels/boot/vmlinuz-$release" \
			-M microvm,pit=off,pic=off,rtc=off
	done
	for ((i = 0; i < runs; i++)); do
		qemu "qemu q35" "$release" "$dir/kernels/boot/vmlinuz-$release" -M q35
	done
}

for b in "${!binaries[@]}"; do
	copy_program "${binaries[b]}" "$dir/sandcastle$b"
done
make_initrd
if [ -z "${BENCH_NO_PEERS-}" ]; then
	copy_program "$(command -v qemu-system-x86_64)" "$dir/qemu"
	mkdir "$dir/firmware"
	cp -L /usr/share/{qemu,seabios}/*.{bin,rom} "$dir/firmware/" 2>/dev/null
fi
for kernel in /boot/vmlinuz-*-cloud-amd64 "/boot/vmlinuz-$(uname -r)"; do
	release=${kernel##*/vmlinuz-}
	copy_kernel "$kernel"
	# Unpacks the kernel into the cache, and has the guest's files read once.
	LD_LIBRARY_PATH=$dir/sandcastle0 "$dir/sandcastle0/program" run \
		--kernel "$dir/kernels/boot/vmlinuz-$release" -- true || exit
	sandcastles "$release"
	[ -n "${BENCH_NO_PEERS-}" ] || peers "$release"
done
