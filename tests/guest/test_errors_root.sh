# shellcheck shell=bash
# root
# What needs root of the host to set up.

test_no_permission_on_dev_kvm()
{
	# A user who is not in the group, where that user may be.
	cd / || return
	run setpriv --reuid 1234 --regid 1234 --clear-groups sandcastle run -- true
	expect_one_line_error '/dev/kvm'
	expect_err_match 'group|permission'
}
