# shellcheck shell=bash
# The guest's GL by the renderer process, on L1's GL by software: --gpu on takes that, too.

# Skips where there is nothing that draws by GL in the guest.
need_kmscube()
{
	command -v kmscube >/dev/null || skip "kmscube is not installed"
	[ -x "$(dirname "$(command -v sandcastle)")/sandcastle-gpu" ] || skip "sandcastle-gpu was not built"
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
	run_sandcastle stop cube
	expect_code 0
}
