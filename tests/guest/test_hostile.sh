# shellcheck shell=bash
# shellcheck disable=SC2016 # scripts for the shell in the guest
# A guest's root does its worst to the devices; the sandbox goes on or ends, the host is unmoved.

test_the_cpu_shows_no_more_than_a_guest_needs()
{
	run_sandcastle run -- cat /proc/cpuinfo
	expect_code 0
	expect_same "$(grep -m1 '^model name' /proc/cpuinfo)" "$(grep -m1 '^model name' <<<"$out")"
	expect_match '^flags.* hypervisor'
	expect_match '^flags.* sse2'
	for flag in vmx svm smx sgx arch_perfmon perfctr_core pdcm rtm intel_pt; do
		expect_no_match "^flags.* $flag( |\$)"
	done
}

test_garbage_in_configuration_space()
{
	run_sandcastle run --user root -- sh -c '
		cd /sys/bus/pci/devices
		# The driver of the entropy source is not needed to go on.
		for d in 0000:00:*; do
			[ "$(cat "$d/device")" = 0x1044 ] || continue
			head -c 256 /dev/urandom > "$d/config"
			for off in 0 4 16 20 52 64 80 128 252; do
				printf "\377\377\377\377" | dd of="$d/config" bs=4 seek=$((off / 4)) conv=notrunc 2>/dev/null
			done
			head -c 256 "$d/config" | wc -c
		done
		head -c 8 /dev/hwrng >/dev/null 2>&1 &
		sleep 1; echo still here'
	expect_code 0
	expect_match '^256$'
	expect_match '^still here$'
}

test_registers_and_queues_are_overwritten()
{
	# BAR 0 of the entropy source through its mmap: status, features, queue addresses, doorbells.
	run_sandcastle run --user root -- sh -c '
		for d in /sys/bus/pci/devices/*; do [ "$(cat "$d/device")" = 0x1044 ] && break; done
		echo "${d##*/}" > /sys/bus/pci/drivers/virtio-pci/unbind
		echo 1 > "$d/enable"
		cat > /tmp/poke.pl <<\END
			# mmap(NULL, 16384, PROT_READ|PROT_WRITE, MAP_SHARED, fd, 0), then writes through process_vm
			open(my $f, "+<", $ARGV[0]) or die;
			my $p = syscall(9, 0, 16384, 3, 1, fileno($f), 0);
			die "mmap" if $p == -1;
			open(my $m, "+<", "/proc/self/mem") or die;
			srand(7);
			for my $round (1 .. 400) {
				my $off = int(rand(4096)) * 4;
				my $val = pack("V", int(rand(0xffffffff)));
				sysseek($m, $p + $off, 0);
				syswrite($m, $val);
			}
			print "poked\n";
END
		perl /tmp/poke.pl "$d/resource0" || echo "no mmap of the BAR: poked by port only"
		echo still here'
	expect_code 0
	expect_match '^still here$'
}

test_memory_runs_out_inside()
{
	run_sandcastle run --memory 256M --user root -- sh -c '
		head -c 1G /dev/zero > /fill 2>/dev/null; rm -f /fill
		tail /dev/zero 2>/dev/null
		echo still here'
	expect_code 0
	expect_match '^still here$'
}

test_a_flood_of_processes_ends_with_the_sandbox()
{
	run_sandcastle run --memory 256M --timeout 20s -- sh -c 'f() { f | f & }; f; sleep 1000'
	[ "$code" -eq 124 ] || [ "$code" -eq 125 ] || fail "expected the time limit's exit code"
}

test_strangers_on_the_vsock_ports()
{
	run_sandcastle run --user root -- perl -e '
		use Socket;
		for my $port (1024, 1025, 1026, 0xffffffff) {
			for (1 .. 40) {
				socket(my $s, 40, SOCK_STREAM, 0) or die;
				my $to = pack("SSLLC4", 40, 0, $port, 2, 0, 0, 0, 0);
				connect($s, $to) and syswrite($s, "garbage" x 1000);
			}
		}
		print "still here\n"'
	expect_code 0
	expect_match '^still here$'
}

test_a_stranger_does_not_take_the_agents_place()
{
	run_sandcastle start --name evil --map "$LAB_REPO/build/tests/guest:/hostile"
	expect_code 0
	sandcastle exec evil -- /hostile/hostile strangers >log 2>errors &
	expect_within 60 says attacking log
	expect_same '0 connected' "$(head -n 1 log)"
	for i in 1 2 3; do
		run_sandcastle exec evil -- echo "well $i"
		expect_out "well $i"
	done
	run_sandcastle stop --force evil
	expect_code 0
	wait
}

# A driver of our own in the guest (hostile.c) fights: does what is to end it still do so? The
# bounds are for an emulated host on a busy machine; docs/testing.md has what was measured.
end_bound=30

attacks_or_is_gone()
{
	says attacking log || ! kill -0 "$evil" 2>/dev/null
}

# begin_fight OPTION... -- ATTACK: starts a sandbox `evil` whose root attacks, and waits until it does,
# which takes `patience` seconds. False: the sandbox had ended before.
begin_fight()
{
	local -a options=()
	local began=$SECONDS

	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	truncate -s 3G big
	# Else what the fight before has said may be taken for this one's: its process empties the file late.
	: >log
	sandcastle run --name evil --cpus 2 --user root --map .:/a --map "$LAB_REPO/build/tests/guest:/hostile" \
		"${options[@]}" -- sh -c 'cp /hostile/hostile /tmp/h && exec /tmp/h "$1"' sh "$2" >log 2>errors &
	evil=$!
	expect_within 120 attacks_or_is_gone
	says attacking log || return 1
	patience=$((SECONDS - began))
	# It is at it for a while.
	sleep 2
}

# fight_to_the_limit ATTACK: evil is ended by a time limit. How long until it attacks depends on the
# machine: as long as before, or the limit grows until it is one that ends an attack.
fight_to_the_limit()
{
	local limit=$((${patience-8} + 3))

	until begin_fight --timeout "${limit}s" -- "$1"; do
		wait "$evil"
		code=$?
		# 125: not even the guest's agent was there yet.
		[ "$code" -eq 124 ] || [ "$code" -eq 125 ] || fail "code $code: $(cat errors)"
		limit=$((2 * limit))
		[ "$limit" -le 160 ] || fail "there is no attack: $(cat errors)"
	done
	end_bound=$((limit + 30)) expect_end 124
}

# expect_end CODE: evil ends within the bound, with that code.
expect_end()
{
	local began=$SECONDS

	( sleep "$end_bound"; kill -KILL "$evil" ) 2>/dev/null &
	wait "$evil"
	code=$?
	kill %% 2>/dev/null
	note "ended $((SECONDS - began)) s after it was asked to: $(tail -n 1 errors)"
	expect_same "$1" "$code"
}

# fight ATTACK WAY...: ATTACK, ended by each WAY in turn; the neighbour is well after each.
fight()
{
	local attack=$1 way

	shift
	run_sandcastle start --name neighbour
	expect_code 0
	for way; do
		case $way in
		time-limit)
			fight_to_the_limit "$attack"
			;;
		interrupt)
			begin_fight -- "$attack" || fail "$(cat errors)"
			kill -INT "$evil"
			sleep 1
			kill -INT "$evil"
			expect_end 130
			;;
		stop)
			begin_fight -- "$attack" || fail "$(cat errors)"
			run_sandcastle stop --time 0 evil
			expect_code 0
			expect_end 143
			;;
		force)
			begin_fight -- "$attack" || fail "$(cat errors)"
			run_sandcastle stop --force evil
			expect_code 0
			expect_end 143
			;;
		esac
		run_sandcastle exec neighbour -- echo well
		expect_out well
	done
	run_sandcastle stop --force neighbour
	expect_code 0
}

test_a_balloon_that_floods()
{
	fight balloon-flood interrupt time-limit stop force
}

test_a_balloon_with_endless_chains()
{
	fight balloon-chain interrupt time-limit stop
}

test_a_balloon_that_reports_the_same_memory()
{
	fight balloon-report stop time-limit
}

test_reads_that_fill_the_ring()
{
	fight fs-reads interrupt time-limit stop force
}

test_a_storm_of_resets()
{
	fight reset-storm interrupt time-limit stop
}

test_a_storm_of_locks()
{
	fight lock-storm interrupt time-limit stop force
}

test_a_storm_on_registers()
{
	fight register-storm stop force
}

# begin_share ATTACK SIZE: a sandbox `evil`, whose root attacks a file of SIZE in ./shared, which is
# shared with it. Sets `before` to what files_open prints without ./shared.
begin_share()
{
	# The current folder is map0, so what is shared second is map2.
	mkdir shared
	truncate -s "$2" shared/big
	run_sandcastle start --name evil
	expect_code 0
	run_sandcastle share evil "$LAB_REPO/build/tests/guest:/hostile"
	expect_code 0
	run_sandcastle exec --user root evil -- cp /hostile/hostile /tmp/h
	expect_code 0
	before=$(files_open)
	run_sandcastle share evil ./shared:/shared
	expect_code 0
	sandcastle exec --user root evil -- /tmp/h "$1" map2 >log 2>errors &
	expect_within 60 grep -q . log errors
	[ ! -s errors ] || fail "$(cat errors)"
}

# files_open: how many descriptors sandbox evil holds of what is mapped and shared. What it has open
# itself is not for its user to see.
files_open()
{
	sandcastle stats --json evil | perl -0ne 'print $1 if /"maps":.*?"descriptors": *(\d+)/s'
}

test_a_share_is_taken_from_a_driver_that_floods()
{
	local began

	begin_share fs-reads 3G
	sleep 2
	began=$SECONDS
	run_sandcastle share --remove evil /shared
	expect_code 0
	note "removed within $((SECONDS - began)) s"
	[ $((SECONDS - began)) -le 20 ] || fail "it took too long"
	[ "$(files_open)" -le "$before" ] || fail "$(files_open) descriptors are held, $before before"
	run_sandcastle stop --force evil
	expect_code 0
	wait
}

test_a_share_is_taken_from_a_driver_that_reads_on()
{
	begin_share fs-read-on 1M
	run_sandcastle share --remove evil /shared
	expect_code 0
	expect_within 30 says '^refused' log
	run_sandcastle stop --force evil
	expect_code 0
	wait
}

test_lock_ranges_have_an_end()
{
	echo locked >file
	run_sandcastle run --map .:/tree --map "$LAB_REPO/build/tests/guest:/hostile" -- /hostile/hostile lock-ranges /tree/file
	expect_code 0
	expect_match '^[0-9]+ locks, then (No locks available|Cannot allocate memory|Resource temporarily unavailable)'
}

# A VMM that is stuck for good: SIGSTOP stands for whatever holds all of its threads.
test_force_ends_a_process_that_was_stopped()
{
	local pid began

	run_sandcastle start --name stuck --network internet
	expect_code 0
	run_sandcastle list --json
	pid=$(grep -o '"pid": *[0-9]*' <<<"$out" | head -n 1 | grep -o '[0-9]*$')
	kill -STOP "$pid"
	began=$SECONDS
	run_sandcastle stop --force stuck
	expect_code 0
	expect_err_match "the sandbox 'stuck' does not answer; its process is ended"
	note "ended $((SECONDS - began)) s after it was asked to"
	# Whoever has it as a child has to take note of its end.
	expect_within 20 eval '! kill -0 "$pid" 2>/dev/null'
	# Nor is the one of its network.
	expect_within 20 sh -c '! pgrep -f "sandcastle [n]etwork-process"'
	run_sandcastle list --quiet
	expect_out ''
}
