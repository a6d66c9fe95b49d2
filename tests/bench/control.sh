#!/usr/bin/env bash
# control.sh times N | row N | many: what clients of a running sandbox wait for. Called by
# ./dev bench control, which says how; see docs/performance.md.
#
# times   from `start` to ready beside `run`; `exec` of true, taken apart, beside what bounds it (a
#         vsock round trip, and fork and exec in the guest), and beside QEMU's guest agent
# row     N commands in a row, and what they leave in the sandbox's process and in the agent
# many    64 commands at once
#
# Prints lines: what, best and median in microseconds, of how many, separated by tabs.
set -u

# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
dir=$(mktemp -d)
trap 'stop_all; rm -rf "$dir"' EXIT
export XDG_CACHE_HOME=$dir/cache
box='' qemu_pid=''
release=$(uname -r)
sandcastle=${BENCH_SANDCASTLE-$(command -v sandcastle)}
modules=(virtio_pci vmw_vsock_virtio_transport virtiofs overlay virtio_console virtio_rng
	virtio_balloon ac battery)

stop_all()
{
	[ -z "$box" ] || sandcastle stop --force "$box"
	[ -z "$qemu_pid" ] || kill -KILL "$qemu_pid" 2>/dev/null
}

copy_kernel()
{
	local to=$dir/kernels file

	mkdir -p "$to/boot" "$to/lib/modules/$release"
	cp "/boot/vmlinuz-$release" "$to/boot/"
	cp "/lib/modules/$release/modules".{dep,builtin} "$to/lib/modules/$release/"
	/sbin/modprobe -q -S "$release" --show-depends -a "${modules[@]}" | awk '{ print $2 }' | sort -u |
		while read -r file; do
			mkdir -p "$to/lib/modules/$release/$(dirname "${file##*/"$release"/}")"
			cp "$file" "$to/lib/modules/$release/${file##*/"$release"/}"
		done
}

sandcastle()
{
	LD_LIBRARY_PATH=$dir/sandcastle "$dir/sandcastle/program" "$@"
}

bench()
{
	LD_LIBRARY_PATH=$dir/bench "$dir/bench/program" "$@"
}

# named NAME COMMAND...: its line under that name.
named()
{
	"${@:2}" | sed "s/^[^\t]*/$1/"
}

options=(--cpus 1 --memory 1G --kernel "$dir/kernels/boot/vmlinuz-$release" --map "$dir/bench:/bench")

set_up()
{
	copy_program "$sandcastle" "$dir/sandcastle"
	copy_program build/tests/bench/bench_exec "$dir/bench"
	copy_program /bin/true "$dir/true"
	copy_kernel
	# Unpacks the kernel and has what a start reads read once.
	sandcastle run "${options[@]}" -- true || exit 1
}

start_box()
{
	box=$(sandcastle start "${options[@]}") || exit 1
	# The first command waits for drivers that are loaded then.
	sandcastle exec "$box" sh -c 'sleep 1; /bin/true; /bench/program guest 1' >/dev/null || exit 1
}

# From exec of `run` to the start of its command, and of `start` to the name.
starts()
{
	local i us start

	for ((i = 0; i < 3; i++)); do
		start=${EPOCHREALTIME/[.,]/}
		sandcastle run "${options[@]}" --timeline "$dir/run.json" -- true || exit 1
		us=$((${EPOCHREALTIME/[.,]/} - start))
		awk -v us="$us" '/"phases"/ { inside = 1 } /^  }/ { inside = 0 }
			inside && /"(command|tear-down)"/ { wanted = 1 }
			inside && /"ms"/ { if (wanted) after += $2; wanted = 0 }
			END { printf "run -- true, exec to its command\t%d\n", us - 1000 * after }' "$dir/run.json"
		printf 'run -- true, exec to exit\t%s\n' "$us"
		start=${EPOCHREALTIME/[.,]/}
		box=$(sandcastle start "${options[@]}") || exit 1
		us=$((${EPOCHREALTIME/[.,]/} - start))
		printf 'start, exec to ready\t%s\n' "$us"
		sandcastle stop --force "$box"
		box=''
	done
}

make_initrd()
{
	local root=$dir/root file n=0

	mkdir -p "$root"/{bin,lib,dev,proc,sys,tmp,run,modules,var/run}
	ln -s lib "$root/lib64"
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp -L /bin/true "$root/bin/true"
	cp -L "$(command -v qemu-ga || echo /usr/sbin/qemu-ga)" "$root/bin/qemu-ga"
	{ ldd "$root/bin/qemu-ga"; ldd /bin/true; } | grep -o '/[^ ]*' | sort -u | while read -r file; do
		cp -L "$file" "$root/lib/"
	done
	/sbin/modprobe -q -S "$release" --show-depends -a virtio_pci virtio_console | awk '{ print $2 }' |
		while read -r file; do
			cp "$file" "$root/modules/$((n++))-${file##*/}"
		done
	cat >"$root/init" <<-'END'
		#!/bin/busybox sh
		export LD_LIBRARY_PATH=/lib
		for m in $(busybox ls /modules | busybox sort -n); do busybox insmod /modules/$m; done
		busybox mount -t devtmpfs dev /dev
		busybox mount -t proc proc /proc
		until [ -e /dev/vport0p1 ]; do busybox sleep 0.1; done
		qemu-ga -m virtio-serial -p /dev/vport0p1
		busybox poweroff -f
	END
	chmod +x "$root/init"
	(cd "$root" && find . | busybox cpio -o -H newc >"$dir/initrd" 2>/dev/null)
}

guest_agent()
{
	if [ ! -e /usr/sbin/qemu-ga ]; then
		echo "no qemu-ga here: install qemu-guest-agent" >&2
		return
	fi
	make_initrd
	copy_program "$(command -v qemu-system-x86_64)" "$dir/qemu"
	mkdir "$dir/firmware"
	cp -L /usr/share/{qemu,seabios}/*.{bin,rom} "$dir/firmware/" 2>/dev/null
	LD_LIBRARY_PATH=$dir/qemu "$dir/qemu/program" -L "$dir/firmware" -M q35 -accel kvm -cpu host -m 1G \
		-nodefaults -no-user-config -display none -no-reboot -kernel "$dir/kernels/boot/vmlinuz-$release" \
		-initrd "$dir/initrd" -append 'panic=-1 loglevel=1 tsc=reliable no_timer_check' \
		-chardev "socket,path=$dir/qga,server=on,wait=off,id=qga" -device virtio-serial-pci \
		-device virtserialport,chardev=qga,name=org.qemu.guest_agent.0 &
	qemu_pid=$!
	until [ -S "$dir/qga" ]; do
		sleep 0.2
	done
	bench qga "$1" "$dir/qga"
	kill "$qemu_pid"
	wait "$qemu_pid" 2>/dev/null
	qemu_pid=''
}

times()
{
	set_up
	starts
	start_box
	named 'true on the host' bench spawn "$1" "$dir/true/program"
	LD_LIBRARY_PATH=$dir/sandcastle named 'sandcastle --version' bench spawn "$1" "$dir/sandcastle/program" --version
	LD_LIBRARY_PATH=$dir/sandcastle named 'sandcastle exec' bench spawn "$1" "$dir/sandcastle/program" exec "$box" /bin/true
	bench sandbox "$1" "$box"
	sandcastle exec "$box" /bench/program guest "$1"
	sandcastle stop --force "$box"
	box=''
	[ -n "${BENCH_NO_PEERS-}" ] || guest_agent "$1"
}

# Of the sandbox: descriptors and private memory beyond the guest's RAM; of the agent: both of its own.
leftovers()
{
	local private agent

	private=$(sandcastle stats --json "$box" | grep -o '"private":[0-9]*' | grep -o '[0-9]*$')
	agent=$(sandcastle exec -u root "$box" sh -c 'ls /proc/1/fd | wc -l; grep VmRSS /proc/1/status')
	echo "after $1: the sandbox has $(find "/proc/$pid/fd" -type l | wc -l) descriptors, $((private / 1024)) KiB;" \
		"the agent $(tr -s '[:space:]' ' ' <<<"$agent")"
}

row()
{
	local i part=$(($1 / 4))

	set_up
	start_box
	pid=$(sandcastle list --json | grep -o '"pid": [0-9]*' | grep -o '[0-9]*$')
	# What the first ones leave are caches.
	bench row 100 "$box" >/dev/null
	leftovers 100
	for ((i = 1; i <= 4; i++)); do
		bench row "$part" "$box"
		leftovers $((100 + i * part))
	done
}

many()
{
	local i start

	set_up
	start_box
	start=${EPOCHREALTIME/[.,]/}
	for ((i = 0; i < 64; i++)); do
		sandcastle exec "$box" /bin/true || echo "one failed: $?" >&2 &
	done
	wait
	printf '64 at once, all of them\t%s\n' $((${EPOCHREALTIME/[.,]/} - start))
}

case ${1-} in
times | row) "$1" "${2-20}" ;;
many) many ;;
*)
	echo "control.sh: see its top" >&2
	exit 1
	;;
esac
