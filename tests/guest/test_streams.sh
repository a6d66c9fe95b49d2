# shellcheck shell=bash
# user
# What becomes of standard input that a command does not read, and of a sandbox that is a shell's job.

# Loops over a list, and scripts on stdin: each call takes what its command reads, and no more.
test_input_stays_for_who_reads_it_next()
{
	local box=slow-heron line rest

	printf 'one\ntwo\nthree\n' >list
	run_sandcastle start --name $box
	expect_code 0

	run sh -c 'while read -r l; do sandcastle exec slow-heron echo "got $l"; done <list'
	expect_out $'got one\ngot two\ngot three'
	run sh -c 'cat list | while read -r l; do sandcastle exec slow-heron echo "got $l"; done'
	expect_out $'got one\ngot two\ngot three'
	printf 'sandcastle exec %s true\necho first\nsandcastle exec %s cat\nthe rest\n' $box $box >script
	run bash <script
	expect_out $'first\nthe rest'
	run sh -c 'cat script | bash'
	expect_out $'first\nthe rest'

	# A part of it, line by line: from a file, a pipe, and a socket.
	# shellcheck disable=SC2016 # for the shell in the guest
	line='sandcastle exec slow-heron sh -c "read -r l; echo \"in: \$l\""'
	run sh -c "{ $line; $line; cat; } <list"
	expect_out $'in: one\nin: two\nthree'
	run sh -c "cat list | { $line; $line; cat; }"
	expect_out $'in: one\nin: two\nthree'
	run perl -e '
		use Socket;
		socketpair(my $far, my $near, AF_UNIX, SOCK_STREAM, 0);
		syswrite($far, "one\ntwo\n"); shutdown($far, 1);
		open(STDIN, "<&", $near);
		system($ARGV[0]); exec("cat")' "$line"
	expect_out $'in: one\ntwo'
	# A writer that is still there, and one that waits before it reads.
	run sh -c "{ printf 'a\\nb\\n'; sleep 3; } | { $line; cat; }"
	expect_out $'in: a\nb'
	# shellcheck disable=SC2016 # for perl
	run sandcastle exec $box perl -e 'vec($r = "", 0, 1) = 1; print scalar(select($r, undef, undef, 20)), <STDIN>' <list
	expect_out $'1one\ntwo\nthree'

	# More than every buffer on the way holds, of which the first line is read.
	seq 1 200000 >many
	rest=$(sh -c "{ $line >first; wc -l; } <many")
	expect_same "$(<first) $rest" 'in: 1 199999'
	rest=$(sh -c "cat many | { $line >first; wc -l; }")
	expect_same "$(<first) $rest" 'in: 1 199999'
	run sh -c 'cat many | sandcastle exec slow-heron cat | cmp - many'
	expect_code 0

	run sandcastle exec -n $box cat <list
	expect_out ''
	run_sandcastle stop $box
	expect_code 0
}

# What xargs makes of many arguments is more than a packet of the control channel.
test_long_argument_lists()
{
	run_sandcastle start --name broad-oak
	expect_code 0
	# shellcheck disable=SC2016 # for the shell in the guest
	run sh -c 'seq 1 40000 | xargs sandcastle exec -n broad-oak sh -c "echo \$#" x'
	expect_code 0
	expect_same 40000 "$(awk '{ sum += $1 } END { print sum }' <<<"$out")"
	run sh -c 'seq 1 90000 | xargs -s 1000000 sandcastle exec -n broad-oak sh -c "echo \$#" x'
	expect_out 90000
	run_sandcastle stop broad-oak
	expect_code 0
}

test_input_of_run_stays_as_well()
{
	printf 'one\ntwo\n' >list
	run sh -c 'while read -r l; do sandcastle run -- echo "got $l"; done <list'
	expect_out $'got one\ngot two'
	run sh -c '{ sandcastle run -- sh -c "read -r l; echo in: \$l"; cat; } <list'
	expect_out $'in: one\ntwo'
	run sandcastle run --no-stdin -- cat <list
	expect_out ''
}

# as_a_job COMMAND...: runs it in the background of a shell on a terminal, stops it, has it go on
# there, and takes it to the foreground.
as_a_job()
{
	cat >job <<-'END'
		set -m
		stty -g >before
		"$@" sh -c 'echo started; until [ "$l" = it ]; do read -r l; done; echo "got $l"; exit 5' &
		until grep -q started screen; do sleep 0.2; done
		jobs >state
		kill -TSTP %1
		until jobs >stopped; grep -q Stopped stopped; do sleep 0.2; done
		stty -g >while_stopped
		bg %1
		jobs >again
		echo now
		fg %1
		echo "code $?"
		stty -g >after
	END
	rm -f keys screen
	mkfifo keys
	exec 5<>keys
	script -qefc "bash job $*" screen <keys >/dev/null 5>&- &
	expect_within 120 says '^now' screen
	grep -q Running state || fail "it did not run in the background: $(<state)"
	grep -q Running again || fail "it did not go on: $(<again)"
	# What comes before the shell is done is the shell's to lose.
	expect_within 60 sh -c 'printf "it\r" >&5; sleep 1; grep -q "^got it" screen'
	expect_within 30 says '^code 5' screen
	wait $!
	exec 5>&-
	expect_same "$(<before)" "$(<while_stopped)"
	expect_same "$(<before)" "$(<after)"
}

test_run_is_a_job()
{
	as_a_job sandcastle run
}

test_exec_is_a_job()
{
	run_sandcastle start --name slow-heron
	expect_code 0
	as_a_job sandcastle exec slow-heron
	run_sandcastle stop slow-heron
	expect_code 0
}

# It is of no use in the background, and stops there; in the foreground it goes on.
test_attach_is_a_job()
{
	run_sandcastle start --name slow-heron
	expect_code 0
	cat >job <<-'END'
		set -m
		stty -g >before
		sandcastle attach slow-heron &
		until jobs >stopped; grep -q Stopped stopped; do sleep 0.2; done
		stty -g >while_stopped
		echo now
		fg %1
		echo "code $?"
		stty -g >after
	END
	mkfifo keys
	exec 5<>keys
	script -qefc "bash job" screen <keys >/dev/null 5>&- &
	expect_within 60 says '^now' screen
	expect_within 60 says 'Ctrl-] detaches' screen
	expect_within 60 sh -c 'printf "\035" >&5; sleep 1; grep -q "^code 0" screen'
	wait $!
	exec 5>&-
	expect_same "$(<before)" "$(<while_stopped)"
	expect_same "$(<before)" "$(<after)"
	run_sandcastle stop slow-heron
	expect_code 0
}
