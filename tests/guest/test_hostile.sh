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
	run_sandcastle run --memory 256M --timeout 40s -- sh -c 'f() { f | f & }; f; sleep 1000'
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
