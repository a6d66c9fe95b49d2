#!/bin/bash
# sandcastle-window under Xvfb, before a sandbox that fake_display.c plays: run.sh WINDOW FAKE [TEST].
# With PICTURES=DIR each state of the window is kept there as a picture. Exit code 77: skipped.
set -u

window=$1 fake=$2 only=${3:-}
opener=("$window")
for program in Xvfb xdotool weston; do
	command -v "$program" >/dev/null || { echo "no $program"; exit 77; }
done
XDG_RUNTIME_DIR=$(mktemp -d)
export XDG_RUNTIME_DIR
unset WAYLAND_DISPLAY

# An X server with these options; sets DISPLAY and server, its process.
start_x()
{
	rm -f "$XDG_RUNTIME_DIR/display"
	Xvfb -displayfd 3 -screen 0 1920x1080x24 -nolisten tcp "$@" 3>"$XDG_RUNTIME_DIR/display" 2>/dev/null &
	server=$!
	for _ in {1..200}; do
		[ ! -s "$XDG_RUNTIME_DIR/display" ] || break
		sleep 0.05
	done
	DISPLAY=:$(cat "$XDG_RUNTIME_DIR/display")
}

export DISPLAY
start_x
xvfb=$server
finish()
{
	kill "$xvfb"
	wait "$xvfb" 2>/dev/null
	rm -rf "$XDG_RUNTIME_DIR"
}
trap finish EXIT

passed=0 failed=0 test='' wrong=0

fail()
{
	echo "$test: $*"
	wrong=1
}

# What the fake is to do; what it says comes by `expect`.
tell()
{
	echo "$*" >&"${fake_process[1]}"
}

# The next line of the fake that matches the pattern $1 ([[ == ]]), others in between are passed over.
# $2 is the seconds that each may take.
expect()
{
	local line

	while IFS= read -r -t "${2:-10}" line <&"${fake_process[0]}"; do
		# shellcheck disable=SC2053
		[[ $line != $1 ]] || { last=$line; return 0; }
		passed_over=$line
	done
	fail "no \"$1\"; last was \"${passed_over:-}\""
	return 1
}

# Until the picture is right: a window draws when it has its turn.
expect_same()
{
	local line

	for _ in {1..50}; do
		tell compare
		while IFS= read -r -t 10 line <&"${fake_process[0]}"; do
			[[ $line != same\ $1 ]] || return 0
			[[ $line != differs* && $line != same* && $line != no\ window ]] || break
		done
		sleep 0.1
	done
	fail "the picture: \"$line\", not \"same $1\""
}

expect_title()
{
	for _ in {1..100}; do
		[[ $(xdotool getwindowname "$id") != *"$1"* ]] || return 0
		sleep 0.1
	done
	fail "the title is \"$(xdotool getwindowname "$id")\", without \"$1\""
}

# Until something lies over the picture.
expect_differs()
{
	for _ in {1..50}; do
		tell compare
		expect '* 640x480*'
		[[ $last != differs* ]] || return 0
		sleep 0.1
	done
	fail "the picture has nothing over it"
}

window_id()
{
	tell window
	expect 'window [1-9]*' && id=${last#window }
}

picture()
{
	[ -z "${PICTURES:-}" ] || { sleep 0.5; import -window root "$PICTURES/$1.png"; }
}

# Starts both; the fake is $1.
start()
{
	local has_focus=''

	coproc fake_process { exec "$fake" "$1"; }
	expect listening
	"${opener[@]}" "$1" 2>"$XDG_RUNTIME_DIR/stderr" &
	window_process=$!
	tell window
	for _ in {1..100}; do
		IFS= read -r -t 10 last <&"${fake_process[0]}"
		[[ $last != window\ [1-9]* ]] || break
		[[ $last != "focus 1" ]] || has_focus=1
		sleep 0.05
		tell window
	done
	id=${last#window }
	# There is no window manager to give it the keyboard: a slow window has taken it already.
	xdotool windowfocus "$id"
	[ -n "$has_focus" ] || expect 'focus 1'
}

start_drawn()
{
	start "$1"
	tell hello
	tell scanout 0 "$2" "$3"
	tell frame 0
	expect 'shown 0 1'
}

# The window is to end by itself with exit code $1.
ends_with()
{
	local code

	for _ in {1..100}; do
		kill -0 "$window_process" 2>/dev/null || break
		sleep 0.05
	done
	kill -9 "$window_process" 2>/dev/null
	wait "$window_process"
	code=$?
	[ "$code" = "$1" ] || fail "the window's exit code is $code, not $1"
}

stop()
{
	kill -9 "$window_process" 2>/dev/null
	wait "$window_process" 2>/dev/null
	[ -z "${fake_process_PID:-}" ] || { kill "$fake_process_PID"; wait "$fake_process_PID"; } 2>/dev/null
}

test_starting()
{
	start quiet-dune
	tell hello
	tell state 'Waits for the agent in the guest (3 of 5)'
	picture starting
}

test_picture_at_its_size()
{
	start_drawn pattern 640 480
	expect_same 640x480
	picture running
	for size in '800 600' '1024 768' '333 251'; do
		# shellcheck disable=SC2086
		tell scanout 0 $size
		tell frame 0
		expect_same "${size/ /x}"
	done
}

test_resize_scales_and_tells()
{
	start_drawn resized 640 480
	xdotool windowsize "$id" 900 480
	expect 'size 0 900 480'
	expect_same 900x480
	# A burst is told once, by its last size.
	for width in 700 710 720 730; do
		xdotool windowsize "$id" "$width" 700
	done
	expect 'size 0 *'
	[ "$last" = 'size 0 730 700' ] || fail "of a burst it told \"$last\""
	expect_same 730x700
	tell scanout 0 730 700
	tell frame 0
	expect_same 730x700
}

test_resize_while_frames_come()
{
	start_drawn busy 640 480
	tell frames 400
	for width in 500 600 700 800 900; do
		xdotool windowsize "$id" "$width" 600
		sleep 0.05
	done
	expect "done"
	expect_same 900x600
}

test_keys()
{
	start_drawn keys 640 480
	xdotool key --delay 20 a Return F12 Up
	for usage in 0x4 0x28 0x45 0x52; do
		expect "key $usage 1"
		expect "key $usage 0"
	done
	xdotool keydown shift keydown q
	expect 'key 0xe1 1'
	expect 'key 0x14 1'
	# Held keys repeat in X; the guest repeats by itself.
	sleep 0.7
	xdotool keyup q keyup shift
	expect 'key*'
	[ "$last" = 'key 0x14 0' ] || fail "after a held key came \"$last\""
	expect 'key 0xe1 0'
	tell window
	expect 'window *'
}

test_caps_lock_is_said()
{
	start_drawn lights 640 480
	tell lights 2
	expect_title 'Caps Lock is on'
	tell lights 1
	expect_title '(Ctrl+Alt+G captures'
}

test_pointer()
{
	start_drawn pointer 640 480
	xdotool mousemove --window "$id" 0 0
	xdotool mousemove --window "$id" 639 479
	expect 'pointer 0 32767 32767'
	xdotool mousemove --window "$id" 320 240 click 1 click 3 click 4 click 5
	expect 'pointer 0 164?? 164??'
	expect 'button 0 1'
	expect 'button 0 0'
	expect 'button 2 1'
	expect 'button 2 0'
	expect 'wheel 120 0'
	expect 'wheel -120 0'
	tell cursor 1
	tell cursor 0
}

# Over the picture, until it is known where its tip is.
test_pointer_is_drawn()
{
	start_drawn drawn 640 480
	tell cursor 2
	tell pointer 100 100
	expect_differs
	picture pointer
	tell cursor 1
	expect_same 640x480
}

test_letterbox_pointer()
{
	start_drawn letterbox 400 400
	xdotool windowsize "$id" 800 400
	expect 'size 0 800 400'
	expect_same 800x400
	# 200 pixels of black on each side: outside counts as the edge.
	xdotool mousemove --window "$id" 100 200
	expect 'pointer 0 0 164??'
	xdotool mousemove --window "$id" 400 200
	expect 'pointer 0 164?? 164??'
	xdotool mousemove --window "$id" 750 399
	expect 'pointer 0 32767 32767'
}

test_capture()
{
	start_drawn capture 640 480
	xdotool mousemove --window "$id" 320 240
	xdotool keydown ctrl keydown alt key g keyup alt keyup ctrl
	expect 'key 0xe0 0'
	xdotool getwindowname "$id" | grep -q 'captured, Ctrl+Alt+G' || fail "the title does not say how to leave"
	tell cursor 1
	tell pointer 100 100
	xdotool mousemove_relative 7 5
	expect 'motion *'
	picture captured
	xdotool keydown ctrl keydown alt key g keyup alt keyup ctrl
	expect 'key 0xe0 0'
	xdotool mousemove --window "$id" 10 10
	expect 'pointer 0 *'
}

test_focus_lost()
{
	start_drawn focus 640 480
	xdotool keydown a
	expect 'key 0x4 1'
	xdotool windowunmap "$id"
	expect 'focus 0'
	xdotool keyup a
	xdotool windowmap "$id"
	expect 'hidden 0 0'
}

test_full_screen()
{
	start_drawn full 640 480
	xdotool keydown ctrl keydown alt key f keyup alt keyup ctrl
	expect 'size 0 1920 1080'
	picture full-screen
}

# Three beside the first one, which are all there are.
test_more_monitors()
{
	local i

	start_drawn monitors 640 480
	for i in 1 2 3; do
		xdotool windowfocus "$id"
		xdotool keydown ctrl keydown alt key m keyup alt keyup ctrl
		expect "size $i *"
		tell scanout "$i" 640 480
		tell frame "$i"
		expect "shown $i 1"
	done
	xdotool windowfocus "$id"
	xdotool keydown ctrl keydown alt key m keyup alt keyup ctrl key a
	expect 'key 0x4 1'
	[ "$(xdotool search --name '^monitors' | wc -l)" = 4 ] || fail "not four windows"
	picture monitors
	tell frame 0
	expect 'shown 0 2'
}

test_close_asks()
{
	start_drawn close 640 480
	tell close
	sleep 0.3
	picture question
	# Nothing of what is typed now is the guest's.
	xdotool key a
	xdotool key Escape
	sleep 0.3
	expect_same 640x480
	xdotool key b
	expect 'key*'
	[ "$last" = 'key 0x5 1' ] || fail "after the question came \"$last\""
	tell close
	sleep 0.3
	xdotool key Return
	expect 'op stop'
	tell 'control {"type":"event","event":"ended","reason":"stopped","message":""}'
	ends_with 0
}

test_failed_start()
{
	start failed
	tell hello
	tell 'control {"type":"event","event":"ended","reason":"failed","message":"the kernel /boot/vmlinuz-6.1.0-18-amd64 has no virtio_pci: apt install linux-image-amd64"}'
	sleep 0.3
	picture failed
	kill -0 "$window_process" || fail "the window went without telling the cause"
	tell close
	ends_with 1
}

test_guest_switched_off()
{
	start_drawn off 640 480
	tell 'control {"type":"event","event":"ended","reason":"powered-off","message":""}'
	ends_with 0
}

test_sandbox_killed()
{
	start_drawn killed 640 480
	kill -9 "$fake_process_PID"
	sleep 1
	picture killed
	kill -0 "$window_process" || fail "the window went with the sandbox"
	xdotool windowfocus "$id" key a
	kill "$window_process"
	ends_with 143
}

test_no_such_sandbox()
{
	timeout 2 "$window" nobody 2>"$XDG_RUNTIME_DIR/stderr"
	grep -q 'nobody: no sandbox of that name runs' "$XDG_RUNTIME_DIR/stderr" ||
		fail "stderr: $(cat "$XDG_RUNTIME_DIR/stderr")"
}

# The command becomes the window.
test_connect()
{
	local opener=("$(dirname "$window")/sandcastle" connect)

	start_drawn connected 640 480
	expect_same 640x480
}

test_connect_without_a_display()
{
	coproc fake_process { exec "$fake" headless; }
	expect listening
	"$(dirname "$window")/sandcastle" connect headless 2>"$XDG_RUNTIME_DIR/stderr"
	[ $? = 125 ] || fail "not refused"
	grep -q "'headless' was started without --display" "$XDG_RUNTIME_DIR/stderr" ||
		fail "stderr: $(cat "$XDG_RUNTIME_DIR/stderr")"
	kill "$fake_process_PID"
}

test_connect_without_the_package()
{
	mkdir "$XDG_RUNTIME_DIR/bin"
	cp "$(dirname "$window")/sandcastle" "$XDG_RUNTIME_DIR/bin"
	coproc fake_process { exec "$fake" alone; }
	expect listening
	PATH=/nowhere "$XDG_RUNTIME_DIR/bin/sandcastle" connect alone 2>"$XDG_RUNTIME_DIR/stderr"
	[ $? = 125 ] || fail "not refused"
	grep -q 'apt install sandcastle-desktop' "$XDG_RUNTIME_DIR/stderr" ||
		fail "stderr: $(cat "$XDG_RUNTIME_DIR/stderr")"
	kill "$fake_process_PID"
}

# The window goes on when the sandbox does not, and nothing of what is typed meanwhile gets lost.
test_sandbox_stopped()
{
	start_drawn stopped 640 480
	kill -STOP "$fake_process_PID"
	xdotool key a keydown ctrl keydown alt key g keyup alt keyup ctrl
	expect_title captured
	kill -CONT "$fake_process_PID"
	expect 'key 0x4 1'
	expect 'key 0x4 0'
	xdotool windowsize "$id" 900 480
	expect_same 900x480
}

# A message that may not come ends the connection, not the window; so does a hang-up before each.
test_hostile_sandbox()
{
	local bad

	for bad in $("$fake" --bad); do
		start_drawn hostile 64 48
		tell bad "$bad"
		expect 'hung up' || echo "  (at $bad)"
		kill -0 "$window_process" || fail "$bad ended the window"
		stop
	done
}

test_dead_at_each_message()
{
	local steps=(hello 'state x' 'scanout 0 64 48' 'frame 0' 'cursor 1' 'pointer 1 1') i j

	for i in "${!steps[@]}"; do
		start dead
		for ((j = 0; j < i; j++)); do
			tell "${steps[j]}"
		done
		tell hangup
		sleep 0.7
		kill -0 "$window_process" || fail "a hang-up before \"${steps[i]}\" ended the window"
		stop
	done
}

# An X server to which nobody can give memory, as one over a network.
test_without_shared_memory()
{
	local -x DISPLAY
	local server

	start_x -extension MIT-SHM
	start_drawn distant 640 480
	expect_same 640x480
	xdotool windowsize "$id" 900 480
	expect 'size 0 900 480'
	expect_same 900x480
	stop
	kill "$server"
	wait "$server" 2>/dev/null
}

# on_wayland SCALE: without XWayland, in a compositor whose screen is a window here, and of which one
# unit is SCALE pixels. A pixel of the guest is one of the screen in any case.
on_wayland()
{
	local opener=(env WAYLAND_DISPLAY=wayland SDL_VIDEODRIVER=wayland "$window") weston

	printf '[core]\nidle-time=0\n[shell]\npanel-position=none\nanimation=none\nstartup-animation=none\n' \
		>"$XDG_RUNTIME_DIR/weston.ini"
	weston --backend=x11-backend.so --use-pixman --width=$((1600 / $1)) --height=$((1000 / $1)) \
		--scale="$1" --socket=wayland --config="$XDG_RUNTIME_DIR/weston.ini" >/dev/null 2>&1 &
	weston=$!
	for _ in {1..600}; do
		[ ! -S "$XDG_RUNTIME_DIR/wayland" ] || break
		sleep 0.1
	done
	coproc fake_process { exec "$fake" "wayland-$1"; }
	expect listening
	"${opener[@]}" "wayland-$1" 2>"$XDG_RUNTIME_DIR/stderr" &
	window_process=$!
	expect 'focus 1' 60
	tell hello
	tell scanout 0 640 480
	tell frame 0
	expect 'shown 0 1' 60
	expect_found
	picture "wayland-$1"
	xdotool mousemove 800 900 key a
	expect 'key 0x4 1'
	expect 'key 0x4 0'
	stop
	kill "$weston"
	wait "$weston" 2>/dev/null
}

# Until the picture is somewhere on the screen.
expect_found()
{
	for _ in {1..100}; do
		tell find
		expect '*found' || return
		[[ $last != found ]] || return 0
		sleep 0.1
	done
	fail "the picture is not on the screen"
}

test_wayland()
{
	on_wayland 1
}

test_wayland_on_a_dense_screen()
{
	on_wayland 2
}

# Not judged: what a frame costs the window, and what it holds.
test_cost()
{
	local before after

	start_drawn cost 1920 1080
	before=$(awk '{ print $14 + $15 }' "/proc/$window_process/stat")
	tell frames 500
	expect "done"
	after=$(awk '{ print $14 + $15 }' "/proc/$window_process/stat")
	echo "  1920x1080: $(((after - before) * 10000 / 500)) us of CPU a whole frame," \
		"$(awk '/^Private/ { n += $2 } END { print n }' "/proc/$window_process/smaps_rollup") KiB private," \
		"$(awk '/^VmRSS/ { print $2 }' "/proc/$window_process/status") KiB resident," \
		"$(find "/proc/$window_process/task" -mindepth 1 -maxdepth 1 | wc -l) threads"
	! grep -qE 'libGL|swrast|llvmpipe' "/proc/$window_process/maps" || fail "a GL library is loaded"
}

for function in $(compgen -A function test_); do
	test=${function#test_}
	[[ $test == *$only* ]] || continue
	wrong=0 id='' last='' fake_process_PID='' window_process=
	"$function"
	[ -z "$window_process" ] || stop
	if [ "$wrong" = 0 ]; then
		passed=$((passed + 1))
		echo "ok $test"
	else
		failed=$((failed + 1))
		echo "FAILED $test"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
