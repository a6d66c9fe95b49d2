# shellcheck shell=bash
# root
# shellcheck disable=SC2016 # scripts for the shell in the guest
# A mapped folder on a disk's file system: user attributes, which L1's tmpfs has none of, and its end.

test_attributes_and_a_full_disk()
{
	command -v mkfs.ext4 >/dev/null || skip "mkfs.ext4 is not installed (e2fsprogs)"
	modprobe -a loop ext4 || skip "this kernel has no loop devices or no ext4"
	truncate -s 16M disk
	mkfs.ext4 -q -m 0 disk
	mkdir share
	mount -o loop disk share || fail "mount"
	trap 'umount share' EXIT
	printf made >share/host-file
	run_sandcastle run --map ./share:/share:rw --workdir /share -- perl -e '
		my ($f, $k, $v, $got) = ("host-file", "user.colour", "blue", "\0" x 64);
		sub check { print $_[1] ? "ok $_[0]\n" : "not ok $_[0]: $!\n" }
		check("set", syscall(188, $f, $k, $v, 4, 0) == 0);
		check("create again is refused", syscall(188, $f, $k, $v, 4, 1) == -1 && $!{EEXIST});
		my $n = syscall(191, $f, $k, $got, 64);
		check("get", $n == 4 && substr($got, 0, 4) eq "blue");
		$n = syscall(194, $f, $got, 64);
		check("list", $n == 12 && substr($got, 0, 12) eq "user.colour\0");
		my $other = "user.other";
		check("one that is not there", syscall(191, $f, $other, $got, 64) == -1 && $!{ENODATA});
		open(F, ">", "filler") or die;
		my ($block, $all) = ("x" x 1048576, 0);
		while (my $done = syswrite(F, $block)) { $all += $done }
		check("the disk is full", $!{ENOSPC} && $all > 1048576);
		check("what was there is whole", `cat host-file` eq "made");
		close(F);
		unlink("filler");
		check("and has room again", open(F, ">", "after") && print(F $block) && close(F));
		print "the end\n"'
	expect_code 0
	expect_no_match '^not ok'
	expect_match '^the end$'
	expect_same 1048576 "$(stat -c %s share/after)"
	expect_same blue "$(perl -e '$v = "\0" x 64; $f = "share/host-file"; $k = "user.colour";
		$n = syscall(191, $f, $k, $v, 64); print substr($v, 0, $n)')"
}
