# shellcheck shell=bash
# root
# What time it is in a guest: the host's, also when that is set.

# expect_time NAME: the guest's time lies between two of the host's, give or take half a second, which
# is what this host may need to answer a question.
expect_time()
{
	local before guest after

	before=$(date +%s%N)
	guest=$(sandcastle exec "$1" date +%s%N) || fail "cannot ask the guest"
	after=$(date +%s%N)
	if [ "$guest" -lt $((before - 500000000)) ] || [ "$guest" -gt $((after + 500000000)) ]; then
		note "the guest's clock: $guest, the host's: $before to $after"
		return 1
	fi
}

test_guest_time_is_the_hosts()
{
	local uptime

	mkdir share
	run_sandcastle start --name slow-heron --map share:/share:rw
	expect_code 0
	expect_time slow-heron || fail "at the start"

	# Times of files, made by either of them.
	touch share/host
	# shellcheck disable=SC2016 # for the shell in the guest
	run_sandcastle exec slow-heron sh -c 'touch /share/guest /tmp/guest; touch -d "@$(date +%s)" /share/set
		stat -c %Y /share/host /share/guest /tmp/guest /share/set | sort -n; date +%s'
	expect_code 0
	{ read -r first && mapfile -t rest; } <<<"$out"
	[ $((rest[3] - first)) -le 60 ] || fail "times of files differ"
	[ "${rest[2]}" -le $((rest[3] + 1)) ] || fail "a file is from the future"

	# Set forwards and back again. What measures time does not notice.
	uptime=$(sandcastle exec slow-heron cut -d. -f1 /proc/uptime)
	date -s "@$(($(date +%s) + 7200))" >/dev/null
	expect_within 20 expect_time slow-heron
	date -s "@$(($(date +%s) - 7200))" >/dev/null
	expect_within 20 expect_time slow-heron
	run_sandcastle exec slow-heron cut -d. -f1 /proc/uptime
	[ $((out - uptime)) -lt 3600 ] || fail "the time since the start went along"
	run_sandcastle stop slow-heron
	expect_code 0
}

test_the_time_zone_is_passed()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	TZ=XYZ-5 LC_TIME=C.UTF-8 run_sandcastle run -- sh -c 'date +%Z; echo $LC_TIME'
	expect_out $'XYZ\nC.UTF-8'
}
