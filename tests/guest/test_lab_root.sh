# shellcheck shell=bash
# root

# What ./dev lab --root promises. Where root is the real one, nothing is written.
test_root()
{
	expect_same 0 "$(id -u)"
	expect_same root "$(id -un)"
}

test_writes_are_throw_away()
{
	[ "${LAB_MODE-}" != direct ] || skip "on this machine itself, not in L1"
	touch /usr/probe /etc/probe /boot/probe "$LAB_REPO/probe" || fail "cannot write"
	rm /usr/probe /etc/probe /boot/probe "$LAB_REPO/probe"
	expect_same overlayfs "$(stat -f -c %T /usr)"
}

test_modules_load()
{
	[ "${LAB_MODE-}" != direct ] || skip "on this machine itself, not in L1"
	run modprobe loop
	expect_code 0
	[ -e /sys/module/loop ] || fail "the module loop is not there"
}
