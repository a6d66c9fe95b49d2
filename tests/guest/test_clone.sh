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
	local -a all=("$XDG_CACHE_HOME"/sandcastle/templates/[0-9a-f]*)

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

test_a_clone_is_what_a_cold_start_is()
{
	local -a one

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

# What no two machines have in common, five lines; then the name, and in microseconds the clock and the
# time since the start of the kernel. One program, as each costs in an emulated guest.
# shellcheck disable=SC2016 # perl's variables
identity='use Time::HiRes;
	sub start_of { open my $f, "<", $_[0] or die "$_[0]: $!\n"; read $f, my $b, $_[1] // 4096; $b }
	my $random = chr(0) x 32;
	syscall(318, $random, 32, 0); # getrandom(2)
	print unpack("H*", start_of("/dev/urandom", 32)), "\n", start_of("/proc/sys/kernel/random/boot_id"),
		start_of("/proc/sys/kernel/random/uuid"), start_of("/etc/machine-id"), unpack("H*", $random), "\n",
		start_of("/proc/sys/kernel/hostname");
	printf "%d\n%d\n", 1e6 * Time::HiRes::time, 1e6 * (split " ", start_of("/proc/uptime"))[0]'

test_no_two_are_alike()
{
	local n line before after first_uptime='' lowest='' start=$SECONDS
	local -a lines
	local -A seen=()

	own_cache
	run_sandcastle template build "${options[@]}"
	expect_code 0
	for ((n = 1; n <= 20; n++)); do
		before=${EPOCHREALTIME/[.,]/}
		run_sandcastle run -v "${options[@]}" --name "clone-$n" -- perl -e "$identity"
		after=${EPOCHREALTIME/[.,]/}
		expect_code 0
		expect_clone
		mapfile -t lines <<<"$out"
		expect_same 8 "${#lines[@]}"
		for line in "${lines[@]:0:5}"; do
			[ "${#line}" -ge 32 ] || fail "too short: $line"
			[ -z "${seen[$line]-}" ] || fail "clone $n has what clone ${seen[$line]} had: $line"
			seen[$line]=$n
		done
		expect_same "clone-$n" "${lines[5]}"
		# The clock was set to the host's of a moment ago, and may be that far behind.
		[ "$before" -lt $((lines[6] + 100000)) ] ||
			fail "the clock of clone $n is behind: ${lines[6]}, at $before"
		[ "${lines[6]}" -lt $((after + 100000)) ] ||
			fail "the clock of clone $n is ahead: ${lines[6]}, at $after"
		first_uptime=${first_uptime:-${lines[7]}}
		if [ "$n" -gt 15 ] && { [ -z "$lowest" ] || [ "${lines[7]}" -lt "$lowest" ]; }; then
			lowest=${lines[7]}
		fi
	done
	# None sees the time that its template has lain there: with it the last ones would be ahead of
	# the first by all that this test took.
	[ "$lowest" -lt $((first_uptime + (SECONDS - start) * 500000)) ] ||
		fail "the last have been up for $lowest us, the first for $first_uptime us"
}

test_the_second_start_makes_a_template()
{
	own_cache
	run_sandcastle run -v --no-template "${options[@]}" -- true
	run_sandcastle run -v --no-template "${options[@]}" -- true
	expect_code 0
	run_sandcastle run -v "${options[@]}" -- true
	expect_code 0
	expect_cold
	run_sandcastle template list
	expect_out ''
	# Even of one that fails, as long as its machine does not.
	run_sandcastle run -v "${options[@]}" -- sh -c 'echo out; exit 3'
	expect_code 3
	expect_out out
	expect_cold
	expect_err_match 'a template was made of this machine'
	find_template
	run_sandcastle run -v "${options[@]}" -- echo cloned
	expect_code 0
	expect_out cloned
	expect_clone
	# One that stays says so.
	run_sandcastle start "${options[@]}" --name stays
	expect_code 0
	run_sandcastle stats stays
	expect_match '^started as +a clone$'
	run_sandcastle stats --json stays
	expect_match '"clone":true'
	run_sandcastle stop stays
	expect_code 0
	run_sandcastle start "${options[@]}" --no-template --name stays
	expect_code 0
	run_sandcastle stats stays
	expect_match '^started as +a kernel$'
	run_sandcastle stop stays
	expect_code 0
}
