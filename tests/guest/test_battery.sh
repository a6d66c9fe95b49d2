# shellcheck shell=bash
# root
# The host's batteries in the guest. The host's power supplies are a directory of this test's,
# bound over /sys/class/power_supply; the kernel's events come from a real one: Debian's driver of
# smart batteries on an i2c bus that is a stub.

CLASS=/sys/class/power_supply
I2C=/sys/bus/i2c/devices

# put SUPPLY ATTRIBUTE=VALUE...: sets what the host shows.
put()
{
	local supply=$1 pair

	[ -d "$supplies/$supply" ] || mkdir "$supplies/$supply"
	for pair in "${@:2}"; do
		printf '%s\n' "${pair#*=}" >"$supplies/$supply/${pair%%=*}"
	done
}

# The kernel tells of a change of some power supply.
announce()
{
	echo change >"$events"
}

# A smart battery at address 11 of a bus of its own. Sets i2c to the bus and events to the
# battery's uevent file.
add_smart_battery()
{
	local bus name

	command -v i2cset >/dev/null || skip "i2c-tools is not installed"
	if ! modprobe -a i2c-dev sbs-battery || ! modprobe i2c-stub chip_addr=0x0b; then
		skip "this kernel has no i2c-stub or sbs-battery"
	fi
	for bus in "$I2C"/i2c-*; do
		read -r name <"$bus/name"
		[[ $name == 'SMBus stub'* ]] && i2c=${bus##*/i2c-}
	done
	set_word 0x16 0x00c0 # initialised, discharging
	set_word 0x08 2980   # 0.1 K
	set_word 0x09 11400  # mV
	set_word 0x0a 0xfc18 # -1000 mA
	set_word 0x0d 60     # percent
	set_word 0x0f 2400   # mAh
	set_word 0x10 4000
	set_word 0x17 77 # cycles
	set_word 0x18 4400
	set_word 0x19 10800
	[ -e "$I2C/$i2c-000b" ] || echo sbs-battery 0x0b >"$I2C/i2c-$i2c/new_device"
	events=$(echo "$I2C/$i2c-000b/power_supply"/*/uevent)
	[ -e "$events" ] || fail "the driver of smart batteries did not take the stub"
}

set_word()
{
	i2cset -f -y "$i2c" 0x0b "$1" "$2" w || fail "i2cset"
}

# start_box [OPTION...]: a sandbox with a shell that `ask` talks to.
start_box()
{
	coproc box { exec sandcastle run --user root --cpus 1 --memory 512M "$@" -- bash; }
	ask 'true'
}

# ask COMMAND: what it prints in the sandbox, in $answer.
ask()
{
	local line

	answer=
	printf '%s\necho END\n' "$1" >&"${box[1]}" || fail "the sandbox is gone"
	while :; do
		read -r -t "$TEST_LIMIT" line <&"${box[0]}" || fail "no answer to: $1 (but: $answer)"
		[ "$line" != END ] || return 0
		answer+=${answer:+$'\n'}$line
	done
}

# await CONDITION COMMAND: COMMAND's output in the sandbox, in $answer, once CONDITION holds there, or after a minute.
await()
{
	ask "end=\$((SECONDS + 60)); until $1 || [ \$SECONDS -ge \$end ]; do sleep 0.05; done; $2"
}

# expect_guest FILE VALUE: what /sys/class/power_supply/FILE says there.
expect_guest()
{
	ask "cat $CLASS/$1 2>&1"
	[ "$answer" = "$2" ] || fail "expected $1 in the guest to be '$2', it is '$answer'"
}

# expect_soon FILE VALUE: FILE in the guest gets VALUE; says within how many ms it was seen here.
expect_soon()
{
	local start=${EPOCHREALTIME/[.,]/}

	await "[ \"\$(<$CLASS/$1)\" = '$2' ]" "cat $CLASS/$1 2>&1"
	[ "$answer" = "$2" ] || fail "expected $1 in the guest to become '$2', it is '$answer'"
	note "$1 is '$2' after $(((${EPOCHREALTIME/[.,]/} - start) / 1000)) ms"
}

stop_box()
{
	local pid=$box_PID

	# shellcheck disable=SC2154 # set by coproc
	printf 'exit 0\n' >&"${box[1]}"
	wait "$pid"
}

use_fake_class()
{
	supplies=$TEST_DIR/class
	mkdir "$supplies"
	mount --bind "$supplies" "$CLASS" || fail "mount"
	trap 'umount "$CLASS"' EXIT
}

laptop()
{
	put AC type=Mains online=1
	put BAT0 type=Battery status=Full present=1 technology=Li-ion cycle_count=312 \
		voltage_min_design=11400000 voltage_now=12480000 power_now=0 \
		energy_full_design=57020000 energy_full=48500000 energy_now=48500000 alarm=2425000 \
		model_name=45N1753 manufacturer=ACME serial_number=SN-4711
}

# power_is REGEX: as `stats` says it.
power_is()
{
	sandcastle stats --json battery-box | grep -q "\"power\":$1"
}

test_values_events_removal_and_a_second_battery()
{
	local i2c events supplies answer box_PID

	add_smart_battery
	use_fake_class
	laptop
	put hidpp_battery_0 type=Battery scope=Device status=Discharging capacity=50
	start_box --name battery-box
	# The drivers are loaded once a command runs.
	await "[ -e $CLASS/BAT0/status ]" "ls $CLASS"
	expect_same $'AC\nBAT0' "$answer"
	ask "cd $CLASS/BAT0; cat status present technology cycle_count voltage_min_design voltage_now \
		power_now energy_full_design energy_full energy_now alarm model_name manufacturer capacity; \
		cat serial_number; cd /"
	expect_same "$(printf '%s\n' Full 1 Li-ion 312 11400000 12480000 0 57020000 48500000 48500000 \
		2425000 45N1753 ACME 100)" "${answer%$'\n'}"
	expect_guest AC/online 1

	# Unplugged: two events, a moment apart, as firmware tells them.
	put AC online=0
	announce
	expect_soon AC/online 0
	put BAT0 status=Discharging power_now=9876543 energy_now=48123456
	announce
	expect_soon BAT0/status Discharging
	expect_guest BAT0/power_now 9877000
	expect_guest BAT0/energy_now 48123000

	expect_within 60 power_is '{"ac":false,"batteries":\[{"status":"discharging",.*"remaining":48123,"rate":9877,'

	# Empty, and what the host calls critical.
	put BAT0 energy_now=0 capacity_level=Critical
	announce
	expect_soon BAT0/capacity 0
	expect_guest BAT0/capacity_level Critical

	# Plugged in, taken out, put back, and another one beside it.
	put AC online=1
	put BAT0 status=Charging energy_now=1000000 capacity_level=Normal
	announce
	expect_soon BAT0/status Charging
	expect_guest AC/online 1
	mv "$supplies/BAT0" "$TEST_DIR/taken-out"
	announce
	await "[ ! -e $CLASS/BAT0 ]" "ls $CLASS"
	expect_same AC "$answer"
	mv "$TEST_DIR/taken-out" "$supplies/BAT0"
	put BAT1 type=Battery status=Discharging charge_full=4000000 charge_now=2000000 \
		current_now=1000000 voltage_now=8000000
	announce
	await "[ -e $CLASS/BAT1 ]" "ls $CLASS"
	expect_same $'AC\nBAT0\nBAT1' "$answer"
	expect_guest BAT0/energy_now 1000000
	expect_guest BAT1/charge_now 2000000
	expect_guest BAT1/current_now 1000000

	# Chargers come and go; a guest that writes has no effect on the host.
	put AC online=0
	put ucsi-source-psy-USBC000:001 type=USB online=1
	announce
	ask "echo 123000 >$CLASS/BAT0/alarm; cat $CLASS/AC/online"
	expect_same 1 "$answer"
	expect_same 2425000 "$(<"$supplies/BAT0/alarm")"
	stop_box
}

test_no_battery_is_mains_only()
{
	local supplies answer box_PID

	use_fake_class
	start_box
	await "[ -e $CLASS/AC/online ]" "sleep 1; ls $CLASS"
	expect_same AC "$answer"
	expect_guest AC/online 1
	stop_box
}

test_a_real_supply_of_the_kernel()
{
	local i2c events answer box_PID

	add_smart_battery
	start_box
	await "[ -e $CLASS/BAT0/status ]" "ls $CLASS"
	expect_same $'AC\nBAT0' "$answer"
	expect_guest BAT0/status Discharging
	expect_guest AC/online 0
	expect_guest BAT0/capacity 60
	expect_guest BAT0/cycle_count 77
	expect_guest BAT0/voltage_now 11400000
	set_word 0x0f 2000
	set_word 0x0d 50
	announce
	expect_soon BAT0/capacity 50
	# Events of the kernel's own: the driver lets the battery go, and takes it again.
	echo 0x0b >"$I2C/i2c-$i2c/delete_device"
	await "[ ! -e $CLASS/BAT0 ]" "ls $CLASS"
	expect_same AC "$answer"
	echo sbs-battery 0x0b >"$I2C/i2c-$i2c/new_device"
	await "[ -e $CLASS/BAT0 ]" "ls $CLASS"
	expect_same $'AC\nBAT0' "$answer"
	stop_box
}

test_upower_shows_it()
{
	local i2c events supplies answer box_PID

	[ -x /usr/libexec/upowerd ] || skip "upower is not installed"
	add_smart_battery
	use_fake_class
	laptop
	start_box
	await "[ -e $CLASS/BAT0/status ]" "
		mkdir -p /run/dbus; /lib/systemd/systemd-udevd --daemon; udevadm trigger -c add -s power_supply
		dbus-daemon --system --fork; (/usr/libexec/upowerd >/dev/null 2>&1 &)
		true"
	await "upower -e 2>/dev/null | grep -q BAT0" "upower -d 2>&1"
	grep -q 'state: *fully-charged' <<<"$answer" || fail "upower does not say fully-charged: $answer"
	grep -q 'energy-full: *48.5 Wh' <<<"$answer" || fail "upower does not say 48.5 Wh: $answer"
	grep -q 'on-battery: *no' <<<"$answer" || fail "upower does not say on-battery: no: $answer"
	put AC online=0
	put BAT0 status=Discharging power_now=9000000 energy_now=24250000
	announce
	await "upower -d | grep -q 'state: *discharging'" "upower -d"
	grep -q 'percentage: *50%' <<<"$answer" || fail "upower does not say 50 %: $answer"
	grep -q 'energy-rate: *9 W' <<<"$answer" || fail "upower does not say 9 W: $answer"
	grep -q 'on-battery: *yes' <<<"$answer" || fail "upower does not say on-battery: yes: $answer"
	stop_box
}

# Sets events to the number of times the guest was told of a change of its power.
count_events()
{
	ask "awk '/ACPI:Ged/ { n += \$2 } END { print n + 0 }' /proc/interrupts"
	events=$answer
}

# The host tells nobody here, so that what the guest hears is the trip point's (_BTP) alone.
test_the_trip_point()
{
	local events before supplies answer box_PID

	use_fake_class
	laptop
	put AC online=0
	put BAT0 status=Discharging power_now=9000000 energy_full=50000000 energy_now=10450000 alarm=2500000
	start_box
	await "[ -e $CLASS/BAT0/status ]" "echo 10300000 >$CLASS/BAT0/alarm; cat $CLASS/BAT0/alarm"
	expect_same 10300000 "$answer"
	expect_soon BAT0/energy_now 10450000
	count_events
	before=$events

	# No whole percent, and above the trip point: nothing to wake a guest for.
	put BAT0 energy_now=10350000
	expect_soon BAT0/energy_now 10350000
	count_events
	expect_same "$before" "$events"

	# Below it, in the same percent.
	put BAT0 energy_now=10200000
	expect_soon BAT0/energy_now 10200000
	count_events
	[ "$events" -gt "$before" ] || fail "the guest was not told that the trip point was passed"
	expect_same 2500000 "$(<"$supplies/BAT0/alarm")"
	stop_box
}

test_a_timeline()
{
	local answer box_PID

	cat >timeline <<'END'
# a short journey
AC   online=1
BAT0 status=Full energy_full=50000000 energy_now=50000000 model_name="Model T"
+2s AC online=0
    BAT0 status=Discharging power_now=7500000 energy_now=25000000
END
	start_box --battery "$PWD/timeline"
	await "[ -e $CLASS/BAT0/status ]" "cat $CLASS/BAT0/model_name"
	expect_same 'Model T' "$answer"
	expect_soon BAT0/status Discharging
	expect_guest BAT0/capacity 50
	expect_guest AC/online 0
	stop_box

	echo 'BAT0 status' >bad
	run_sandcastle run --battery bad -- true
	expect_one_line_error 'line 1'
	run_sandcastle run --battery /nonexistent -- true
	expect_one_line_error 'No such file'
}

test_none_hides_the_hosts()
{
	local supplies answer box_PID

	use_fake_class
	laptop
	put AC online=0
	start_box --battery none
	await "[ -e $CLASS/AC/online ]" "sleep 1; ls $CLASS"
	expect_same AC "$answer"
	expect_guest AC/online 1
	stop_box
}
