# shellcheck shell=bash
# What a guest draws, by its own driver, and what of it comes out. L1's kernel, which they get, has DRM.

test_a_picture_by_dumb_buffers()
{
	cp "$LAB_REPO/tests/guest/draw.c" .
	run gcc -O1 -o draw draw.c
	expect_code 0
	run_sandcastle start --name easel --display 320x200 --map draw:/srv/draw
	expect_code 0
	run_sandcastle screenshot easel early.png
	expect_one_line_error "the guest shows nothing on monitor 1"
	mkfifo hold
	sandcastle exec --user root easel -- /srv/draw <hold >drawn 2>&1 &
	exec 7>hold
	for _ in {1..60}; do
		grep -q drawn drawn && break
		sleep 1
	done
	run cat drawn
	expect_out $'4 monitors\ndrawn 320x200'
	run_sandcastle screenshot easel picture.png
	expect_code 0
	run /usr/bin/python3 "$LAB_REPO/tests/guest/check_png.py" picture.png 320 200
	expect_out 'every pixel'
	run_sandcastle screenshot --monitor 2 easel second.png
	expect_code 125
	run_sandcastle stats --json easel
	expect_match '"window":false'
	expect_match '"errors":0'
	expect_match '"width":320,"height":200'
	exec 7>&-
	wait
	run_sandcastle stop easel
	expect_code 0
}

test_without_a_display_there_is_nothing_of_it()
{
	local pid

	run_sandcastle start --name plain
	expect_code 0
	run_sandcastle screenshot plain picture.png
	expect_one_line_error "started without --display"
	run_sandcastle exec plain -- sh -c 'cat /sys/bus/pci/devices/*/class | sort -u; ls /dev/dri /dev/input; grep -c virtio_gpu /proc/modules'
	expect_no_match '0x0380'
	expect_no_match '0x0980'
	run_sandcastle stats --json plain
	expect_match '"display":null'
	run_sandcastle list --json
	pid=$(grep -o '"pid": *[0-9]*' .out | grep -o '[0-9]*$')
	run sh -c "cat /proc/$pid/task/*/comm"
	expect_no_match display
	run_sandcastle stop plain
	expect_code 0
}

test_what_send_types_and_clicks()
{
	local x

	run_sandcastle send --key enter nobody
	expect_one_line_error "no sandbox named 'nobody'"
	run_sandcastle start --name piano --display 320x200 --map "$LAB_REPO/build/tests/guest:/srv"
	expect_code 0
	# Nothing is on the screen, which is where a click would be.
	run_sandcastle send --click 10,10 piano
	expect_one_line_error 'event 1: the guest shows nothing on that monitor'
	run_sandcastle send --text 'grüß' piano
	expect_one_line_error 'character 3 of .* has no key on a US keyboard'
	# A light, which no window shows here; 2 for Shift, 2 a key; 2 for the wheel's fine and coarse turn.
	sandcastle exec --user root piano -- /srv/events 14 light >heard 2>&1 &
	expect_within 60 says listens heard
	run_sandcastle send --text 'Hi' --key ctrl+alt+t --wheel -1 piano
	expect_code 0
	wait $!
	run cat heard
	expect_out "$(
		cat <<-'END'
			listens to 3
			keyboard 1:42=1
			keyboard 1:35=1
			keyboard 1:35=0
			keyboard 1:42=0
			keyboard 1:23=1
			keyboard 1:23=0
			keyboard 1:29=1
			keyboard 1:56=1
			keyboard 1:20=1
			keyboard 1:20=0
			keyboard 1:56=0
			keyboard 1:29=0
			tablet 2:11=-120
			tablet 2:8=-1
		END
	)"
	# A click, at a picture.
	cp "$LAB_REPO/tests/guest/draw.c" .
	run gcc -O1 -static -o draw draw.c
	expect_code 0
	run_sandcastle cp draw piano:/tmp/draw
	expect_code 0
	mkfifo hold
	sandcastle exec --user root piano -- /tmp/draw <hold >drawn 2>&1 &
	exec 7>hold
	expect_within 60 says drawn drawn
	sandcastle exec --user root piano -- /srv/events 4 >clicked 2>&1 &
	expect_within 60 says listens clicked
	run_sandcastle send --click 319,100,right piano
	expect_code 0
	wait $!
	run_sandcastle send --click 320,100 piano
	expect_one_line_error 'outside of what the monitor shows'
	exec 7>&-
	# 319 of 320 and 100 of 200, in the middle of the pixel and of 32768.
	x=$(((2 * 319 + 1) * 32768 / 640))
	run cat clicked
	expect_out "listens to 3
tablet 3:0=$x
tablet 3:1=$((201 * 32768 / 400))
tablet 1:273=1
tablet 1:273=0"
	run_sandcastle stop piano
	expect_code 0
}

test_a_kernel_without_drivers_of_a_display()
{
	local kernel

	kernel=$(echo /boot/vmlinuz-*-cloud-amd64)
	[ -e "$kernel" ] || skip "no cloud kernel in /boot"
	run_sandcastle start --display on --kernel "$kernel"
	expect_one_line_error 'no module virtio_gpu.*apt install linux-image-amd64'
}
