#!/usr/bin/env bash
# start.sh [OPTIONS] [SANDCASTLE...]: how long a start takes from exec to exit. Called by ./dev bench,
# which says how; see docs/performance.md.
#
#   --what WHAT    sandcastle: `sandcastle run -- true`, of the program in build/ or of those named;
#                  qemu: its machines with an initrd that powers off at once;
#                  files: the same with the host's files over virtiofsd;
#                  many: --runs starts in a row, then as many at once, of the first program;
#                  timeline: `sandcastle run --timeline` of that, each run's JSON after its line;
#                  clone: the first program's starts as a clone beside those of a kernel
#   --kernel KIND  cloud or full
#   --elf FILE     that kernel unpacked
#   --runs N       of each, after one that is not counted (default 5)
#
# clone also prints "figure", the kernel, what, and KiB, as each is measured.
#
# many prints a line for each start of the row, one for all of them at once, and then "lost", the kernel and
# how many starts or times at once failed and were taken again.
#
# Prints a line a run, separated by tabs: what, kernel, milliseconds, the host's CPU milliseconds
# outside the guest (in steps of 10, as the kernel accounts), those with the guest's, and how many
# answers of its 9p file systems the host waited for meanwhile. In the lab that has to be 0: L1 has its files from
# another machine, and where it waits for that, a clock that counts instructions goes on to the next
# timer. So programs, libraries, kernels and modules are copied into L1's memory, and what the guest
# reads of its root is copied up to the layer in memory that L1's root has on top, which needs root.
# The sandboxes are an ordinary user's in any case.
set -u

# shellcheck disable=SC1091
. "$(dirname "$0")/lib.sh"
runs=5 what=sandcastle kind=full elf='' phase=prepare
while [ $# -gt 0 ]; do
	case $1 in
	--runs) runs=$2 && shift ;;
	--what) what=$2 && shift ;;
	--kernel) kind=$2 && shift ;;
	--elf) elf=$2 && shift ;;
	--measure) phase=measure ;;
	--measure-files) phase=files ;;
	*) break ;;
	esac
	shift
done
binaries=("$@")
[ $# -gt 0 ] || binaries=("$(command -v sandcastle)")
# Of a run. The emulated CPU loses a guest now and then; where time is counted to wait is long.
limit=60s
[ "${LAB_MODE-}" != counted ] || limit=6s
modules=(virtio_pci vmw_vsock_virtio_transport virtiofs overlay virtio_console virtio_rng
	virtio_balloon ac battery)
append="panic=-1 loglevel=1 tsc=reliable no_timer_check cryptomgr.notests rcupdate.rcu_expedited=1
reboot=t swiotlb=noforce pci=noearly init_on_alloc=0"

# --- measuring --------------------------------------------------------------------------------

# Sets spent: clock ticks of user and system time of the children that ended, less the guests'; and
# waits, what its 9p file systems have answered this machine so far.
read_counters()
{
	local -a field

	read -r -a field <"/proc/$$/stat"
	spent=$((field[15] + field[16] - field[43])) waits=0
	while read -r -a field; do
		[[ ${field[*]} != *-requests ]] || waits=$((waits + field[1]))
	done </proc/interrupts
}

failures=0

# Options without which the program of directory $1 would go on from a template. One from before there
# were any does not know them.
cold_start()
{
	cold=()
	! LD_LIBRARY_PATH=$dir/$1 "$dir/$1/program" run --help | grep -qe --no-template || cold=(--no-template)
}

# timed NAME KERNEL COMMAND...: one run, or with `quiet` set one that is not counted. Returns 1 if it failed.
timed()
{
	local name=$1 kernel=$2 start before_spent before_waits us code user system TIMEFORMAT='%3U %3S'

	shift 2
	read_counters
	before_spent=$spent before_waits=$waits start=$EPOCHREALTIME
	{ time "$@" >"$dir/said" 2>&1; } 2>"$dir/times"
	code=$?
	us=$((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}))
	read_counters
	if [ "$code" -ne 0 ]; then
		echo "$name did not work:" >&2
		cat "$dir/said" >&2
		# The emulated CPU loses a guest now and then (docs/testing.md).
		[ $((failures += 1)) -lt 4 ] || exit 1
		return 1
	fi
	[ -z "${quiet-}" ] || return 0
	read -r user system <"$dir/times"
	printf '%s\t%s\t%d.%03d\t%d\t%d\t%d\n' "$name" "$kernel" $((us / 1000)) $((us % 1000)) \
		$(((spent - before_spent) * 10)) $((10#${user/./} + 10#${system/./})) $((waits - before_waits))
}

# rounds FUNCTION ARG...: one run that is not counted, then those that are.
rounds()
{
	local i

	quiet=1 "$@"
	for ((i = 0; i < runs; i++)); do
		"$@"
	done
}

# Each program in turn, with the kernel in $kernel.
sandcastle_round()
{
	local release=$1 b name

	for b in "${!binaries[@]}"; do
		name=sandcastle
		[ "$b" -eq 0 ] || name="sandcastle $((b + 1))"
		cold_start "sandcastle$b"
		LD_LIBRARY_PATH=$dir/sandcastle$b timed "$name" "$release" "$dir/sandcastle$b/program" run "${cold[@]}" \
			--cpus 1 --memory 2G --timeout "$limit" --kernel "$kernel" -- true
	done
}

# at_once COMMAND...: $runs of it, all started before the first is waited for.
at_once()
{
	local i pid code=0
	local -a pids=()

	for ((i = 0; i < runs; i++)); do
		"$@" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || code=1
	done
	return "$code"
}

many_rounds()
{
	local release=$1 i=0
	local -a run=("$dir/sandcastle0/program" run --cpus 1 --memory 512M --kernel "$kernel")

	cold_start sandcastle0
	run+=("${cold[@]}")
	local -x LD_LIBRARY_PATH=$dir/sandcastle0
	# Else most times at once do not end (docs/testing.md, "Why one CPU").
	[ "${LAB_MODE-}" != counted ] || local -x LD_PRELOAD=$dir/no_pv_eoi.so
	quiet=1 timed "in a row" "$release" "${run[@]}" --timeout "$limit" -- true
	while [ "$i" -lt "$runs" ]; do
		timed "in a row" "$release" "${run[@]}" --timeout "$limit" -- true && : $((i += 1))
	done
	# They wait for each other, also for one that is lost, so all are taken again.
	until timed "at once" "$release" at_once "${run[@]}" --timeout $((${limit%s} * runs))s -- true; do
		:
	done
	printf 'lost\t%s\t%d\n' "$release" "$failures"
}

timeline_round()
{
	local file=$dir/timeline.json

	LD_LIBRARY_PATH=$dir/sandcastle0 timed timeline "$1" "$dir/sandcastle0/program" run --cpus 1 --memory 2G \
		--timeout "$limit" --kernel "$kernel" --timeline "$file" -- true || return
	[ -n "${quiet-}" ] || echo "$(<"$file")"
}

# clone_round RELEASE: two starts in turn.
clone_round()
{
	local -a run=("$dir/sandcastle0/program" run --cpus 1 --memory 2G --timeout "$limit" --kernel "$kernel")

	LD_LIBRARY_PATH=$dir/sandcastle0 timed kernel "$1" "${run[@]}" --no-template -- true
	LD_LIBRARY_PATH=$dir/sandcastle0 timed clone "$1" "${run[@]}" -- true
}

# made_round RELEASE: a start that makes a template.
made_round()
{
	LD_LIBRARY_PATH=$dir/sandcastle0 timed "kernel, and a template made" "$1" "$dir/sandcastle0/program" template build \
		--cpus 1 --memory 2G --timeout "$limit" --kernel "$kernel"
}

# What process $1, a clone, has to itself, KiB: guest RAM, and the rest. RAM is what is mapped of the
# template, and the parts around it that lie within its 2 GiB.
clone_memory()
{
	awk -v release="$2" -v when="$3" '
		/^[0-9a-f]+-[0-9a-f]+ / { guest = / rw-p .*\/templates\// || (guest && / rw-p 0+ 00:00 0 *$/) }
		/^Anonymous:/ { own[guest] += $2 }
		/^Rss:/ && guest { rss += $2 }
		END {
			printf "figure\t%s\tguest memory of its own, %s\t%d\n", release, when, own[1]
			printf "figure\t%s\tthe template'"'"'s it has mapped, %s\t%d\n", release, when, rss - own[1]
			printf "figure\t%s\tmemory of its own besides, %s\t%d\n", release, when, own[0]
		}' "/proc/$1/smaps"
	awk -v release="$2" -v when="$3" '/^VmPTE/ {
		printf "figure\t%s\tpage tables, %s\t%d\n", release, when, $2 }' "/proc/$1/status"
}

clone_rounds()
{
	local release=$1 pid
	local -a template

	# Else some do not go on (docs/testing.md, "Why one CPU").
	[ "${LAB_MODE-}" != counted ] || local -x LD_PRELOAD=$dir/no_pv_eoi.so
	made_round "$release"
	template=("$XDG_CACHE_HOME"/sandcastle/templates/[0-9a-f]*)
	printf 'figure\t%s\ttemplate on the disk\t%d\n' "$release" "$(($(stat -c %b "${template[0]}") / 2))"
	rounds clone_round "$release"
	LD_LIBRARY_PATH=$dir/sandcastle0 "$dir/sandcastle0/program" run --cpus 1 --memory 2G --kernel "$kernel" -- \
		sh -c 'echo; exec sleep 1000' >"$dir/started" &
	pid=$!
	until [ -s "$dir/started" ]; do
		read -r -t 0.1 <&"$never"
	done
	clone_memory "$pid" "$release" "after its first command"
	read -r -t 60 <&"$never"
	clone_memory "$pid" "$release" "after 60 s idle"
	kill "$pid"
	wait "$pid"
}

# qemu_round NAME RELEASE KERNEL_FILE INITRD OPTION...
qemu_round()
{
	local name=$1 release=$2 file=$3 initrd=$4

	shift 4
	LD_LIBRARY_PATH=$dir/qemu timed "$name" "$release" "$dir/timeout" "$limit" "$dir/qemu/program" -L "$dir/firmware" \
		"$@" -accel kvm -cpu host -m 2G -nodefaults -no-user-config -display none -no-reboot \
		-kernel "$file" -initrd "$dir/$initrd" -append "$append"
}

# with_files COMMAND...: the file server, then COMMAND, which connects to it and so ends it.
with_files()
{
	local socket=$dir/virtiofsd.socket tries=0 code

	rm -f "$socket"
	"$dir/virtiofsd/program" --socket-path="$socket" -o "source=$dir/tree" -o cache=always >"$dir/virtiofsd.said" 2>&1 &
	until [ -S "$socket" ]; do
		read -r -t 0.001 <&"$never"
		[ $((tries += 1)) -lt 10000 ] || return
	done
	"$@"
	code=$?
	wait $!
	return "$code"
}

# qemu_files_round NAME RELEASE KERNEL_FILE MACHINE: the host's root over virtio-fs.
qemu_files_round()
{
	LD_LIBRARY_PATH=$dir/virtiofsd:$dir/qemu timed "$1" "$2" with_files "$dir/timeout" "$limit" \
		"$dir/qemu/program" -L "$dir/firmware" -M "$4,memory-backend=ram" -object memory-backend-memfd,id=ram,size=2G,share=on \
		-chardev "socket,id=files,path=$dir/virtiofsd.socket" \
		-device vhost-user-fs-pci,chardev=files,tag=files -accel kvm -cpu host -m 2G -nodefaults \
		-no-user-config -display none -no-reboot -kernel "$3" -initrd "$dir/initrd-files" \
		-append "$append"
}

# Sets elf: the kernel itself, or as Sandcastle unpacked it last.
unpacked()
{
	local file

	elf=$kernel
	[[ $kernel != */vmlinux-* ]] || return 0
	elf=''
	for file in "$XDG_CACHE_HOME"/sandcastle/kernels/*.elf; do
		[ -n "$elf" ] && [ "$elf" -nt "$file" ] || elf=$file
	done
}

measure()
{
	local kernel release microvm=microvm,pit=off,pic=off,rtc=off

	export XDG_CACHE_HOME=$dir/cache HOME=$dir/home
	# The sandbox is shown the folder it is started in.
	cd "$dir/home" || exit
	kernel=$(echo "$dir"/kernels/boot/vmlinu*)
	release=${kernel##*/vmlinu[xz]-}
	# It also unpacks the kernel, for QEMU as well.
	quiet=1 sandcastle_round "$release"
	unpacked
	ln -s "$elf" "$dir/unpacked"
	# The base image's index is not young when it is looked at again (image/base/base.h).
	read -r -t 3 <&"$never"
	case $what in
	sandcastle) rounds sandcastle_round "$release" ;;
	many) many_rounds "$release" ;;
	clone) clone_rounds "$release" ;;
	timeline) rounds timeline_round "$release" ;;
	qemu)
		rounds qemu_round "qemu microvm, unpacked kernel" "$release" "$elf" initrd -M "$microvm"
		rounds qemu_round "qemu q35, unpacked kernel" "$release" "$elf" initrd -M q35
		# To unpack the full kernel takes 4 s more, each time.
		[ "$kind" = cloud ] || return 0
		rounds qemu_round "qemu microvm, bzImage" "$release" "$kernel" initrd -M "$microvm"
		rounds qemu_round "qemu q35, bzImage" "$release" "$kernel" initrd -M q35
		;;
	esac
}

# As root: the file server of QEMU 7.2 wants that.
measure_files()
{
	local release

	# virtiofsd makes its source the root of a namespace of its own, which / cannot be made.
	mkdir "$dir/tree"
	mount --bind / "$dir/tree" || exit
	release=$(echo "$dir"/kernels/boot/vmlinu*)
	release=${release##*/vmlinu[xz]-}
	elf=$(readlink "$dir/unpacked")
	rounds qemu_files_round "qemu microvm, files over virtiofsd" "$release" "$elf" \
		microvm,pit=off,pic=off,rtc=off,pcie=on
	rounds qemu_files_round "qemu q35, files over virtiofsd" "$release" "$elf" q35
}

# --- preparing --------------------------------------------------------------------------------

copy_kernel()
{
	local release=${1##*/vmlinuz-} to=$dir/kernels file

	mkdir -p "$to/boot" "$to/lib/modules/$release"
	if [ -n "$elf" ]; then
		cp --sparse=always "$elf" "$to/boot/vmlinux-$release"
	else
		cp "$1" "$to/boot/"
	fi
	cp "/lib/modules/$release/modules".{dep,builtin} "$to/lib/modules/$release/"
	/sbin/modprobe -q -S "$release" --show-depends -a "${modules[@]}" | awk '!seen[$2]++ { print $2 }' \
		>"$dir/modules-$release"
	while read -r file; do
		mkdir -p "$to/lib/modules/$release/$(dirname "${file##*/"$release"/}")"
		cp "$file" "$to/lib/modules/$release/${file##*/"$release"/}"
	done <"$dir/modules-$release"
}

# make_initrd NAME: what is in $dir/root.
make_initrd()
{
	chmod +x "$dir/root/init"
	(cd "$dir/root" && find . | busybox cpio -o -H newc >"$dir/$1" 2>/dev/null)
}

# One that powers off at once.
make_initrds()
{
	local release module

	mkdir -p "$dir/root/bin" "$dir/root/mnt" "$dir/root/modules"
	cp "$(command -v busybox)" "$dir/root/bin/"
	printf '#!/bin/busybox sh\n/bin/busybox poweroff -f\n' >"$dir/root/init"
	make_initrd initrd
	# And one that runs /bin/true of the host's. Where that fails it stays up, and the time limit
	# ends all of it.
	release=$(echo "$dir"/kernels/boot/vmlinu*)
	release=${release##*/vmlinu[xz]-}
	{
		printf '#!/bin/busybox sh\n'
		/sbin/modprobe -q -S "$release" --show-depends -a virtio_pci virtiofs | awk '!seen[$2]++ { print $2 }' |
			while read -r module; do
				cp "$module" "$dir/root/modules/"
				printf '/bin/busybox insmod /modules/%s\n' "${module##*/}"
			done
		printf '/bin/busybox mount -t virtiofs files /mnt && /bin/busybox chroot /mnt /bin/true &&
	/bin/busybox poweroff -f\n/bin/busybox sleep 10000\n'
	} >"$dir/root/init"
	make_initrd initrd-files
}

# What the programs and the guest's command need from the root file system itself.
copy_up()
{
	local file

	for file in /lib /lib64 /var/run /lib64/ld-linux-x86-64.so.2 /lib/x86_64-linux-gnu/libc.so.6 /usr/bin/true \
		/etc/ld.so.cache /etc/nsswitch.conf; do
		# To set what it has is a change for the layer on top. A link too: 9p is asked each time what it says.
		chown -h --reference="$file" "$file"
		file=$(readlink -f "$file")
		chown --reference="$file" "$file"
	done
}

prepare()
{
	local b

	for b in "${!binaries[@]}"; do
		copy_program "${binaries[b]}" "$dir/sandcastle$b"
	done
	case $kind in
	cloud) copy_kernel "$(echo /boot/vmlinuz-*-cloud-amd64)" ;;
	full) copy_kernel "/boot/vmlinuz-$(uname -r)" ;;
	esac
	mkdir "$dir/home" "$dir/cache"
	case $what in
	qemu | files) ;;
	many | clone)
		cp build/tests/bench/libbench_no_pv_eoi.so "$dir/no_pv_eoi.so"
		return
		;;
	*) return 0 ;;
	esac
	make_initrds
	copy_program "$(command -v qemu-system-x86_64)" "$dir/qemu"
	copy_program /usr/lib/qemu/virtiofsd "$dir/virtiofsd"
	cp "$(command -v timeout)" "$dir/"
	mkdir "$dir/firmware"
	cp -L /usr/share/{qemu,seabios}/*.{bin,rom} "$dir/firmware/" 2>/dev/null
}

if [ "$phase" != prepare ]; then
	dir=$BENCH_DIR
else
	dir=$(mktemp -d)
	trap 'rm -rf --one-file-system "$dir"' EXIT
	chmod 755 "$dir"
fi
# To wait without a process.
exec {never}<> <(:)
case $phase in
measure)
	measure
	exit
	;;
files)
	measure_files
	exit
	;;
esac
prepare
arguments=(--runs "$runs" --what "$what" --kernel "$kind")
become=()
if [ "$(id -u)" -eq 0 ] && [ "$LAB_MODE" != direct ]; then
	copy_up
	chown -R user: "$dir"
	become=(setpriv --reuid=user --regid=user --init-groups --)
fi
BENCH_DIR=$dir "${become[@]}" bash "$0" --measure "${arguments[@]}" "${binaries[@]}" || exit
if [ "$what" = files ]; then
	# What is mounted there is gone with the namespace, before $dir is removed.
	BENCH_DIR=$dir unshare --mount bash "$0" --measure-files "${arguments[@]}"
fi
