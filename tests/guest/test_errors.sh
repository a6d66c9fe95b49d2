# shellcheck shell=bash
# What cannot work is said in one line, with cause and cure and exit code 125, and nothing is left.

test_what_a_person_gets_wrong()
{
	run_sandcastle run --kernel /nonexistent -- true
	expect_one_line_error /nonexistent
	run_sandcastle run --kernel /etc/os-release -- true
	expect_one_line_error 'os-release'
	: >unreadable
	chmod 000 unreadable
	run_sandcastle run --kernel ./unreadable -- true
	expect_one_line_error unreadable
	run_sandcastle run --map /nonexistent -- true
	expect_one_line_error /nonexistent
	mkdir a b
	run_sandcastle run --map ./a:/m --map ./b:/m/sub -- true
	expect_one_line_error '/m'
	run_sandcastle run --map ./a:/m --map ./b:/m -- true
	expect_one_line_error '/m'
	run_sandcastle run --map ./a:../../etc -- true
	expect_one_line_error
	run_sandcastle run --map ./a:/x/../../etc -- true
	expect_one_line_error
	run_sandcastle run --map ./a:/proc -- true
	expect_one_line_error '/proc'
	run_sandcastle run --memory 16M -- true
	expect_one_line_error 'memory'
	run_sandcastle run --memory 99999T -- true
	expect_one_line_error 'memory'
	run_sandcastle run --memory lots -- true
	expect_one_line_error 'lots'
	run_sandcastle run --cpus 0 -- true
	expect_one_line_error 'cpus'
	run_sandcastle run --cpus 1000000000000 -- true
	expect_one_line_error 'cpus'
	run_sandcastle run --timeout soon -- true
	expect_one_line_error 'soon'
	run_sandcastle run --nonsense -- true
	expect_one_line_error 'nonsense'
	run_sandcastle run
	expect_one_line_error
	run_sandcastle frobnicate
	expect_one_line_error 'frobnicate'
}

# in_namespace SCRIPT: as a root of a user namespace of its own, where the host can be made to
# lack things.
in_namespace()
{
	unshare -Urm true 2>/dev/null || skip "this host has no user namespaces for users"
	run unshare -Urm sh -c "$1"
}

test_no_dev_kvm()
{
	in_namespace 'mount -t tmpfs none /dev && sandcastle run -- true'
	expect_one_line_error '/dev/kvm'
}

test_dev_kvm_is_something_else()
{
	in_namespace 'mount --bind /dev/null /dev/kvm && sandcastle run -- true'
	expect_one_line_error '/dev/kvm'
}

test_no_kernel_in_boot()
{
	in_namespace 'mount -t tmpfs none /boot && mount -t tmpfs none /lib/modules && sandcastle run -- true'
	expect_one_line_error 'kernel'
}

test_a_kernel_without_its_modules()
{
	# shellcheck disable=SC2016 # for the shell in the namespace
	in_namespace 'mount -t tmpfs none /lib/modules && sandcastle run --kernel "/boot/vmlinuz-$(uname -r)" -- true'
	expect_one_line_error 'modules'
}

test_a_full_cache_disk_is_no_obstacle()
{
	export TEST_LIMIT=400
	run env XDG_CACHE_HOME=/proc/nonexistent sandcastle run -- echo runs
	expect_code 0
	expect_out runs
	expect_err_match '^sandcastle: warning: '
}

test_doctor()
{
	run_sandcastle doctor
	expect_code 0
	expect_match 'kvm'
	expect_match '^ok    network     libslirp is installed'
	# A kernel that nothing has configured allows no group.
	expect_match '^(ok|warn)  *ping '
	run_sandcastle doctor --json
	expect_code 0
	expect_match '^\{'
	in_namespace 'mount -t tmpfs none /dev && sandcastle doctor'
	expect_code 1
	expect_match '/dev/kvm'
}

test_help_and_version()
{
	run_sandcastle --version
	expect_code 0
	expect_match '^sandcastle [0-9]+\.[0-9]+'
	run_sandcastle --help
	expect_code 0
	expect_match 'run'
	run_sandcastle run --help
	expect_code 0
	expect_match -- '--map'
}
