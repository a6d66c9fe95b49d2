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
