# shellcheck shell=bash
# The process of a running sandbox, as the kernel shows it.

# values KEY: those of all threads in what `doctor --policy --json` printed.
values()
{
	sed -n 's/^ *"'"$1"'": "\{0,1\}\([^",]*\)"\{0,1\},\{0,1\}$/\1/p' <<<"$out" | sort | uniq -c
}

test_each_thread_is_confined()
{
	local box pid threads

	box=$(sandcastle start --cpus 2) || fail "start"
	pid=$(sandcastle list --json | sed -n 's/^ *"pid": *\([0-9]*\),*$/\1/p')
	threads=$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)
	run_sandcastle doctor --policy --json "$box"
	expect_code 0
	expect_same "$threads 2" "$(values seccomp | sed 's/^ *//')"
	expect_same "$threads true" "$(values no_new_privileges | sed 's/^ *//')"
	expect_same "$threads 0000000000000000" "$(values capabilities | sed 's/^ *//')"
	# The kernel's own word, past our program.
	expect_same "$threads" "$(grep -lx 'Seccomp:	2' "/proc/$pid"/task/*/status | wc -l)"
	run_sandcastle doctor --policy "$box"
	expect_match '^vcpu1 +2 +1 '
	expect_match '^execve: another program$'
	run_sandcastle stop "$box"
	expect_code 0
}
