# shellcheck shell=bash
# The guest's GL by the renderer process, on L1's GL by software: --gpu on takes that, too.

# Skips where there is nothing that draws by GL in the guest.
need_kmscube()
{
	command -v kmscube >/dev/null || skip "kmscube is not installed"
	[ -x "$(dirname "$(command -v sandcastle)")/sandcastle-gpu" ] || skip "sandcastle-gpu was not built"
}

stats_say()
{
	sandcastle stats --json cube | grep -qE "$1"
}

# The driver is bound anew meanwhile, so a few times there may be nothing to draw on.
draws_by_itself()
{
	sandcastle exec --user root cube -- timeout 200 kmscube -c 5 2>&1 | grep -qi 'renderer: "llvmpipe'
}

test_a_program_draws_by_the_hosts_gl()
{
	need_kmscube
	run_sandcastle start --name cube --display 320x200 --gpu on
	expect_code 0
	run_sandcastle stats --json cube
	expect_match '"renderer":"virgl .llvmpipe'
	expect_match '"why":null'
	run_sandcastle exec --user root cube -- timeout 200 kmscube -c 20
	expect_match 'renderer: "virgl .LLVMPIPE'
	run_sandcastle stats --json cube
	expect_match '"errors":0'

	# The renderer is killed while a program draws: the guest goes on, and draws by itself.
	sandcastle exec --user root cube -- timeout 600 stdbuf -oL kmscube -c 1000000 >drawn 2>&1 &
	expect_within 120 says 'renderer: "virgl' drawn
	pkill -KILL -u "$UID" -x sandcastle-gpu || fail "no renderer runs"
	expect_within 60 stats_say '"renderer":"software","why":"[^"]*ended'
	run_sandcastle exec cube echo alive
	expect_out alive
	expect_within 200 draws_by_itself
	run_sandcastle stop cube
	expect_code 0
}
