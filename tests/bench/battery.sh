#!/usr/bin/env bash
# battery.sh [ROUNDS]: from the host's event of a power supply to the guest's own: what the guest's
# `udevadm monitor` says, less the way back, which is half of what an echo through the same pipes takes.
# Writes the event of a real supply, which Debian's driver of smart batteries gives. For
# docs/battery.md, as root:
#	./dev lab --root --timeout 5m -- tests/bench/battery.sh
# shellcheck disable=SC2154 # set by coproc and by what is sourced
set -u

rounds=${1-20}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../guest" && pwd -P)
TEST_DIR=$(mktemp -d) TEST_LIMIT=100
trap 'umount "$CLASS" 2>/dev/null; rm -rf "$TEST_DIR"' EXIT
# shellcheck source=tests/guest/lib.sh
. "$here/lib.sh"
# shellcheck source=/dev/null
. "$here/test_battery.sh"

# now: sets us.
now()
{
	us=${EPOCHREALTIME/[.,]/}
}

# say NAME: the smallest, the median and the largest of the array took, in ms.
say()
{
	local -a sorted

	mapfile -t sorted < <(printf '%s\n' "${took[@]}" | sort -n)
	printf '%s: %s to %s us, median %s\n' "$1" "${sorted[0]}" "${sorted[-1]}" \
		"${sorted[${#sorted[@]} / 2]}"
}

# until_line REGEX
until_line()
{
	local line

	while read -r -t "$TEST_LIMIT" line <&"${box[0]}"; do
		[[ ! $line =~ $1 ]] || return 0
	done
	fail "the sandbox is gone"
}

add_smart_battery
supplies=$TEST_DIR/class
mkdir "$supplies"
laptop
mount --bind "$supplies" "$CLASS" || exit
start_box
ask "for i in {1..300}; do [ -e $CLASS/BAT0/status ] && break; sleep 0.1; done"
sleep 5
took=()
for ((i = 0; i < rounds; i++)); do
	now
	start=$us
	ask :
	now
	took+=($((us - start)))
	sleep 0.2
done
say 'an echo of the shell in the guest'

printf 'exec udevadm monitor --kernel --subsystem-match=power_supply\n' >&"${box[1]}"
sleep 3
took=()
for ((i = 0; i < rounds; i++)); do
	put AC online=$((i % 2))
	now
	start=$us
	announce
	until_line 'change.*/AC '
	now
	took+=($((us - start)))
	# What was not read is told again after a second.
	sleep 4
done
say 'AC adapter, event to event'
kill "$box_PID"
