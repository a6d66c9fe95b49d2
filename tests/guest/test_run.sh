# shellcheck shell=bash
# What `sandcastle run` promises: a clean machine, its stdio, its exit code. A start takes seconds
# in the lab, so each test asks one sandbox as much as it can.

test_a_machine_of_the_hosts_own_files()
{
	local -a line

	# shellcheck disable=SC2016 # for the shell in the guest
	run_sandcastle run --name quiet-dune -- sh -c '
		uname -r; head -n 1 /etc/os-release; id -un; id -u; id -gn; pwd; hostname
		cat /proc/1/comm; echo "$HOME"; [ "$(ls -A "$HOME")" = "$(ls -A /etc/skel)" ] && echo fresh; echo to stderr >&2; exit 7'
	expect_code 7
	expect_err 'to stderr'
	mapfile -t line <<<"$out"
	expect_same "$(uname -r)" "${line[0]}"
	expect_same "$(head -n 1 /etc/os-release)" "${line[1]}"
	expect_same "$(id -un)" "${line[2]}"
	expect_same "$(id -u)" "${line[3]}"
	expect_same "$(id -gn)" "${line[4]}"
	expect_same "$PWD" "${line[5]}"
	expect_same quiet-dune "${line[6]}"
	expect_same init "${line[7]}"
	expect_same "$HOME" "${line[8]}"
	expect_same fresh "${line[9]}"
}

test_it_is_thrown_away()
{
	run_sandcastle run --user root -- sh -c '
		echo gone > /usr/bin/made-inside && rm /etc/os-release && mkdir /newdir && mv /usr/bin/yes /usr/bin/no &&
		cat /usr/bin/made-inside && id -u && test ! -e /usr/bin/yes && echo done'
	expect_code 0
	expect_out $'gone\n0\ndone'
	run_sandcastle run -- sh -c 'ls /usr/bin/made-inside /newdir; test -s /etc/os-release && test -x /usr/bin/yes'
	expect_code 0
	expect_out ''
	[ ! -e /usr/bin/made-inside ] || fail "a file made inside is on the host"
	[ -e /usr/bin/yes ] || fail "a file moved inside is gone on the host"
}

test_its_own_processes_only()
{
	run_sandcastle run -- sh -c 'ls -d /proc/[0-9]* | wc -l; cat /proc/[0-9]*/comm'
	expect_code 0
	expect_no_match '^(sandcastle|dropbear|qemu.*)$'
	expect_match '^init$'
}

test_home_run_and_tmp_of_the_host_are_not_there()
{
	echo secret >"$HOME/secret"
	echo secret >/tmp/host-secret
	mkdir "$TEST_DIR/empty"
	cd "$TEST_DIR/empty" || return
	# Not for root either, who can undo every mount the agent made, and mount the device again.
	run_sandcastle run --user root -- sh -c '
		umount -l /home /run /tmp && ls -A /home /run /tmp
		{ mkdir -p /mnt && mount -t virtiofs sandcastle /mnt && mount -o remount,rw /mnt; } || echo not mounted
		mount | grep " /mnt .*[(,]rw[,)]"
		ls /mnt/base; ls -A /mnt/base/root | grep -vxE "\.(bashrc|profile)" | sed "s/^/in root: /"; cat /mnt/base/home/*/secret /mnt/base/tmp/host-secret /mnt/base/../tmp/host-secret
		rm -f /mnt/base/etc/os-release; touch /mnt/base/usr/made-inside; echo end'
	rm "$HOME/secret" /tmp/host-secret
	expect_match '^usr$'
	expect_match '^end$'
	expect_match '^sandcastle on /mnt'
	# /root is there as base-files has it.
	expect_no_match '^in root'
	expect_no_match '^(home|tmp|run|proc|secret|host-secret)$'
	[ ! -e /usr/made-inside ] || fail "a file made inside is on the host"
	[ -e /etc/os-release ] || fail "a file removed inside is gone on the host"
}

# Without udev and systemd, which would have said so.
test_users_may_what_a_distribution_lets_them()
{
	run_sandcastle run --user nobody -- sh -c '
		cd /tmp
		stat -c "%n %a" /dev/fuse /dev/net/tun /dev/loop-control
		perl -e "open(F, \"+<\", \"/dev/fuse\") ? print \"fuse opens\\n\" : print \"\$!\\n\"
			; socket(S, 2, 2, 1) ? print \"ping socket\\n\" : print \"\$!\\n\""
		ln /etc/passwd linked 2>/dev/null || echo "a file of another is not linked"'
	expect_code 0
	expect_match '^/dev/fuse 666$'
	expect_match '^/dev/net/tun 666$'
	expect_match '^/dev/loop-control 660$'
	expect_match '^fuse opens$'
	expect_match '^ping socket$'
	expect_match '^a file of another is not linked$'
	# What rootless containers begin with: numbers of the user's own.
	command -v newuidmap >/dev/null || skip "newuidmap is not installed (uidmap)"
	run_sandcastle run -- unshare --user --map-auto --map-root-user sh -c '
		touch /tmp/f && chown 5:6 /tmp/f && stat -c "%u %g" /tmp/f'
	expect_code 0
	expect_out '5 6'
}

test_in_a_pipeline()
{
	local n

	printf 'b\na\nc\n' >f
	out=$(sandcastle run -- sort <f | head -n 1) || fail "the pipeline failed"
	expect_same a "$out"

	# A reader that has enough ends the writer, as in any pipeline.
	out=$(timeout 60 sandcastle run -- yes | head -n 2; echo "${PIPESTATUS[0]}")
	mapfile -t n <<<"$out"
	expect_same y "${n[1]}"
	expect_same 141 "${n[2]}"
}

test_what_cannot_be_run()
{
	run_sandcastle run -- no-such-command
	expect_code 127
	expect_err_match '^sandcastle: .*no-such-command'
	run_sandcastle run -- /etc/os-release
	expect_code 126
	expect_err_match '^sandcastle: .*/etc/os-release'
	# Not the program, so nobody is to look for that.
	mkdir bin
	printf '#!/bin/sh\n' >bin/my-own-tool
	chmod +x bin/my-own-tool
	export XDG_CACHE_HOME=$HOME/.cache
	run env -C / HOME="$PWD" PATH="$PWD/bin:$PATH" sandcastle run -- my-own-tool
	expect_code 127
	expect_err_match "warning: .*/my-own-tool is in your home, of which a sandbox shows only what is mapped"
	run env -C / HOME=/usr PATH="$PWD/bin:$PATH" sandcastle run -- my-own-tool
	expect_code 127
	expect_err_match 'warning: .*/my-own-tool of this host is not in the sandbox'
	run_sandcastle run --workdir /nowhere -- true
	expect_code 126
	expect_err_match 'cannot enter the directory /nowhere'
	run_sandcastle run --user nobody-there -- true
	expect_code 126
	expect_err_match 'cannot find the user nobody-there'
}

test_ended_by_a_signal()
{
	# shellcheck disable=SC2016
	run_sandcastle run -- sh -c 'kill -KILL $$'
	expect_code 137
}

test_options()
{
	export PASSED_ON=from-host NOT_PASSED_ON=secret
	run_sandcastle run --cpus 2 --memory 512M --env A=1 --env PASSED_ON --workdir /usr/share \
		--user nobody -- sh -c 'nproc; pwd; id -un; env; grep MemTotal /proc/meminfo'
	expect_code 0
	expect_match '^2$'
	expect_match '^/usr/share$'
	expect_match '^nobody$'
	expect_match '^A=1$'
	expect_match '^PASSED_ON=from-host$'
	expect_no_match NOT_PASSED_ON
	expect_match '^MemTotal: +4[0-9]{5} kB$'
}

test_on_a_terminal()
{
	command -v script >/dev/null || skip "no script(1)"
	run script -qec "stty rows 33 cols 99; sandcastle run -- sh -c 'test -t 0 && test -t 1 && test -t 2 && tty && stty size; exit 5'" /dev/null </dev/null
	expect_code 5
	expect_match '/dev/pts/0.?$'
	expect_match '^33 99.?$'
}

# in_background ARG...: starts `sandcastle ARG...`, waits until it says "ready", sets pid.
in_background()
{
	# Else the one before may be what says so.
	: >log
	sandcastle "$@" >log 2>errors &
	pid=$!
	expect_within 60 says ready log
}

test_signals_reach_the_command()
{
	in_background run -- sh -c 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
	kill -TERM "$pid"
	wait "$pid"
	expect_same 3 $?
	grep -q 'got it' log || fail "the trap did not run"

	in_background run -- sh -c 'echo ready; exec sleep 1000'
	kill -INT "$pid"
	wait "$pid"
	expect_same 130 $?
}

test_a_second_signal_ends_the_stubborn()
{
	in_background run -- sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
	kill -TERM "$pid"
	sleep 0.5
	kill -TERM "$pid"
	wait "$pid"
	expect_same 143 $?
}

test_a_killed_sandbox_leaves_nothing()
{
	in_background run --map .:rw -- sh -c 'echo ready; exec sleep 1000'
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	expect_same 137 $?
	# But for an empty folder, by which it was to be found; the next command removes it.
	run_sandcastle list --quiet
	expect_code 0
	expect_out ''
}

test_time_limits()
{
	run_sandcastle run --timeout 15s -- sleep 1000
	expect_code 124
	expect_err_match '^sandcastle: .*time limit'
	# So short that no guest can have answered.
	run_sandcastle run --no-template --timeout 1s -- true
	expect_one_line_error 'time limit'
}

test_the_guest_ends_itself()
{
	run_sandcastle run --user root -- sh -c 'echo 1 > /proc/sys/kernel/sysrq; echo o > /proc/sysrq-trigger; sleep 100'
	expect_one_line_error 'powered off'
	run_sandcastle run --user root -- sh -c 'echo b > /proc/sysrq-trigger; sleep 100'
	expect_one_line_error 'rebooted'
}

test_the_guest_panics()
{
	run_sandcastle run --user root -- sh -c 'echo c > /proc/sysrq-trigger; sleep 100'
	expect_code 125
	expect_out ''
	expect_err_match '^sandcastle: .*panicked: .*sysrq'
	expect_err_match '^  .*Call Trace'
}

test_the_cloud_kernel()
{
	local kernel

	kernel=$(echo /boot/vmlinuz-*-cloud-amd64)
	[ -e "$kernel" ] || skip "no cloud kernel in /boot"
	run_sandcastle run --kernel "$kernel" --map .:rw -- sh -c 'uname -r; echo written > f'
	expect_code 0
	expect_out "${kernel#/boot/vmlinuz-}"
	expect_same written "$(cat f)"
}

# 1 GiB; an eighth of it where the CPU is emulated, which is slow and now and then kills a guest.
test_a_gibibyte_both_ways()
{
	local pid anon before=0 most=0 pieces=16

	export TEST_LIMIT=400
	[ "${LAB_MODE-}" != emulated ] || pieces=2
	# The first start of a host makes the base image, in a process of the same name.
	run_sandcastle run true
	expect_code 0
	head -c 67108864 /dev/urandom >/dev/shm/guest-tests-64m
	all()
	{
		local i

		for ((i = 0; i < pieces; i++)); do cat /dev/shm/guest-tests-64m; done
	}
	all | sandcastle run -- cat 2>errors | cmp - <(all) >cmp.out 2>&1 &
	pid=$(pgrep -n -x sandcastle || true)
	until [ -n "$pid" ]; do pid=$(pgrep -n -x sandcastle || true); done
	while anon=$(awk '/RssAnon/ {print $2}' "/proc/$pid/status" 2>/dev/null) && [ -n "$anon" ]; do
		[ "$before" -ne 0 ] || [ "$SECONDS" -lt 10 ] || before=$anon
		[ "$anon" -le "$most" ] || most=$anon
		sleep 0.5
	done
	wait
	rm /dev/shm/guest-tests-64m
	[ ! -s errors ] || fail "$(cat errors)"
	[ ! -s cmp.out ] || fail "what came back is not what was sent: $(cat cmp.out)"
	[ "$most" -lt 16384 ] || fail "the VMM's own memory grew to $most KiB"
}

test_the_power_button()
{
	in_background run --user root -- sh -c '
		modprobe button && modprobe evdev && sleep 1; exec 3</dev/input/event0; echo ready
		# The first event of the button: 24 bytes, type EV_KEY, code KEY_POWER, pressed.
		timeout 30 head -c 24 <&3 | od -An -tu2 -j 16 -N 6'
	kill -PWR "$pid"
	wait "$pid"
	expect_same 0 $?
	grep -qE '^ *1 +116 +1 *$' log || fail "no press of the power button: $(cat log errors)"
}

test_timeline()
{
	run_sandcastle run --timeline "$TEST_DIR/start.json" -- sh -c 'exit 3'
	expect_code 3
	out=$(cat "$TEST_DIR/start.json")
	expect_match '"name": "kernel into memory"'
	expect_match '"name": "module overlay.ko"'
	expect_match '"who": "kernel"'
	expect_match '"io_exits": [1-9]'
	run_sandcastle run --timeline "$TEST_DIR/start.png" -- true
	expect_one_line_error 'timeline.*start.png.*svg'
}
