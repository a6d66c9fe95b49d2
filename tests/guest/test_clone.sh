# shellcheck shell=bash
# Clones: that they are what a cold start is, that no two are alike, and that whatever is wrong with a
# template makes a cold start.

# The options of all sandboxes here: they have one template.
options=(--cpus 1 --memory 512M)

# Templates of each test are its own; the kernel is unpacked already, and the base image made.
own_cache()
{
	local kind

	export XDG_CACHE_HOME=$TEST_DIR/cache
	mkdir -p "$XDG_CACHE_HOME/sandcastle"
	for kind in kernels base; do
		[ ! -d "$HOME/.cache/sandcastle/$kind" ] ||
			cp -a "$HOME/.cache/sandcastle/$kind" "$XDG_CACHE_HOME/sandcastle/"
	done
}

# Sets template: the one there is.
find_template()
{
	local -a all=("$XDG_CACHE_HOME"/sandcastle/templates/*)

	[ "${#all[@]}" -eq 1 ] || fail "there are ${#all[@]} files: ${all[*]}"
	template=${all[0]}
	[[ $template =~ /[0-9a-f]{32}$ ]] || fail "no template, but $template"
}

# What the last command's -v said: it was a clone, or not.
expect_clone()
{
	[[ $err == *'a clone of a template'* ]] || fail "it is no clone"
}

expect_cold()
{
	[[ $err != *'a clone of a template'* ]] || fail "it is a clone"
}

# What is to differ between two machines, a line each.
# shellcheck disable=SC2016 # for the shell in the guest
identity='head -c 32 /dev/urandom | od -An -tx1 | tr -d " \n"; echo
	cat /proc/sys/kernel/random/boot_id /etc/machine-id; hostname; date +%s'

test_a_clone_is_what_a_cold_start_is()
{
	local -a one two
	local i

	own_cache
	run_sandcastle template build "${options[@]}" -v
	expect_code 0
	find_template
	expect_same 600 "$(stat -c %a "$template")"
	echo on the host >here
	# shellcheck disable=SC2016 # for the shell in the guest
	run_sandcastle run -v "${options[@]}" --name shy-clone -- sh -c '
		uname -r; pwd; hostname; cat here; ls /usr/bin | wc -l; python3 -c "print(6 * 7)"; exit 7'
	expect_code 7
	expect_clone
	mapfile -t one <<<"$out"
	expect_same "$(uname -r)" "${one[0]}"
	expect_same "$PWD" "${one[1]}"
	expect_same shy-clone "${one[2]}"
	expect_same 'on the host' "${one[3]}"
	[ "${one[4]}" -gt 100 ] || fail "there are no programs"
	expect_same 42 "${one[5]}"

	# No two are alike, and their clocks are right whatever the template's age.
	run_sandcastle run -v "${options[@]}" -- sh -c "$identity"
	expect_code 0
	expect_clone
	mapfile -t one <<<"$out"
	run_sandcastle run -v "${options[@]}" -- sh -c "$identity"
	expect_code 0
	expect_clone
	mapfile -t two <<<"$out"
	for i in 0 1 2 3; do
		[ -n "${one[i]}" ] || fail "line $i is empty"
		[ "${one[i]}" != "${two[i]}" ] || fail "both have ${one[i]}"
	done
	[ $((two[4] - $(date +%s))) -le 1 ] || fail "its clock is ahead: ${two[4]}"
	[ $(($(date +%s) - two[4])) -le 60 ] || fail "its clock is behind: ${two[4]}"
}

test_what_is_wrong_with_a_template_makes_a_cold_start()
{
	own_cache
	run_sandcastle template build "${options[@]}"
	expect_code 0
	find_template
	# Other processors: another machine.
	run_sandcastle run -v --cpus 2 --memory 512M -- nproc
	expect_code 0
	expect_out 2
	expect_cold
	run_sandcastle run -v --no-template "${options[@]}" -- true
	expect_code 0
	expect_cold
	run_sandcastle template list
	expect_match "^${template##*/} +[0-9]+ MiB"
	# A mistake of the user's is not the template's, and is said once.
	run_sandcastle run "${options[@]}" --battery /nonexistent -- true
	expect_one_line_error 'No such file'
	[ -e "$template" ] || fail "it is gone"
	# Damaged.
	printf x | dd of="$template" bs=1 seek=5000 conv=notrunc 2>/dev/null
	run_sandcastle run -v "${options[@]}" -- true
	expect_code 0
	expect_cold
	[[ $err == *'the template of this machine is of no use'* ]] || fail "it does not say so"
	[ ! -e "$template" ] || fail "it is still there"
	run_sandcastle template build --display on
	expect_code 125
	expect_err 'sandcastle: a sandbox with these options cannot be cloned: no template has a network or a display, and it needs a folder of your own on a disk of this host'
}

test_two_processors()
{
	own_cache
	run_sandcastle template build --cpus 2 --memory 512M
	expect_code 0
	run_sandcastle run -v --cpus 2 --memory 512M -- sh -c 'nproc; sleep 1; taskset -c 1 echo on the second'
	expect_code 0
	expect_clone
	expect_out $'2\non the second'
}
