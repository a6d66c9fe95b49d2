# shellcheck shell=bash
# root
# What whoever has taken over the process of a running sandbox could do: escape.c makes its threads do
# it, each in the program that users have.

as_user=(runuser -u user -- env "XDG_RUNTIME_DIR=/run/user/$(id -u user)")

# start_box COMMAND...: by COMMAND, starts a sandbox with a read-only and a writable folder. Sets box and pid.
start_box()
{
	[ -d ro ] || { mkdir -m 777 ro; echo text >ro/file; chmod 666 ro/file; }
	[ -d rw ] || mkdir -m 777 rw
	# The folder that is stood in is mapped, too.
	echo mine >../secret
	chmod 755 "$TEST_TOP" "$TEST_DIR"
	# What whoever starts it has open is not handed on.
	box=$(
		for _ in {1..50}; do exec {strange}<../secret; done
		"$@" sandcastle start --cpus 1 --map ro:/srv/ro --map rw:/srv/rw:rw
	) || fail "start"
	pid=$("$@" sandcastle list --json | sed -n 's/^ *"pid": *\([0-9]*\),*$/\1/p')
	[ -z "$(find "/proc/$pid/fd" -lname '*secret')" ] || fail "it holds what its caller had open"
}

# try_all MODE COMMAND...: all acts by all threads of a sandbox that COMMAND starts.
try_all()
{
	local mode=$1

	shift
	start_box "$@"
	run "$LAB_REPO/build/tests/guest/escape" "$pid" "$mode" ro rw "$TEST_TOP/secret"
	expect_no_match '^not ok'
	expect_code 0
	for thread in loop files power vcpu; do
		expect_match "^ok $thread opens a file of the user's$"
	done
	expect_match '^ok files climbs out of a folder$'
	# It has come to no harm by that, and goes on.
	run "$@" sandcastle exec "$box" -- echo well
	expect_out well
	run "$@" sandcastle stop "$box"
	expect_code 0
	rm -rf rw ../secret
}

test_what_the_process_of_a_user_could_do()
{
	try_all mounts "${as_user[@]}"
}

test_what_the_process_of_root_could_do()
{
	try_all mounts
}

# On a host that lets users make no namespaces.
test_what_landlock_alone_leaves()
{
	mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security
	grep -q landlock /sys/kernel/security/lsm || skip "this kernel has no Landlock"
	sysctl -q user.max_user_namespaces=0
	trap 'sysctl -q user.max_user_namespaces=10000' EXIT
	try_all landlock "${as_user[@]}"
}

test_what_ends_the_process()
{
	local act

	for act in 'execve loop' 'socket files' 'fork vcpu' 'ptrace power'; do
		start_box
		# shellcheck disable=SC2086 # two words
		run "$LAB_REPO/build/tests/guest/escape" "$pid" end $act
		expect_code 0
		expect_match "^ok ${act#* } ${act% *} ends the process$"
		run_sandcastle list --quiet
		expect_out ''
	done
}
