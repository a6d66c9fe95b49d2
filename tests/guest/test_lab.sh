# shellcheck shell=bash
# What ./dev lab promises to a command. The promises of L1 are skipped on a real machine.

in_l1()
{
	[ "${LAB_MODE-}" != direct ] || skip "on this machine itself, not in L1"
}

test_user()
{
	in_l1
	expect_same 1000 "$(id -u)"
	expect_same user "$(id -un)"
	expect_same /home/user "$HOME"
	[ -w "$HOME" ] || fail "the home directory is not writable"
	[ ! -w /usr ] || fail "/usr is writable for the ordinary user"
	expect_same 700 "$(stat -c %a "$XDG_RUNTIME_DIR")"
}

test_kvm()
{
	[ -c /dev/kvm ] || fail "no /dev/kvm"
	[ -r /dev/kvm ] || fail "/dev/kvm is not readable"
	[ -w /dev/kvm ] || fail "/dev/kvm is not writable"
	[ ! -e /sys/module/kvm_pvm ] || fail "kvm_pvm is loaded"
	grep -qwE 'svm|vmx' /proc/cpuinfo || fail "no svm or vmx in /proc/cpuinfo"
}

test_kvm_runs_a_kernel()
{
	local kernel image

	command -v qemu-system-x86_64 >/dev/null || skip "no qemu-system-x86_64"
	export TEST_LIMIT=120
	mkdir -p initramfs/bin
	cp /usr/bin/busybox initramfs/bin/
	printf '#!/bin/busybox sh\necho it runs\n/bin/busybox poweroff -f\n' >initramfs/init
	chmod +x initramfs/init
	for kernel in "/boot/vmlinuz-$(uname -r)" /boot/vmlinuz-*-cloud-amd64; do
		[ ! -e "$kernel" ] || image=$kernel
	done
	(cd initramfs && find . | busybox cpio -o -H newc 2>/dev/null) >initramfs.cpio
	run qemu-system-x86_64 -M microvm -accel kvm -cpu host -m 256 -display none -nodefaults \
		-no-reboot -serial stdio -kernel "$image" -initrd initramfs.cpio \
		-append 'console=ttyS0 quiet panic=-1'
	expect_code 0
	expect_match 'it runs'
}

test_kernels()
{
	local release image

	[ -r "/boot/vmlinuz-$(uname -r)" ] || fail "no kernel image of the running kernel"
	[ -r "/lib/modules/$(uname -r)/modules.dep" ] || fail "no modules of the running kernel"
	in_l1
	for image in /boot/vmlinuz-*; do
		release=${image#/boot/vmlinuz-}
		[ -d "/lib/modules/$release/kernel" ] || fail "no modules for $image"
	done
	ls /boot/vmlinuz-*-cloud-amd64 >/dev/null || fail "no cloud kernel"
}

test_cpu_and_clock()
{
	in_l1
	expect_same 1 "$(nproc)"
	[ "$(date +%Y)" -ge 2023 ] || fail "the clock is wrong: $(date)"
}

test_repository()
{
	[ "${BASH_SOURCE[0]}" -ef "$LAB_REPO/tests/guest/test_lab.sh" ] || fail "not at $LAB_REPO"
	[ -r "$LAB_REPO/dev" ] || fail "the repository is not readable"
	[[ $PATH == "$LAB_REPO/build:"* ]] || fail "build/ is not first on PATH: $PATH"
}

test_fresh_directories()
{
	in_l1
	for dir in /tmp /var/tmp /dev/shm "$HOME" "$XDG_RUNTIME_DIR"; do
		expect_same tmpfs "$(stat -f -c %T "$dir")"
		touch "$dir/probe" || fail "cannot write to $dir"
		rm "$dir/probe"
	done
	expect_same 1777 "$(stat -c %a /tmp)"
}

test_no_network()
{
	in_l1
	run busybox nc -w 2 10.0.2.2 22 # the host
	expect_code 1
	run busybox nc -w 2 10.0.2.3 53 # a name server
	expect_code 1
}

test_user_namespaces()
{
	run unshare --user --map-root-user --mount --pid --fork sh -c 'mount -t tmpfs none /mnt && id -u'
	expect_code 0
	expect_out 0
}

test_harness_streams()
{
	run sh -c 'cat; echo to err >&2; exit 7' <<<'from stdin'
	expect_code 7
	expect_out 'from stdin'
	expect_err 'to err'
}

test_harness_time_limit()
{
	export TEST_LIMIT=1
	run sleep 20
	expect_code 124
}

test_harness_sees_what_is_left()
{
	touch /dev/shm/left-by-a-test
	if (expect_nothing_left) 2>message; then
		rm /dev/shm/left-by-a-test
		fail "a file in /dev/shm was not noticed"
	fi
	rm /dev/shm/left-by-a-test
	grep -q /dev/shm/left-by-a-test message || fail "it is not named: $(cat message)"
}

test_harness_expectations_fail()
{
	run sh -c 'echo "sandcastle: no"; exit 3'
	(expect_code 0) 2>/dev/null && fail "expect_code passed"
	(expect_out other) 2>/dev/null && fail "expect_out passed"
	(expect_match other) 2>/dev/null && fail "expect_match passed"
	(expect_one_line_error) 2>/dev/null && fail "expect_one_line_error passed"
	run sh -c 'echo "sandcastle: no disk; buy one" >&2; exit 125'
	expect_one_line_error 'disk'
}
