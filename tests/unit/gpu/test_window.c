/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gpu/gpu_guest.h"

static uint32_t *pixels;
static int window;
/* What the window maps. */
static const uint32_t *buffers;
static uint32_t seen[WIDTH * HEIGHT];

static void setup(void)
{
	gpu_guest_start();
	pixels = show_picture(1);
}

TestSuite(window, .init = setup, .fini = gpu_guest_stop);

/* Opens a window and takes what it is told first. */
static void open_and_map(void)
{
	union window_message m;
	int fd = -1;

	window = open_window();
	m = message_of(window, WINDOW_SCANOUT, &fd);
	cr_assert_eq(m.scanout.id, 0);
	cr_assert_eq(m.scanout.width, WIDTH);
	cr_assert_eq(m.scanout.height, HEIGHT);
	cr_assert_eq(m.scanout.stride, WIDTH * 4);
	buffers = mmap(NULL, 2ul * PICTURE, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert_neq(buffers, MAP_FAILED);
	close(fd);
	the_time += PACE_PERIOD;
	gpu_work(gpu);
}

/* Takes the frame's damage over, as a window would, and gives the buffer back. */
static struct window_frame take_frame(void)
{
	const struct window_frame f = message_of(window, WINDOW_FRAME, NULL).frame;

	for (uint32_t y = f.y; y < f.y + f.height; y++)
		memcpy(&seen[y * WIDTH + f.x], &buffers[f.buffer * (PICTURE / 4) + y * WIDTH + f.x],
		       f.width * 4ul);
	return f;
}

static void next_period(void)
{
	the_time += PACE_PERIOD;
	gpu_work(gpu);
}

Test(window, hears_who_it_shows_and_the_picture)
{
	union window_message m;

	gpu_say(gpu, "starting\tthe guest");
	window = open_window();
	m = next_message(window, NULL);
	cr_assert_eq(m.type, WINDOW_HELLO);
	cr_assert_str_eq(m.hello.name, "box?");
	cr_assert_eq(next_message(window, NULL).type, WINDOW_STATE);
	cr_assert_eq(next_message(window, NULL).type, WINDOW_LEDS);
	cr_assert_eq(next_message(window, NULL).type, WINDOW_SCANOUT);
	m = next_message(window, NULL);
	cr_assert_eq(m.type, WINDOW_FRAME);
	/* The first one is all of it, black as it is. */
	cr_assert_eq(m.frame.width, WIDTH);
	cr_assert_eq(m.frame.height, HEIGHT);
	cr_assert(silent(window));
}

Test(window, its_memory_is_sealed)
{
	int fd = -1;

	window = open_window();
	(void)message_of(window, WINDOW_SCANOUT, &fd);
	cr_assert_eq(fcntl(fd, F_GET_SEALS),
		     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	cr_assert_eq(ftruncate(fd, 0), -1);
	cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	close(fd);
}

Test(window, a_flush_is_answered_when_it_was_shown)
{
	struct window_frame f;

	open_and_map();
	f = take_frame();
	say_shown(window, &f);
	pixels[5] = 1;
	next_period();
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	f = take_frame();
	cr_assert_not(answered());
	/* Another's number says nothing. */
	f.seq++;
	say_shown(window, &f);
	cr_assert_not(answered());
	f.seq--;
	say_shown(window, &f);
	cr_assert(answered());
}

Test(window, damage_is_what_differs_in_pieces_of_a_page)
{
	struct window_frame f;

	open_and_map();
	f = take_frame();
	say_shown(window, &f);
	pixels[10 * WIDTH + 7] = 0x123456;
	pixels[12 * WIDTH] = 0x654321;
	next_period();
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	f = take_frame();
	cr_assert_eq(f.x, 0);
	cr_assert_eq(f.y, 10);
	cr_assert_eq(f.width, WIDTH);
	cr_assert_eq(f.height, 3);
	cr_assert_eq(f.buffer, 0);
	cr_assert_eq(memcmp(seen, pixels, PICTURE), 0);
}

Test(window, no_frame_where_nothing_differs_and_the_guest_goes_on)
{
	struct window_frame f;

	open_and_map();
	f = take_frame();
	say_shown(window, &f);
	next_period();
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	cr_assert(silent(window));
	/* No faster than its clock. */
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	next_period();
	cr_assert(answered());
}

/* A window that takes over the damage only always has what the guest drew. */
Test(window, many_small_changes_come_out_right_in_both_buffers)
{
	unsigned int random = 1, frames = 0;
	struct window_frame f;

	open_and_map();
	f = take_frame();
	say_shown(window, &f);
	for (int i = 0; i < 500; i++) {
		struct gpu_rect r = whole_picture();
		long now;

		for (int k = 0; k < 3; k++) {
			random = random * 1103515245 + 12345;
			pixels[(random >> 8) % (WIDTH * HEIGHT)] = random;
		}
		/* Every second time only a part is flushed; the rest comes with the next. */
		if (i % 2)
			r = (struct gpu_rect){100, 3, 50 + random % 500, 1 + random % 40};
		next_period();
		now = flush_fenced(1, r);
		if (now > 0)
			continue;
		f = take_frame();
		frames++;
		say_shown(window, &f);
		cr_assert(answered());
		if (i % 2 == 0)
			cr_assert_eq(memcmp(seen, pixels, PICTURE), 0, "after %d", i);
	}
	cr_assert_gt(frames, 300);
}

Test(window, one_frame_at_a_time)
{
	struct window_frame f;

	open_and_map();
	f = take_frame();
	pixels[0] = 1;
	next_period();
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	cr_assert(silent(window));
	say_shown(window, &f);
	/* Its turn, as soon as there is room. */
	f = take_frame();
	cr_assert_eq(f.seq, 2);
	cr_assert_eq(seen[0], 1);
}

Test(window, one_that_answers_nothing_does_not_hold_the_guest)
{
	open_and_map();
	(void)take_frame();
	pixels[0] = 1;
	next_period();
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	the_time += PACE_PATIENCE;
	gpu_work(gpu);
	cr_assert(answered());
	/* Nor is it woken for that any more. */
	cr_assert_eq(gpu->tick_at, UINT64_MAX);
}

Test(window, shown_too_late_or_twice_means_nothing)
{
	struct window_frame old, f;

	open_and_map();
	old = take_frame();
	say_shown(window, &old);
	say_shown(window, &old);
	pixels[5] = 1;
	next_period();
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	f = take_frame();
	say_shown(window, &old);
	cr_assert_not(answered());
	say_shown(window, &f);
	cr_assert(answered());
	say_shown(window, &f);
	cr_assert_not(answered());
}

Test(window, one_that_dies_at_each_message_holds_nobody)
{
	/* Greeting, lights, the scanout, its first frame; then a frame that it does not show. */
	for (int messages = 0; messages <= 4; messages++) {
		window = open_window();
		for (int i = 0; i < messages; i++)
			(void)next_message(window, NULL);
		pixels[messages] ^= 1;
		the_time += PACE_PERIOD;
		(void)flush_fenced(1, whole_picture());
		close(window);
		fake_guest_settle(guest);
		next_period();
		next_period();
		cr_assert_eq(gpu->n_held, 0, "after %d", messages);
		while (answered())
			;
	}
}

Test(window, a_hidden_one_gets_ten_frames_a_second)
{
	const union window_message hidden = {.hidden = {.type = WINDOW_HIDDEN, .hidden = 1}};
	unsigned int frames = 0;
	struct window_frame f;

	open_and_map();
	f = take_frame();
	say_shown(window, &f);
	say(window, &hidden);
	for (int ms = 0; ms < 2000; ms++) {
		the_time += 1000;
		pixels[0]++;
		if (gpu->n_held == 0)
			(void)flush_fenced(1, whole_picture());
		gpu_work(gpu);
		if (gpu->scanouts[0].pace.out) {
			f = take_frame();
			frames++;
			say_shown(window, &f);
			(void)answered();
		}
	}
	cr_assert_geq(frames, 19);
	cr_assert_leq(frames, 21);
}

Test(window, one_that_dies_lets_go_and_nothing_is_copied_any_more)
{
	open_and_map();
	(void)take_frame();
	pixels[0] = 1;
	next_period();
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	close(window);
	fake_guest_settle(guest);
	cr_assert(answered());
	cr_assert_not(window_there(gpu));
	cr_assert_eq(gpu->surface_bytes, 0);
	cr_assert_str_eq(heard, "focus 0\n");
	/* And another comes. */
	open_and_map();
	(void)take_frame();
	cr_assert_eq(seen[0], 1);
}

Test(window, a_second_one_takes_its_place)
{
	union window_message m;
	int first, fd;

	open_and_map();
	(void)take_frame();
	first = window;
	open_and_map();
	cr_assert_eq(window_wire_receive(first, WINDOW_END_WINDOW, &m, &fd), -EPIPE);
	(void)take_frame();
	cr_assert_str_eq(heard, "focus 0\n");
}

Test(window, one_that_does_not_read_loses_frames_and_hears_the_last_state)
{
	unsigned int n = 0;
	union window_message m;
	int fd;

	window = open_window();
	/* Many pictures of a pointer fill any socket. */
	for (int i = 0; i < 100; i++) {
		gpu->scanouts[0].cursor.visible = i % 2 == 0;
		gpu->scanouts[0].cursor.hot_x = (uint32_t)i % 64;
		gpu->window.pending[0] |= GPU_TELL_CURSOR;
		gpu_work(gpu);
	}
	cr_assert(gpu->window.full);
	/* The guest is not held. */
	gpu->scanouts[0].pace.out = false;
	pixels[0] = 7;
	next_period();
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	cr_assert_eq(gpu->figures.dropped, 1);
	while (window_wire_receive(window, WINDOW_END_WINDOW, &m, &fd) == 0)
		n++;
	cr_assert_lt(n, 100);
	fake_guest_settle(guest);
	cr_assert_not(gpu->window.full);
	m = message_of(window, WINDOW_CURSOR, NULL);
	cr_assert_eq(m.cursor.hot_x, 99 % 64);
	/* What was dropped comes with the next picture. */
	next_period();
	cr_assert_eq(message_of(window, WINDOW_FRAME, NULL).frame.width, WIDTH);
}

Test(window, a_page_flip_keeps_its_memory_and_another_size_does_not)
{
	const struct virtio_gpu_set_scanout small =
		set_scanout(0, 1, (struct gpu_rect){0, 0, 512, 32});
	const struct virtio_gpu_set_scanout off = set_scanout(0, 0, whole_picture());
	struct window_frame f;
	uint32_t *second;

	open_and_map();
	f = take_frame();
	say_shown(window, &f);
	second = show_picture(2);
	second[3] = 99;
	next_period();
	cr_assert_eq(flush_fenced(2, whole_picture()), -1);
	/* No SCANOUT in between. */
	f = next_message(window, NULL).frame;
	cr_assert_eq(f.type, WINDOW_FRAME);
	say_shown(window, &f);
	cr_assert(answered());
	cr_assert_eq(ask(&small, sizeof(small)), OK);
	cr_assert_eq(next_message(window, NULL).scanout.width, 512);
	cr_assert_eq(ask(&off, sizeof(off)), OK);
	(void)message_of(window, WINDOW_OFF, NULL);
	cr_assert_eq(gpu->surface_bytes, 0);
}

Test(window, a_reset_of_the_driver_turns_it_off)
{
	open_and_map();
	(void)take_frame();
	fake_guest_reset(guest);
	fake_guest_settle(guest);
	cr_assert_eq(next_message(window, NULL).type, WINDOW_OFF);
	cr_assert_eq(next_message(window, NULL).cursor.kind, WINDOW_POINTER_NONE);
}

Test(window, memory_for_pictures_has_a_limit)
{
	const struct virtio_gpu_resource_create_2d c =
		create_2d(2, BGRX, GPU_MAX_SIDE, GPU_MAX_SIDE);
	const struct gpu_rect all = {0, 0, GPU_MAX_SIDE, GPU_MAX_SIDE};

	cr_assert_eq(ask(&c, sizeof(c)), OK);
	window = open_window();
	for (uint32_t i = 0; i < GPU_SCANOUTS; i++) {
		const struct virtio_gpu_set_scanout s = set_scanout(i, 2, all);

		cr_assert_eq(ask(&s, sizeof(s)), OK);
		cr_assert_leq(gpu->surface_bytes, GPU_MAX_SURFACES);
	}
	cr_assert_eq(gpu->surface_bytes, GPU_MAX_SURFACES);
	/* Those without memory do not hold the guest. */
	cr_assert_eq(window_viewer(gpu, 3), PACE_NOBODY);
}

Test(window, its_size_is_the_monitors_and_a_second_one_stands_beside)
{
	union window_message size = {
		.size = {.type = WINDOW_SIZE, .width = 1000, .height = 700, .mm_width = 300},
	};
	struct virtio_gpu_resp_display_info info;

	open_and_map();
	say(window, &size);
	size.size.width = 1001;
	say(window, &size);
	size.size = (struct window_size){WINDOW_SIZE, 1, 640, 480, 0, 0};
	say(window, &size);
	cr_assert_eq(guest->config_interrupts, 0);
	settle_size();
	cr_assert_eq(guest->config_interrupts, 1);
	cr_assert_eq(le32toh(gpu->config.events_read), VIRTIO_GPU_EVENT_DISPLAY);
	info = display_info();
	cr_assert_eq(le32toh(info.pmodes[0].r.width), 1001);
	cr_assert_eq(le32toh(info.pmodes[1].r.x), 1001);
	cr_assert_eq(le32toh(info.pmodes[1].r.height), 480);
	cr_assert_eq(le32toh(info.pmodes[1].enabled), 1);
	cr_assert_eq(gpu->scanouts[0].monitor.mm_width, 300);
	/* The same again is no news. */
	say(window, &size);
	settle_size();
	cr_assert_eq(guest->config_interrupts, 1);
	size.size.width = size.size.height = 0;
	say(window, &size);
	settle_size();
	cr_assert_eq(display_info().pmodes[1].enabled, 0);
	cr_assert_eq(guest->config_interrupts, 2);
}

Test(window, what_its_user_does_is_heard)
{
	const union window_message events[] = {
		{.key = {WINDOW_KEY, 4, 1}},	   {.motion = {WINDOW_MOTION, -3, 9}},
		{.button = {WINDOW_BUTTON, 2, 1}}, {.wheel = {WINDOW_WHEEL, 120, -30}},
		{.focus = {WINDOW_FOCUS, 1}},
	};

	open_and_map();
	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		say(window, &events[i]);
	cr_assert_str_eq(heard, "key 4 1\nmotion -3 9\nbutton 2 1\nwheel 120 -30\nfocus 1\n");
}

Test(window, places_are_parts_of_all_monitors)
{
	union window_message size = {.size = {WINDOW_SIZE, 1, 1920, 540, 0, 0}};
	const union window_message at[] = {
		{.pointer = {WINDOW_POINTER, 0, 0, 0}},
		{.pointer = {WINDOW_POINTER, 0, WINDOW_POINTER_MAX, WINDOW_POINTER_MAX}},
		{.pointer = {WINDOW_POINTER, 1, WINDOW_POINTER_MAX, WINDOW_POINTER_MAX}},
	};

	open_and_map();
	say(window, &at[1]);
	say(window, &size);
	settle_size();
	for (size_t i = 0; i < ARRAY_SIZE(at); i++)
		say(window, &at[i]);
	cr_assert_str_eq(heard, "pointer 32767 32767\npointer 0 0\npointer 16383 32767\n"
				"pointer 32767 16383\n");
}

Test(window, lights_are_told)
{
	open_and_map();
	(void)take_frame();
	gpu_set_leds(gpu, 5);
	fake_guest_settle(guest);
	cr_assert_eq(next_message(window, NULL).leds.mask, 5);
}

/* Whatever a window says that no window says ends it, and nothing else. */
Test(window, a_hostile_one_is_sent_away)
{
	static const union window_message bad[] = {
		{.type = 0},
		{.type = UINT32_MAX},
		{.type = WINDOW_FRAME},
		{.key = {WINDOW_KEY, 256, 1}},
		{.key = {WINDOW_KEY, 4, 2}},
		{.pointer = {WINDOW_POINTER, GPU_SCANOUTS, 0, 0}},
		{.pointer = {WINDOW_POINTER, 0, WINDOW_POINTER_MAX + 1, 0}},
		{.motion = {WINDOW_MOTION, INT32_MIN, 0}},
		{.button = {WINDOW_BUTTON, 5, 0}},
		{.wheel = {WINDOW_WHEEL, 12001, 0}},
		{.focus = {WINDOW_FOCUS, 7}},
		{.shown = {WINDOW_SHOWN, GPU_SCANOUTS, 0}},
		{.hidden = {WINDOW_HIDDEN, UINT32_MAX, 1}},
		{.hidden = {WINDOW_HIDDEN, 0, 2}},
		{.size = {WINDOW_SIZE, 0, 8193, 1, 0, 0}},
		{.size = {WINDOW_SIZE, 0, 1, 0, 0, 0}},
		{.size = {WINDOW_SIZE, 4, 1, 1, 0, 0}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (size_t len = 0; len <= sizeof(struct window_size); len += 4) {
			window = open_window();
			cr_assert(window_there(gpu));
			cr_assert_eq(send(window, &bad[i], len, 0), (ssize_t)len);
			fake_guest_settle(guest);
			cr_assert_not(window_there(gpu), "message %zu of %zu bytes", i, len);
			close(window);
		}
	next_period();
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
}

Test(window, one_that_sends_descriptors_is_sent_away)
{
	const union window_message m = {.key = {WINDOW_KEY, 4, 1}};

	window = open_window();
	cr_assert_eq(window_wire_send(window, &m, window), 0);
	fake_guest_settle(guest);
	cr_assert_not(window_there(gpu));
}

Test(window, a_flood_of_messages_is_taken_in_turns)
{
	const union window_message m = {.shown = {WINDOW_SHOWN, 0, 77}};

	window = open_window();
	for (int i = 0; i < 150; i++)
		cr_assert_eq(window_wire_send(window, &m, -1), 0);
	fake_guest_settle(guest);
	cr_assert(window_there(gpu));
}

/* Each pixel's place is in it again, as input drivers scale: value * size / 32768. */
Test(window, a_pixel_has_a_place)
{
	uint32_t x, y;

	cr_assert_eq(gpu_point(gpu, GPU_SCANOUTS, 0, 0, &x, &y), -EINVAL);
	cr_assert_eq(gpu_point(gpu, 1, 0, 0, &x, &y), -ENODATA);
	gpu->scanouts[0].monitor.width = WIDTH;
	gpu->scanouts[0].monitor.height = HEIGHT;
	for (uint32_t at = 0; at < WIDTH; at++) {
		cr_assert_eq(gpu_point(gpu, 0, at, at % HEIGHT, &x, &y), 0);
		cr_assert_eq(x * WIDTH / (WINDOW_POINTER_MAX + 1), at);
		cr_assert_eq(y * HEIGHT / (WINDOW_POINTER_MAX + 1), at % HEIGHT);
	}
	cr_assert_eq(gpu_point(gpu, 0, WIDTH, 0, &x, &y), -ERANGE);
	cr_assert_eq(gpu_point(gpu, 0, 0, HEIGHT, &x, &y), -ERANGE);
}
