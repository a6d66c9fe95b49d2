# shellcheck shell=bash
# Sourced by ./dev: ./dev bench, and the stage that measures a start.

# Builds revision $1 in a work tree of its own and puts its program into build/bench/before.
build_before()
{
	local tree=$repo/build/bench/tree code

	git worktree remove --force "$tree" 2>/dev/null
	git worktree add --detach "$tree" "$1" >"$log" 2>&1 || die "bench: no revision $1"
	(cd "$tree" && ./dev build sandcastle) >"$log" 2>&1
	code=$?
	cp "$tree/build/sandcastle" build/bench/before 2>/dev/null
	git worktree remove --force "$tree"
	[ "$code" -eq 0 ] || { tail -n 30 "$log" >&2 && die "bench: $1 does not build"; }
}

# What needs no virtualization, with the lab's kernel.
bench_setup()
{
	local kernels=${XDG_CACHE_HOME:-$HOME/.cache}/sandcastle-lab/kernels/tree dir=build/bench/kernels

	echo "This machine has no hardware virtualization, so no sandbox can be started on it. What of its"
	echo "set-up and tear-down needs none, CPU milliseconds on this machine (median of 21):"
	tests/lab/lab.sh --prepare || return
	rm -rf "$dir"
	mkdir -p "$dir/boot" "$dir/lib"
	ln -s "$kernels/usr/lib/modules" "$dir/lib/modules"
	find "$kernels/boot" -name 'vmlinuz-*' ! -name '*cloud*' -exec ln -s {} "$dir/boot/vmlinuz" \;
	ninja -C build bench_setup >"$log" || return
	XDG_CACHE_HOME=$repo/build/bench/cache build/tests/bench/bench_setup "$dir/boot/vmlinuz"
}

# bench_control [--runs N] [--row N]: what clients of a running sandbox wait for.
bench_control()
{
	local runs=20 row=2000

	while [ $# -gt 0 ]; do
		case $1 in
		--runs) runs=${2-} && shift ;;
		--runs=*) runs=${1#*=} ;;
		--row) row=${2-} && shift ;;
		--row=*) row=${1#*=} ;;
		*) die "bench control: unknown option $1; see ./dev help bench" ;;
		esac
		shift || break
	done
	[[ $runs =~ ^[1-9][0-9]{0,2}$ && $row =~ ^[0-9]{1,5}$ ]] || die "bench control: --runs and --row take numbers"
	need lab bench
	build_quietly gcc '' || die "bench: the build failed"
	ninja -C build bench_exec >"$log" 2>&1 || die "bench: bench_exec does not build"
	echo "counted microseconds: what, best, median, of how many"
	tests/lab/lab.sh --counted --timeout 30m -- tests/bench/control.sh times "$runs" || return
	echo "by the clock of the lab: $row commands in a row, 64 at once"
	[ "$row" -eq 0 ] || tests/lab/lab.sh --timeout 40m -- tests/bench/control.sh row "$row" || return
	tests/lab/lab.sh -- tests/bench/control.sh many
}

# The base image: made on this machine, and files read in the lab, in a sandbox and elsewhere.
bench_image()
{
	local limit=40m
	local -a lab=(--counted)

	while [ $# -gt 0 ]; do
		case $1 in
		--no-peers) export BENCH_NO_PEERS=1 ;;
		--plain) lab=() ;;
		--timeout) limit=${2-} && shift ;;
		--timeout=*) limit=${1#*=} ;;
		*) die "bench image: unknown option $1; see ./dev help bench" ;;
		esac
		shift || break
	done
	need lab bench
	{ build_quietly gcc '' && ninja -C build bench_base_image >"$log"; } || die "bench: the build failed"
	mkdir -p build/bench
	echo "The base image of this machine, medians of 7:"
	XDG_CACHE_HOME=$repo/build/bench/cache build/tests/bench/bench_base_image || return
	du -b build/bench/cache/sandcastle/base/host.index | awk '{ printf "%-20s %8.1f MB\n\n", "size", $1 / 1e6 }'
	echo "Files read in the lab:"
	tests/bench/image_tree.sh "$repo/build/bench/image.ext4" || return
	tests/lab/lab.sh "${lab[@]}" --root --timeout "$limit" -- env BENCH_NO_PEERS="${BENCH_NO_PEERS-}" \
		tests/bench/image.sh "$repo/build/bench/image.ext4" >build/bench/image.out || return
	awk -f tests/bench/image.awk build/bench/image.out
}

# bench_memory [PART]: a sandbox's memory as the host sees it.
bench_memory()
{
	local part
	local -a parts=(freed squeeze cost ceiling)

	[ $# -eq 0 ] || parts=("$@")
	need lab bench
	build_quietly gcc '' || die "bench: the build failed"
	for part in "${parts[@]}"; do
		case $part in
		# Time plays no part.
		ceiling) tests/lab/lab.sh --root --memory 12 -- tests/bench/memory.sh ceiling 512M 1G 2G 4G 8G ;;
		freed | squeeze | cost) tests/lab/lab.sh --counted --root --timeout 40m -- tests/bench/memory.sh "$part" ;;
		*) die "bench memory: no part $part; see ./dev help bench" ;;
		esac || return
	done
}

# bench_network [--mb N]: bytes through the network process.
bench_network()
{
	local mb=32

	while [ $# -gt 0 ]; do
		case $1 in
		--mb) mb=${2-} && shift ;;
		--mb=*) mb=${1#*=} ;;
		*) die "bench network: unknown option $1; see ./dev help bench" ;;
		esac
		shift || break
	done
	[[ $mb =~ ^[1-9][0-9]{0,3}$ ]] || die "bench network: --mb takes a number"
	[ "$UID" -eq 0 ] || die "bench network: it makes network namespaces and taps, as root"
	need lab bench
	{ build_quietly gcc '' && ninja -C build bench_network >"$log"; } || die "bench: the build failed"
	mkdir -p build/bench
	tests/bench/network.sh "$mb" >build/bench/network.out || echo "network: not all of it came to its end"
	awk -f tests/bench/network.awk build/bench/network.out
}

# bench_start WHAT RUNS [OPTION...]: what start.sh says of WHAT, summed up by WHAT.awk.
bench_start()
{
	local what=$1 runs=$2 limit=40m out=build/bench/$1.out
	local -a lab=(--counted)

	shift 2
	while [ $# -gt 0 ]; do
		case $1 in
		--runs) runs=${2-} && shift ;;
		--runs=*) runs=${1#*=} ;;
		--plain) lab=() ;;
		--timeout) limit=${2-} && shift ;;
		--timeout=*) limit=${1#*=} ;;
		*) die "bench $what: unknown option $1; see ./dev help bench" ;;
		esac
		shift || break
	done
	[[ $runs =~ ^[1-9][0-9]?$ ]] || die "bench $what: --runs takes a number from 1 to 99"
	need lab bench
	{ build_quietly gcc '' && ninja -C build bench_no_pv_eoi >"$log"; } || die "bench: the build failed"
	mkdir -p build/bench
	tests/lab/lab.sh "${lab[@]}" --root --timeout "$limit" -- tests/bench/start.sh --what "$what" --runs "$runs" \
		>"$out" </dev/null || echo "$what: not all runs came to their end"
	awk -f "tests/bench/$what.awk" "$out"
}

# start_figure RUNS: prints the least CPU time of RUNS starts in counted time (ms, VMM and guest) and the
# kernel, or why there is none.
start_figure()
{
	local out=build/bench/start.out

	mkdir -p build/bench
	: >"$out"
	# It takes the emulated host half a minute to unpack this.
	tests/lab/lab.sh --prepare && cp --sparse=always \
		"${XDG_CACHE_HOME:-$HOME/.cache}/sandcastle-lab/kernels/vmlinux" build/bench/vmlinux &&
		tests/lab/lab.sh --counted --root --timeout 12m -- \
			tests/bench/start.sh --runs "$1" --elf build/bench/vmlinux >"$out" </dev/null
	# A guest that was lost is not counted (docs/testing.md): one that was not will do.
	awk -F '\t' '!best || $5 < best { best = $5; kernel = $2 } END { if (best) print best, kernel }' "$out"
}

# compare_start: what start_figure printed, from standard input, with what is recorded: 0, 1 slower, 2 not
# comparable.
compare_start()
{
	local said now kernel rest recorded kernel_then

	said=$(cat)
	read -r now kernel rest <<<"${said##*$'\n'}"
	if ! [[ $now =~ ^[0-9]+$ && -n $kernel && -z $rest ]]; then
		printf '%s\n' "$said" | tail -n 20
		echo "skip: no start came to its end where time is counted, so nothing is compared (docs/performance.md)"
		return 2
	fi
	recorded=$(sed -n 's/^ms //p' tests/bench/start.figure)
	kernel_then=$(sed -n 's/^kernel //p' tests/bench/start.figure)
	if [ "$kernel" != "$kernel_then" ]; then
		echo "skip: run -- true takes $now ms of CPU time; what is recorded was taken with the kernel $kernel_then," \
			"this is $kernel: ./dev bench --record records anew"
		return 2
	fi
	awk -v now="$now" -v then="$recorded" 'BEGIN {
		printf "run -- true: %d ms of CPU time, counted; recorded %d: %+.1f %% (limit +5 %%)%s\n", now, then,
			(now / then - 1) * 100, now < then * 0.95 ? "; ./dev bench --record keeps that" : ""
		exit now > then * 1.05
	}'
}

# Begins what start_stage waits for. Counted time passes by instructions, so other work does not
# matter, and what goes on for seconds of the clock does not mind it either.
start_begin()
{
	need lab
	exec {start_fd}< <(log=$scratch/start.log && build_quietly gcc '' && start_figure 3 2>&1)
}

start_stage()
{
	compare_start <&"$start_fd"
	case $? in
	0) count 1 0 0 ;;
	2) count 0 0 1 ;;
	*) count 0 1 0 ;;
	esac
}

record_start()
{
	local said now kernel

	said=$(start_figure 5 2>&1)
	read -r now kernel <<<"${said##*$'\n'}"
	[[ $now =~ ^[0-9]+$ ]] || die "bench: $said"
	cat >tests/bench/start.figure <<END
# CPU time of \`sandcastle run -- true\`, the guest's included, in the lab where time is counted: the least
# of 5 runs with one CPU and this kernel. Written by ./dev bench --record, read by ./dev bench --check.
ms $now
kernel $kernel
revision $(git describe --always --dirty)
date $(date -u +%F)
END
	echo "run -- true: $now ms with $kernel, recorded in tests/bench/start.figure"
}

# bench_rows WHAT KERNEL FILE: those rows of the table into FILE, from an L1 of their own: one that hangs, as
# happens in counted time (docs/performance.md), costs no others. Uses what cmd_bench has set.
bench_rows()
{
	tests/lab/lab.sh "${lab[@]}" --timeout "$limit" -- tests/bench/start.sh --what "$1" --kernel "$2" \
		--runs "$runs" "${options[@]}" >"$3" </dev/null ||
		echo "$1 with the $2 kernel: not all runs came to their end"
}

# Puts the table in file $1 into docs/performance.md, between the lines made for it.
write_table()
{
	local page=docs/performance.md

	awk -v table="$1" '
		/^<!-- end of the table/ { skip = 0 }
		!skip { print }
		/^<!-- \.\/dev bench writes/ { skip = 1; while ((getline line <table) > 0) print line }' \
		"$page" >"$scratch/page" && cp "$scratch/page" "$page"
}

cmd_bench()
{
	local runs=5 before='' action=table limit=40m host peers=1 kernel part at_once=$jobs
	local -a lab=(--counted --root) options=() parts=(sandcastle) rows=()

	case ${1-} in
	control | image | memory | network)
		"bench_$1" "${@:2}"
		return
		;;
	many)
		bench_start many 20 "${@:2}"
		return
		;;
	clone | timeline)
		bench_start "$1" 5 "${@:2}"
		return
		;;
	esac
	while [ $# -gt 0 ]; do
		case $1 in
		--runs) runs=${2-} && shift ;;
		--runs=*) runs=${1#*=} ;;
		--compare) before=${2-} && shift ;;
		--compare=*) before=${1#*=} ;;
		--no-peers) peers=0 ;;
		--native | --check | --record) action=${1#--} ;;
		--timeout) limit=${2-} && shift ;;
		--timeout=*) limit=${1#*=} ;;
		*) die "bench: unknown option $1; see ./dev help bench" ;;
		esac
		shift || break
	done
	[[ $runs =~ ^[1-9][0-9]?$ ]] || die "bench: --runs takes a number from 1 to 99"
	need lab bench
	build_quietly gcc '' || die "bench: the build failed"
	mkdir -p build/bench
	host="lab, counted"
	case $action in
	check)
		start_figure 3 2>&1 | compare_start
		return
		;;
	record)
		record_start
		return
		;;
	native)
		on_this_machine || { bench_setup; return; }
		# Time is the clock's here, and two would be in each other's way.
		lab=() host="this machine" at_once=1
		;;
	esac
	if [ -n "$before" ]; then
		build_before "$before"
		options=("$repo/build/sandcastle" "$repo/build/bench/before")
		peers=0
		echo "\"sandcastle 2\" is $before."
	fi
	[ "$peers" -eq 0 ] || parts=(sandcastle qemu files)
	for kernel in full cloud; do
		for part in "${parts[@]}"; do
			while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do
				wait -n
			done
			rows+=("build/bench/$kernel-$part.rows")
			bench_rows "$part" "$kernel" "${rows[-1]}" &
		done
	done
	wait
	cat "${rows[@]}" >build/bench/start.out
	awk -f tests/bench/summary.awk -v json=build/bench.json -v markdown=build/bench.md -v host="$host" \
		-v revision="$(git describe --always --dirty)" -v date="$(date -u +%F)" build/bench/start.out
	if [ "$peers" -eq 1 ] && [ "$action" = table ]; then
		write_table build/bench.md
	fi
}
