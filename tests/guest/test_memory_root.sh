# shellcheck shell=bash
# root

# A host that is short of memory, here a cgroup with a limit, takes it from a guest's page cache,
# and the guest's processes live. Root makes the cgroup, the sandbox is an ordinary user's.
cg=/sys/fs/cgroup/sandcastle-test

said()
{
	grep -qx "$1" "$TEST_DIR/.out"
}

wait_for()
{
	local end=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || fail "waited in vain for: $*"
		sleep 0.2
	done
}

current_below()
{
	[ "$(<"$cg/memory.current")" -lt "$1" ]
}

# A loaded lab takes half a minute for what is two seconds on its own clock.
test_a_squeezed_cgroup_takes_the_guests_page_cache()
{
	local user home dir before

	[ "${LAB_MODE-}" != direct ] || skip "on this machine itself, not in L1"
	IFS=: read -r user _ _ _ _ home _ < <(getent passwd 1000)
	# The test's own directory is below one that only root may enter.
	dir=$(mktemp -d)
	chmod 755 "$dir"
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control || skip "no memory controller"
	mkdir "$cg"
	truncate -s 700M "$dir/hole"
	(
		echo "$BASHPID" >"$cg/cgroup.procs"
		cd "$dir" || exit
		exec runuser -u "$user" -- env HOME="$home" sandcastle run --memory 2G \
			--map "$dir/hole:/tmp/hole" -- sh -c '
			cat /tmp/hole >/dev/null; echo cached; sleep 120; echo alive
			dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null && echo got it'
	) >.out 2>.err &
	wait_for 120 said cached
	before=$(<"$cg/memory.current")
	[ "$before" -gt $((700 << 20)) ] || fail "the guest holds only $((before >> 20)) MiB"
	# The write may wait until it is met.
	echo $((before / 2)) >"$cg/memory.high" &
	wait_for 100 current_below $((before / 2))
	wait_for 150 said alive
	# The host has room again: a process in the guest that needs memory gets it.
	echo max >"$cg/memory.high"
	wait_for 90 said "got it"
	wait
	rmdir "$cg"
	rm -r "$dir"
}
