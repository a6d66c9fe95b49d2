#!/usr/bin/env bash
# The lab: runs a command on a host with hardware virtualization, see docs/testing.md.
# That is this machine where it can, else L1, a Debian host that QEMU emulates, whose root file
# system is this machine's own. Called by ./dev lab, which has installed what is needed.
set -u

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
here=$repo/tests/lab
lab_user=user

usage()
{
	cat <<'END'
Usage: ./dev lab [OPTIONS] [--] COMMAND [ARG...]
       ./dev lab [OPTIONS] --up | --down | --status | --prepare

Runs COMMAND from the repository's root on a host with hardware virtualization, as an ordinary
user with /dev/kvm and with build/ on its PATH. Standard input, output, error and exit code are
those of the command; with a terminal on both ends it gets one. This machine is used if it has
VT-x or AMD-V and a usable /dev/kvm, otherwise L1, a host emulated by QEMU with this machine's
files: whatever is written there vanishes.

      --emulated       use L1 even where this machine would do
      --user, --root   run COMMAND as the ordinary user (default) or as root
      --counted        L1 with one CPU whose clock counts instructions, 1 ns each
      --memory GIB     of L1, at most three quarters of this machine's (default 6)
      --timeout DUR    end COMMAND and L1 after DUR, start included, with exit code 124;
                       a number with s, m or h (default 20m)
      --up             start L1 and leave it running for later calls
      --down           stop it
      --status         say what COMMAND would run on
      --prepare        fetch Debian's kernels and do no more
      --name NAME      which of several L1 that stay up (default "up")
  -v, --verbose        say what is being done
      --help           this text

Exit codes: the command's own; 124 time limit; 125 the lab failed; 130 and 143 interrupted.
END
}

say()
{
	if [ "$verbose" -eq 1 ]; then
		printf 'lab: %s\n' "$*" >&2
	fi
}

die()
{
	printf 'lab: %s\n' "$*" >&2
	exit 125
}

# Prints the seconds in $1, a duration such as 90, 90s, 20m or 1h.
seconds()
{
	[[ $1 =~ ^([0-9]{1,6})([smh]?)$ ]] || return 1
	case ${BASH_REMATCH[2]} in
	m) echo $((10#${BASH_REMATCH[1]} * 60)) ;;
	h) echo $((10#${BASH_REMATCH[1]} * 3600)) ;;
	*) echo $((10#${BASH_REMATCH[1]})) ;;
	esac
}

# kvm_pvm is a /dev/kvm without hardware behind it, of no use for an unmodified kernel.
have_hardware()
{
	[ -r /dev/kvm ] && [ -w /dev/kvm ] && [ ! -e /sys/module/kvm_pvm ] &&
		grep -qwE 'svm|vmx' /proc/cpuinfo
}

# --- the kernels of L1 ------------------------------------------------------------------------

# Debian's kernels are unpacked into a cache, not installed: their maintainer scripts would build
# an initrd and look for a boot loader. Sets kernels, a directory with boot/ and usr/lib/modules/,
# and release, the version of the one L1 runs.
prepare_kernels()
{
	local cache=${XDG_CACHE_HOME:-$HOME/.cache}/sandcastle-lab

	mkdir -p "$cache" || die "cannot write to $cache; set XDG_CACHE_HOME to a directory of yours"
	cache=$(cd "$cache" && pwd -P)
	kernels=$cache/kernels/tree
	if [ ! -e "$cache/kernels/release" ]; then
		say "fetching Debian's kernels into $cache"
		exec {cache_lock}>"$cache/lock"
		flock "$cache_lock"
		[ -e "$cache/kernels/release" ] || fetch_kernels "$cache"
		exec {cache_lock}>&-
	fi
	release=$(cat "$cache/kernels/release")
}

fetch_kernels()
{
	local cache=$1 new=$1/new meta package version
	local -a packages=() apt=(apt-get -q=2)

	# As root, apt would fetch as user _apt, who may not write to this directory.
	[ "$(id -u)" -ne 0 ] || apt+=(-o APT::Sandbox::User=root)
	for meta in linux-image-amd64 linux-image-cloud-amd64; do
		package=$(apt-cache depends "$meta" 2>/dev/null |
			sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
		[ -n "$package" ] ||
			die "apt-cache does not know $meta; run apt-get update and try again"
		packages+=("$package")
	done
	rm -rf "$new"
	mkdir -p "$new/debs" "$new/tree/usr/lib"
	(cd "$new/debs" && "${apt[@]}" download "${packages[@]}" >&2) ||
		die "could not download ${packages[*]}"
	for package in "$new"/debs/*.deb; do
		dpkg-deb -x "$package" "$new/unpacked" || die "could not unpack $package"
	done
	mv "$new/unpacked/boot" "$new/tree/boot"
	mv "$new/unpacked/lib/modules" "$new/tree/usr/lib/modules"
	for package in "${packages[@]}"; do
		version=${package#linux-image-}
		ln -s usr/lib "$new/tree/lib"
		/sbin/depmod -b "$new/tree" "$version" || die "depmod failed for $version"
		# Not part of the tree: it would hide the host's own /lib.
		rm "$new/tree/lib"
	done
	release=${packages[0]#linux-image-}
	unpack_vmlinux "$new/tree/boot/vmlinuz-$release" "$new/vmlinux"
	echo "$release" >"$new/release"
	rm -rf "$new/debs" "$new/unpacked" "$cache/kernels"
	mv "$new" "$cache/kernels"
}

# Unpacks the bzImage $1, as Debian packs it, to $2. QEMU starts that 2 s sooner.
unpack_vmlinux()
{
	local offset

	offset=$(LC_ALL=C grep -aboP -m 1 '\xfd7zXZ\x00' "$1" | head -n 1 | cut -d: -f1)
	if [ -z "$offset" ] || ! tail -c "+$((offset + 1))" "$1" | xz -dc --single-stream >"$2"; then
		cp "$1" "$2"
	fi
}

# --- starting and stopping L1 -----------------------------------------------------------------

# The topmost directory above the repository that other users cannot pass, if any. L1 covers it
# with a fresh one so that its ordinary user reaches the repository at its own path.
closed_ancestor()
{
	local dir=$repo closed=''

	while [ "$dir" != / ]; do
		dir=$(dirname "$dir")
		case $(stat -c %A "$dir") in
		*[xt]) ;;
		*) closed=$dir ;;
		esac
	done
	# These are fresh in L1 anyway.
	case $closed/ in
	/run/* | /tmp/* | /var/tmp/* | /home/* | /root/*) closed='' ;;
	esac
	if [ -n "$closed" ]; then
		say "$closed is closed to other users: in the lab it holds the repository only"
	fi
	printf '%s' "$closed"
}

# Puts the base image's index for L1 into its initramfs $1: L1 has this machine's files, and to look
# at all of them there takes minutes. Without a build L1 makes its own.
prepare_base()
{
	local tool=$repo/build/sandcastle index=$state/cache/sandcastle/base/host.index

	[ -x "$tool" ] || return 0
	if ! in_lab_cache "$tool" image info --json 2>/dev/null | grep -q '"current": true'; then
		say "making the base image for L1"
		in_lab_cache "$tool" image build >/dev/null || return 0
	fi
	cp "$index" "$1/lab/host.index"
}

# Runs a command with a cache of the lab's own, and without this user's configuration.
in_lab_cache()
{
	XDG_CACHE_HOME=$state/cache XDG_CONFIG_HOME=$state/cache "$@"
}

# Writes keys and the initramfs of an L1 into the directory $1.
prepare_l1()
{
	local dir=$1 tree=$1/initramfs module n=0

	mkdir -p "$tree"/{proc,sys,dev,modules,lab/bin} || die "cannot write to $dir"
	ssh-keygen -q -t ed25519 -N '' -C lab -f "$dir/key" || die "ssh-keygen failed"
	dropbearkey -t ed25519 -f "$tree/lab/host_key" 2>/dev/null |
		sed -n 's/^\(ssh-ed25519 [^ ]*\).*/lab \1/p' >"$dir/known_hosts"
	cp "$dir/key.pub" "$tree/lab/authorized_keys"
	cp "$here"/l1/{setup,login,mount-repo,session,end-session,inittab} "$tree/lab/"
	cp "$here/l1/init" "$tree/init"
	cp "$(command -v busybox)" "$tree/lab/bin/busybox"
	ln -s busybox "$tree/lab/bin/sh"
	ln -s lab/bin "$tree/bin"
	{
		printf 'LAB_REPO=%q\n' "$repo"
		printf 'LAB_USER=%q\n' "$lab_user"
		printf 'LAB_COVER=%q\n' "$(closed_ancestor)"
	} >"$tree/lab/config"
	while read -r _ module _; do
		n=$((n + 1))
		cp "$module" "$tree/modules/$(printf '%02d' "$n")-$(basename "$module")"
	done < <(modprobe -d "$kernels/usr" -S "$release" --show-depends -a virtio_pci \
		9pnet_virtio 9p overlay | awk '$1 == "insmod" && !seen[$2]++')
	[ "$n" -gt 0 ] || die "no modules for L1 in $kernels"
	prepare_base "$tree"
	(cd "$tree" && find . | busybox cpio -o -H newc -R 0:0 2>/dev/null) >"$dir/initramfs.cpio"
	rm -rf "$tree"
}

# Starts an L1 in directory $1 and waits until it takes logins. $2 is "stay" if it is to outlive
# this process. Sets l1_pid as soon as there is one.
start_l1()
{
	local dir=$1 stay=$2 port memory
	local -a keep=(setsid setpriv --pdeathsig KILL)
	# One CPU: with a thread for each of two, QEMU's emulated AMD-V breaks guests and L1 itself
	# (docs/testing.md). Who has CPUs to spare runs another L1.
	local -a accel=(-accel "tcg,thread=single,tb-size=1024" -smp 1)

	prepare_kernels
	prepare_l1 "$dir"
	[ "$stay" != stay ] || keep=(setsid)
	[ "$mode" != counted ] || accel=(-accel tcg -icount "shift=0,sleep=off" -smp 1)
	# Taken as used. A small machine gives up to three quarters of what it has.
	memory=$(awk -v most="$((gib * 1024))" '/^MemTotal:/ { m = int($2 / 1024 * 3 / 4); print m < most ? m : most }' /proc/meminfo)
	for _ in 1 2 3 4 5 6 7 8; do
		port=$((20000 + RANDOM % 12000))
		: >"$dir/serial.log"
		"${keep[@]}" qemu-system-x86_64 "${accel[@]}" \
			-M q35 -cpu EPYC-v1,+svm,+npt -m "${memory}M" \
			-display none -nodefaults -no-reboot -serial "file:$dir/serial.log" \
			-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
			-virtfs "local,path=${repo//,/,,},mount_tag=repo,security_model=none,readonly=on,multidevs=remap" \
			-virtfs "local,path=${kernels//,/,,},mount_tag=kernels,security_model=none,readonly=on,multidevs=remap" \
			-netdev "user,id=login,restrict=on,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:22" \
			-device virtio-net-pci,netdev=login,romfile= \
			-kernel "$kernels/../vmlinux" -initrd "$dir/initramfs.cpio" \
			-append "console=ttyS0 panic=-1 quiet mitigations=off" \
			</dev/null >"$dir/qemu.log" 2>&1 &
		l1_pid=$!
		echo "$l1_pid" >"$dir/pid"
		echo "$port" >"$dir/port"
		wait_for_l1 "$dir" && return
		# Some other program has the port.
		grep -q 'host forwarding rule' "$dir/qemu.log" || break
	done
	printf 'lab: L1 did not start. The last lines of its console and of QEMU:\n' >&2
	{ tail -n 25 "$dir/serial.log"; tail -n 5 "$dir/qemu.log"; } | tr -d '\r' | sed 's/^/lab:   /' >&2
	stop_l1 "$dir"
	exit 125
}

wait_for_l1()
{
	local dir=$1

	while kill -0 "$l1_pid" 2>/dev/null; do
		if grep -q '^LAB READY' "$dir/serial.log"; then
			echo "$mode" >"$dir/mode"
			say "L1 is up after $SECONDS s"
			return 0
		fi
		! grep -q '^LAB FAILED' "$dir/serial.log" || return 1
		[ "$SECONDS" -lt "$limit" ] || timed_out
		sleep 0.1
	done
	return 1
}

# Stops the L1 of directory $1 and forgets it.
stop_l1()
{
	local pid

	pid=$(cat "$1/pid" 2>/dev/null)
	if [ -n "$pid" ] && l1_alive "$1"; then
		# Nothing in it is worth a shutdown.
		kill -KILL "$pid" 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do
			wait "$pid" 2>/dev/null
			sleep 0.02
		done
	fi
	rm -rf "$1"
}

# The process id may be another program's by now, so its command line is checked too.
l1_alive()
{
	local pid

	pid=$(cat "$1/pid" 2>/dev/null) && [ -n "$pid" ] &&
		grep -qzxF "$1/initramfs.cpio" "/proc/$pid/cmdline" 2>/dev/null
}

# --- running a command ------------------------------------------------------------------------

# in_l1 DIR USER [SSH_OPTION...] -- COMMAND_LINE: a login into L1.
in_l1()
{
	local dir=$1 user=$2
	local -a options=()

	shift 2
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	exec setpriv --pdeathsig TERM -- ssh -F /dev/null -i "$dir/key" -p "$(cat "$dir/port")" -e none \
		-o UserKnownHostsFile="\"$dir/known_hosts\"" -o HostKeyAlias=lab \
		-o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -o BatchMode=yes \
		-o CheckHostIP=no -o LogLevel=ERROR -o ConnectTimeout=60 "${options[@]}" \
		"$user@127.0.0.1" "$*"
}

# Ends what this call started. Runs on every way out.
# shellcheck disable=SC2317 # called by a trap
cleanup()
{
	trap '' INT TERM HUP
	[ -z "$timer" ] || kill "$timer" 2>/dev/null
	[ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
	if [ -n "$session" ] && [ "$mode" = direct ]; then
		"$here/l1/end-session" "$session"
	elif [ -n "$session" ] && [ -z "$private" ]; then
		(in_l1 "$l1" root -n -- "/run/lab/end-session $session") &
		if ! wait_at_most 10 $!; then
			printf 'lab: L1 does not answer, so it is stopped\n' >&2
			stop_l1 "$l1"
		fi
	fi
	[ -z "$private" ] || stop_l1 "$private"
	[ -z "$scratch" ] || rm -rf "$scratch"
}

# Waits for process $2, at most $1 seconds. Returns its exit code.
# shellcheck disable=SC2317 # called by cleanup
wait_at_most()
{
	local n=$(($1 * 10))

	while [ $((n -= 1)) -gt 0 ] && kill -0 "$2" 2>/dev/null; do
		sleep 0.1
	done
	kill -KILL "$2" 2>/dev/null
	wait "$2" 2>/dev/null
}

timed_out()
{
	printf 'lab: the time limit of %s is over (--timeout)\n' "$timeout_text" >&2
	exit 124
}

run_in_l1()
{
	local who=$lab_user status line
	local -a tty=(-T)

	[ "$as_root" -eq 0 ] || who=root
	if [ -t 0 ] && [ -t 1 ]; then
		tty=(-tt)
	fi
	session=$$.$RANDOM
	status=/run/lab/status/$session
	line=$(printf '%q ' env LAB_SESSION="$session" LAB_REPO="$repo" LAB_MODE="$mode" \
		XDG_RUNTIME_DIR="/run/user/$([ "$as_root" -eq 1 ] && echo 0 || echo 1000)" \
		LANG=C.UTF-8 /run/lab/session "$status" "$@")
	if [ -z "$private" ]; then
		# Only an L1 that stays up can have an old view of the repository.
		(in_l1 "$l1" root -n -- /run/lab/mount-repo) &
		wait_for_child "$!"
		[ "$code" -eq 0 ] || die "could not mount the repository in L1; stop it with --down"
	fi
	# In the background, since a shell takes signals only while it waits. The redirection
	# keeps standard input, which would be /dev/null there.
	(in_l1 "$l1" "$who" "${tty[@]}" -- "$line") <&0 &
	wait_for_child "$!"
	session=
	# ssh has no way to tell its own failure from a command's 255.
	if [ "$code" -eq 255 ] && ! (in_l1 "$l1" root -n -- "grep -qx 255 $status" 2>/dev/null); then
		printf 'lab: lost the connection to L1. The last lines of its console:\n' >&2
		tail -n 10 "$l1/serial.log" | tr -d '\r' | sed 's/^/lab:   /' >&2
		code=125
	fi
}

run_here()
{
	local -a become=()

	[ "$as_root" -eq 0 ] || [ "$(id -u)" -eq 0 ] || become=(sudo --)
	scratch=$(mktemp -d)
	session=$$.$RANDOM
	(exec "${become[@]}" env LAB_SESSION="$session" LAB_REPO="$repo" LAB_MODE="$mode" \
		"$here/l1/session" "$scratch/status" "$@") <&0 &
	wait_for_child "$!"
	session=
}

# Waits for process $1 within the time limit. Sets code.
wait_for_child()
{
	local ended='' left=$((limit - SECONDS))

	child=$1
	[ "$left" -gt 0 ] || timed_out
	(trap - INT TERM HUP && exec setpriv --pdeathsig KILL -- sleep "$left") &
	timer=$!
	while [ "$ended" != "$child" ]; do
		wait -n -p ended "$child" "$timer"
		code=$?
		[ "$ended" != "$timer" ] || timed_out
	done
	kill "$timer"
	wait "$timer" 2>/dev/null
	child='' timer=''
}

# --- the command line -------------------------------------------------------------------------

action=run mode=emulated as_root=0 verbose=0 force=0 name=up timeout_text=20m gib=6
l1='' private='' scratch='' session='' child='' timer='' code=125 l1_pid=''

while [ $# -gt 0 ]; do
	case $1 in
	--emulated) force=1 ;;
	--user) as_root=0 ;;
	--root) as_root=1 ;;
	--counted) mode=counted force=1 ;;
	--memory) gib=${2-} && shift ;;
	--memory=*) gib=${1#*=} ;;
	--timeout) timeout_text=${2-} && shift ;;
	--timeout=*) timeout_text=${1#*=} ;;
	--name) name=${2-} && shift ;;
	--name=*) name=${1#*=} ;;
	--up | --down | --status | --prepare) action=${1#--} ;;
	-v | --verbose) verbose=1 ;;
	--help) usage && exit ;;
	--) shift && break ;;
	-*) die "unknown option $1; see ./dev lab --help" ;;
	*) break ;;
	esac
	shift || break
done
limit=$(seconds "$timeout_text")
[ "${limit:-0}" -gt 0 ] || die "--timeout takes a number with s, m or h, not '$timeout_text'"
[[ $gib =~ ^[1-9][0-9]?$ ]] || die "--memory takes a number of GiB, not '$gib'"
[[ $name =~ ^[a-z0-9_-]+$ ]] || die "--name takes lower-case letters, digits, - and _"
[ "$action" != run ] || [ $# -gt 0 ] || die "no command given; see ./dev lab --help"
if [ "$force" -eq 0 ] && have_hardware; then
	mode=direct
fi

state=$repo/.lab
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

make_state()
{
	if ! mkdir -p "$state" || ! chmod 700 "$state"; then
		die "cannot write to $state"
	fi
}

lock()
{
	make_state
	exec {state_lock}>"$state/lock"
	flock "$state_lock"
}

case $action in
up)
	[ "$mode" != direct ] || die "this machine has hardware virtualization; --emulated starts L1 all the same"
	lock
	if l1_alive "$state/$name"; then
		say "L1 is up already"
		exit 0
	fi
	rm -rf "${state:?}/$name"
	mkdir "$state/$name"
	private=$state/$name
	start_l1 "$private" stay {state_lock}>&-
	private=
	exit 0
	;;
down)
	lock
	stop_l1 "$state/$name"
	exit 0
	;;
prepare)
	prepare_kernels
	exit 0
	;;
status)
	if [ "$mode" = direct ]; then
		echo "this machine: VT-x or AMD-V, /dev/kvm usable"
	elif l1_alive "$state/$name"; then
		echo "L1 ($(cat "$state/$name/mode")): up, process $(cat "$state/$name/pid")"
	else
		echo "L1 (emulated): not up, started for each call"
	fi
	exit 0
	;;
esac

if [ "$mode" = direct ]; then
	run_here "$@"
	exit "$code"
fi
l1=$state/$name
if ! l1_alive "$l1" || [ "$(cat "$l1/mode" 2>/dev/null)" != "$mode" ]; then
	make_state
	# What a call left that was killed outright.
	for l1 in "$state"/run.*; do
		if [ -d "$l1" ] && ! kill -0 "${l1##*.}" 2>/dev/null; then
			stop_l1 "$l1"
		fi
	done
	private=$state/run.$$
	l1=$private
	mkdir "$private"
	say "starting an emulated host, about 10 s"
	start_l1 "$l1" private
fi
run_in_l1 "$@"
exit "$code"
