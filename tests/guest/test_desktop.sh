# shellcheck shell=bash
# A desktop in a sandbox and the real window before it, on an X server without a screen. What there
# is to see is looked at by the colour of single pixels; KEEP_PICTURES=DIR keeps all of it.

# Starts Xvfb, with its screen in the file $screen.
start_screen()
{
	local program

	for program in Xvfb xdotool weston weston-terminal Xorg xterm xrandr xset xsetroot; do
		command -v "$program" >/dev/null || skip "no $program on the host"
	done
	[ -x "$(dirname "$(command -v sandcastle)")/sandcastle-window" ] || skip "the window was not built"
	mkdir screen
	Xvfb -displayfd 3 -screen 0 1400x1000x24 -fbdir screen -nolisten tcp 3>display 2>/dev/null &
	xvfb=$!
	expect_within 60 test -s display
	DISPLAY=:$(<display)
	export DISPLAY
	unset WAYLAND_DISPLAY
	screen=$TEST_DIR/screen/Xvfb_screen0
}

# Starts sandbox $1 with what desktop.sh calls $2, and its window; sets id, the window.
start_desktop()
{
	start_screen
	cp "$LAB_REPO/tests/guest/desktop.sh" .
	run_sandcastle start --name "$1" --display 800x600 --map desktop.sh:/srv/desktop.sh
	expect_code 0
	sandcastle exec --user root "$1" -- /srv/desktop.sh "$2" >desktop.log 2>&1 &
	open_window "$1"
}

# Sets window, its process, and id.
open_window()
{
	# The command becomes the window.
	sandcastle connect "$1" 2>window.log &
	window=$!
	expect_within 60 find_window "$1"
	# There is no window manager to give it the keyboard.
	xdotool windowfocus "$id"
}

find_window()
{
	id=$(xdotool search --name "$1" 2>/dev/null | head -n 1)
	[ -n "$id" ]
}

stop_desktop()
{
	run_sandcastle stop --force "$1"
	expect_code 0
	# The windows end with the sandbox.
	expect_within 60 no_window "$1"
	kill "$xvfb"
	wait "$xvfb"
	rmdir /tmp/.X11-unix 2>/dev/null
	return 0
}

no_window()
{
	! find_window "$1"
}

# pixel_is FILE X Y SIZE COLOUR
pixel_is()
{
	[ "$("$LAB_REPO/build/tests/guest/pixel" "$1" "$2" "$3" 2>/dev/null)" = "$4 $5" ]
}

# guest_shows NAME MONITOR X Y SIZE COLOUR
guest_shows()
{
	sandcastle screenshot --monitor "$2" "$1" shot.png 2>/dev/null && pixel_is shot.png "$3" "$4" "$5" "$6"
}

# window_shows X Y COLOUR: in the window, of which the guest has the place at the top left.
window_shows()
{
	local X Y

	eval "$(xdotool getwindowgeometry --shell "$id" | grep -E '^[XY]=[0-9]+$')"
	pixel_is "$screen" $((X + $1)) $((Y + $2)) 1400x1000 "$3"
}

# The last screenshot, and Xvfb's screen.
keep()
{
	[ -n "${KEEP_PICTURES-}" ] || return 0
	cp shot.png "$KEEP_PICTURES/$1.png"
	cp "$screen" "$KEEP_PICTURES/$1.xwd"
}

# Types `echo $2` at the window until the terminal in sandbox $1 has it: one that is busy for long
# misses keys.
expect_typed()
{
	local end=$((SECONDS + 240))

	until [ "$SECONDS" -ge "$end" ]; do
		xdotool key --delay 100 ctrl+u
		xdotool type --delay 100 "echo $2>/tmp/t"
		xdotool key --delay 100 Return
		for _ in {1..10}; do
			! typed_is "$1" "$2" || return 0
			sleep 2
		done
	done
	fail "'$2' was typed, and did not arrive"
}

typed_is()
{
	[ "$(sandcastle exec --user root "$1" -- cat /tmp/t 2>/dev/null)" = "$2" ]
}

test_weston_in_the_window()
{
	start_desktop harbor weston
	expect_within 240 guest_shows harbor 1 5 590 800x600 224466
	expect_within 60 window_shows 5 590 224466
	# The terminal is there: black, under the middle.
	expect_within 120 guest_shows harbor 1 400 400 800x600 000000
	expect_within 60 window_shows 400 400 000000
	xdotool mousemove --window "$id" 400 400 click 1
	expect_typed harbor Hello
	keep weston
	# Without the window's help, and beside it.
	run_sandcastle send --click 400,400 --text 'echo {a,B}>/tmp/t' --key enter harbor
	expect_code 0
	expect_within 120 typed_is harbor 'a B'
	run_sandcastle stats harbor
	expect_match 'monitor 1 +800 x 600'
	expect_match 'input the guest missed +0$'
	fight_the_window harbor
	# weston 10 does not follow by itself: it takes a monitor's mode when that is plugged in.
	xdotool windowsize "$id" 1000 750
	expect_within 120 guest_shows harbor 1 5 740 1000x750 224466
	expect_within 60 window_shows 5 740 224466
	keep weston-resized
	# A second monitor, whatever its size is.
	xdotool keydown ctrl keydown alt key m keyup alt keyup ctrl
	expect_within 120 second_shows harbor
	keep two-monitors
	stop_desktop harbor
}

# The window of sandbox $1 is stopped, goes on, is killed and is followed by another one; meanwhile
# the guest, whose terminal has 400,400 in the middle of its black, is used as if nobody looked.
fight_the_window()
{
	local colour

	kill -STOP "$window"
	run_sandcastle send --click 400,400 --text 'printf "\e[47m%4000s"' --key enter "$1"
	expect_code 0
	expect_within 120 guest_changed "$1"
	window_shows 400 400 000000 || fail "a window that is stopped draws"
	kill -CONT "$window"
	expect_within 60 window_shows 400 400 "$colour"
	kill -STOP "$window"
	kill -KILL "$window"
	wait "$window"
	expect_within 60 no_window "$1"
	guest_shows "$1" 1 400 400 800x600 "$colour" || fail "the guest's picture went with the window"
	run_sandcastle exec --user root "$1" -- true
	expect_code 0
	open_window "$1"
	expect_within 60 window_shows 400 400 "$colour"
	expect_within 60 window_shows 5 590 224466
	keep weston-again
	xdotool mousemove --window "$id" 400 400 click 1
	expect_typed "$1" Again
}

# Sets colour, what 400,400 has now.
guest_changed()
{
	sandcastle screenshot --monitor 1 "$1" shot.png 2>/dev/null || return
	read -r _ colour < <("$LAB_REPO/build/tests/guest/pixel" shot.png 400 400)
	[[ $colour =~ ^[0-9a-f]{6}$ && $colour != 000000 ]]
}

# The wallpaper is at the bottom left.
second_shows()
{
	local size

	size=$(sandcastle stats --json "$1" | sed -E 's/.*"monitors":\[\{[^}]*\},\{"width":([0-9]+),"height":([0-9]+)\}.*/\1x\2/')
	[[ $size =~ ^[1-9][0-9]*x[1-9][0-9]*$ ]] && guest_shows "$1" 2 5 $((${size#*x} - 10)) "$size" 224466
}

test_xorg_follows_the_window()
{
	start_desktop meadow xorg
	expect_within 240 guest_shows meadow 1 5 590 800x600 446622
	expect_within 60 window_shows 5 590 446622
	expect_within 120 guest_shows meadow 1 300 200 800x600 ffffff
	xdotool mousemove --window "$id" 300 200
	expect_typed meadow Typed
	xdotool windowsize "$id" 1000 700
	expect_within 120 guest_shows meadow 1 995 695 1000x700 446622
	expect_within 60 window_shows 995 695 446622
	keep xorg-resized
	xdotool windowsize "$id" 640 480
	expect_within 120 guest_shows meadow 1 635 475 640x480 446622
	stop_desktop meadow
}
