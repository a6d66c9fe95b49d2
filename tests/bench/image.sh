#!/usr/bin/env bash
# image.sh FILE: how fast files are read in a sandbox, beside the host it runs on and beside QEMU with its
# C virtiofsd, all of one ext4 file system (image_tree.sh). Called by ./dev bench image, as root in
# the lab; see docs/performance.md.
#
# Prints lines: who, what, microseconds (or KiB), separated by tabs.
set -u

# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
# Of a run. The emulated CPU loses a guest now and then; where time is counted to wait is long.
limit=20m
[ "$LAB_MODE" != counted ] || limit=150s
dir=$(mktemp -d)
tree=$dir/tree
trap 'umount "$tree/mnt" "$tree"; rm -r "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache
mkdir "$tree" "$dir/in"
cp "$1" "$dir/image" && modprobe -a loop ext4 && mount -o loop,ro "$dir/image" "$tree" || exit

# --- what is measured, in each place ------------------------------------------------------------

(cd "$tree" && find usr -type f -size +128k -printf '%s /%p\n') | sort -k2 |
	awk '{ s += $1; if (s <= 200e6) print $2 }' >"$dir/in/large"
printf 'int main(void)\n{\n\treturn 0;\n}\n' >"$dir/in/hello.c"
cat >"$dir/in/work" <<'END'
cd /mnt || exit
took() {
	local name=$1 a=${EPOCHREALTIME/[.,]/}
	shift
	"$@" >/dev/null 2>&1 || echo "# $name failed"
	printf '%s\t%d\n' "$name" $((${EPOCHREALTIME/[.,]/} - a))
}
used() { awk '/^(Cached|AnonPages|Slab|PageTables):/ { s += $2 } END { print s }' /proc/meminfo; }
for round in first again; do
	took "find /usr -ls, $round" find /usr -ls
	took "stat of each, $round" sh -c 'find /usr -print0 | xargs -0 stat -c %s'
done
before=$(used)
took "cat 200 MB, first" xargs cat <large
printf '%s\t%d\n' "memory taken by it, KiB" $(($(used) - before))
took "cat 200 MB, again" xargs cat <large
for round in first again; do
	took "python3, $round" python3 -c 'import json'
	took "gcc hello.c, $round" gcc -o /tmp/hello hello.c
done
END

# keep WHO: prints the lines of a run that came to its end.
keep()
{
	grep -q '^gcc hello.c, again' "$dir/lines" && sed "s/^/$1\t/" "$dir/lines"
}

# tried COMMAND...: again where it fails: the emulated CPU loses a guest now and then (docs/testing.md).
tried()
{
	local n

	for n in 1 2 3 4 5 6; do
		! "$@" || return 0
		echo "# $*: attempt $n came to nothing"
	done
}

cached()
{
	awk '/^(Cached|Buffers):/ { s += $2 } /^Shmem:/ { s -= $2 } END { print s }' /proc/meminfo
}

drop_caches()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

# --- the host -----------------------------------------------------------------------------------

mount --bind "$dir/in" "$tree/mnt"
on_host()
{
	mount -t tmpfs none "$tree/tmp"
	mount --bind /proc "$tree/proc"
	mount --bind /dev "$tree/dev"
	chroot "$tree" /bin/bash /mnt/work >"$dir/lines"
	umount "$tree/tmp" "$tree/proc" "$tree/dev"
	keep host
}
drop_caches
on_host

# --- sandboxes ----------------------------------------------------------------------------------

copy_program "$(command -v sandcastle)" "$dir/sandcastle"
sandcastle()
{
	local command=$1

	shift
	LD_LIBRARY_PATH=$dir/sandcastle timeout "$limit" "$dir/sandcastle/program" "$command" "$@"
}
options=(--root "$tree" --map "$dir/in:/mnt" --cpus 1 --memory 2G)
sandcastle run "${options[@]}" -- true || exit
in_sandbox()
{
	sandcastle run "${options[@]}" "${@:2}" -- bash /mnt/work >"$dir/lines"
	keep "$1"
}
tried in_sandbox sandcastle
tried in_sandbox 'sandcastle --no-dax' --no-dax

# --- two that read the same ---------------------------------------------------------------------

two_readers()
{
	local k before

	sandcastle stop --force reader1 reader2 >/dev/null 2>&1
	drop_caches
	for k in 1 2; do
		sandcastle start "${options[@]}" --name "reader$k" >/dev/null || return
		before=$(cached)
		sandcastle exec "reader$k" -- sh -c 'xargs cat </mnt/large >/dev/null' || return
		printf 'sandbox %d\thost page cache taken by cat 200 MB, KiB\t%d\n' "$k" $(($(cached) - before))
	done >"$dir/readers"
	sandcastle stop reader1 reader2 >/dev/null
	cat "$dir/readers"
}
tried two_readers

# --- QEMU and virtiofsd -------------------------------------------------------------------------

[ -z "${BENCH_NO_PEERS-}" ] || exit 0
copy_program "$(command -v qemu-system-x86_64)" "$dir/qemu"
copy_program /usr/lib/qemu/virtiofsd "$dir/virtiofsd"
mkdir -p "$dir/firmware" "$dir/root/bin" "$dir/root/modules" "$dir/root/in"
cp -L /usr/share/{qemu,seabios}/*.{bin,rom} "$dir/firmware/" 2>/dev/null
cp "$(command -v busybox)" "$dir/root/bin/"
cp "$dir"/in/* "$dir/root/in/"
/sbin/modprobe -q --show-depends -a virtio_pci virtiofs overlay | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' >"$dir/modules"
n=100
while read -r module; do
	cp "$module" "$dir/root/modules/$n"
	n=$((n + 1))
done <"$dir/modules"
cat >"$dir/root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir /proc /sys /dev /lower /memory /new
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for m in /modules/*; do insmod $m; done
mount -t virtiofs files /lower && mount -t tmpfs none /memory && mkdir /memory/upper /memory/work
mount -t overlay -o lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work none /new
mount -t tmpfs none /new/mnt; mount -t tmpfs none /new/tmp
mount --move /proc /new/proc; mount --move /dev /new/dev
cp /in/* /new/mnt
echo begin >/new/dev/ttyS0
chroot /new /bin/bash /mnt/work >/new/dev/ttyS0 2>&1
poweroff -f
END
chmod +x "$dir/root/init"
(cd "$dir/root" && find . | busybox cpio -o -H newc >"$dir/initrd" 2>/dev/null)
umount "$tree/mnt"
elf=$(find "$XDG_CACHE_HOME" -name '*.elf' | head -n 1)
in_qemu()
{
	local i files

	rm -f "$dir/socket"
	LD_LIBRARY_PATH=$dir/virtiofsd "$dir/virtiofsd/program" --socket-path="$dir/socket" -o source="$tree" \
		-o cache=always >"$dir/virtiofsd.log" 2>&1 &
	files=$!
	for ((i = 0; i < 100; i++)); do
		[ ! -S "$dir/socket" ] || break
		sleep 0.1
	done
	LD_LIBRARY_PATH=$dir/qemu timeout "$limit" "$dir/qemu/program" -L "$dir/firmware" -M q35 -accel kvm -cpu host -m 2G \
		-object memory-backend-memfd,id=memory,size=2G,share=on -numa node,memdev=memory -nodefaults \
		-no-user-config -display none -no-reboot -serial "file:$dir/serial" -kernel "$elf" -initrd "$dir/initrd" \
		-append "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check init_on_alloc=0" \
		-chardev "socket,id=files,path=$dir/socket" -device vhost-user-fs-pci,chardev=files,tag=files ||
		cat "$dir/virtiofsd.log"
	kill "$files" 2>/dev/null
	wait "$files"
	sed -n '1,/^begin/d; s/\r//; /\t/p; /^#/p' "$dir/serial" >"$dir/lines"
	keep 'QEMU, virtiofsd'
}
tried in_qemu
mount --bind "$dir/in" "$tree/mnt"
