/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "desktop/view.h"

enum { WIDTH = 64, HEIGHT = 48, STRIDE = 300, WHOLE = WINDOW_BUFFERS * STRIDE * HEIGHT };

static struct view view;

static int take(const union window_message m)
{
	return view_take(&view, &m, -1);
}

static int greet(void)
{
	return take((union window_message){.hello = {.type = WINDOW_HELLO, .version = 1}});
}

static int memfd(size_t size, int seals)
{
	const int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert_eq(ftruncate(fd, (off_t)size), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int scanout(uint32_t id, int fd)
{
	const union window_message m = {
		.scanout = {WINDOW_SCANOUT, id, WIDTH, HEIGHT, STRIDE},
	};
	const int r = view_take(&view, &m, fd);

	/* Taken over, whatever comes of it. */
	cr_assert_eq(fcntl(fd, F_GETFD), -1);
	return r;
}

static int frame(uint32_t id, uint32_t x, uint32_t y, uint32_t width, uint32_t height)
{
	return take((union window_message){.frame = {WINDOW_FRAME, id, 1, 1, x, y, width, height}});
}

static void fini(void)
{
	view_fini(&view);
}

TestSuite(view, .fini = fini);

Test(view, hello_is_first_and_comes_once)
{
	cr_assert_eq(take((union window_message){.state = {.type = WINDOW_STATE}}), -EPROTO);
	cr_assert_eq(scanout(0, memfd(WHOLE, F_SEAL_SHRINK)), -EPROTO);
	cr_assert_eq(greet(), 0);
	cr_assert_eq(greet(), -EPROTO);
}

Test(view, a_scanout_is_mapped_and_a_frame_chooses_its_buffer)
{
	struct source s;

	cr_assert_eq(greet(), 0);
	cr_assert_eq(scanout(2, memfd(WHOLE, F_SEAL_SHRINK | F_SEAL_GROW)), 0);
	cr_assert(!view.pictures[2].drawn);
	cr_assert_eq(frame(2, 0, 0, WIDTH, HEIGHT), 0);
	cr_assert(view.pictures[2].drawn);
	s = picture_source(&view.pictures[2]);
	cr_assert_eq(s.pixels - view.pictures[2].map, STRIDE * HEIGHT);
	/* The last byte can be read. */
	cr_assert_eq(s.pixels[STRIDE * HEIGHT - 1], 0);
}

Test(view, a_file_that_can_shrink_or_is_short_is_refused)
{
	cr_assert_eq(greet(), 0);
	cr_assert_eq(scanout(0, memfd(WHOLE, F_SEAL_GROW)), -EPROTO);
	cr_assert_eq(scanout(0, memfd(WHOLE - 1, F_SEAL_SHRINK)), -EPROTO);
	cr_assert_eq(scanout(0, memfd(0, F_SEAL_SHRINK)), -EPROTO);
	cr_assert_eq(scanout(0, open("/dev/null", O_RDWR)), -EPROTO);
	cr_assert_null(view.pictures[0].map);
}

Test(view, a_refused_scanout_takes_the_one_before_along)
{
	cr_assert_eq(greet(), 0);
	cr_assert_eq(scanout(0, memfd(WHOLE, F_SEAL_SHRINK)), 0);
	cr_assert_eq(scanout(0, memfd(1, F_SEAL_SHRINK)), -EPROTO);
	cr_assert_eq(frame(0, 0, 0, 1, 1), -EPROTO);
}

Test(view, frames_lie_in_a_picture_that_is_there)
{
	cr_assert_eq(greet(), 0);
	cr_assert_eq(frame(0, 0, 0, 1, 1), -EPROTO);
	cr_assert_eq(scanout(0, memfd(WHOLE, F_SEAL_SHRINK)), 0);
	cr_assert_eq(frame(0, WIDTH - 1, HEIGHT - 1, 1, 1), 0);
	cr_assert_eq(frame(0, WIDTH - 1, 0, 2, 1), -EPROTO);
	cr_assert_eq(frame(0, 0, HEIGHT - 1, 1, 2), -EPROTO);
	cr_assert_eq(frame(1, 0, 0, 1, 1), -EPROTO);
	cr_assert_eq(take((union window_message){.off = {WINDOW_OFF, 0}}), 0);
	cr_assert_eq(frame(0, 0, 0, 1, 1), -EPROTO);
}

Test(view, the_rest_is_kept)
{
	cr_assert_eq(greet(), 0);
	cr_assert_eq(take((union window_message){.state = {WINDOW_STATE, "Boots"}}), 0);
	cr_assert_str_eq(view.state.text, "Boots");
	cr_assert_eq(take((union window_message){.cursor_at = {WINDOW_CURSOR_AT, 0, -3, 4}}), 0);
	cr_assert_eq(view.cursor_at.x, -3);
	cr_assert_eq(take((union window_message){
			     .cursor = {.type = WINDOW_CURSOR, .kind = WINDOW_POINTER_HOST}}),
		     0);
	cr_assert_eq(view.cursor.kind, WINDOW_POINTER_HOST);
	cr_assert_eq(take((union window_message){.leds = {WINDOW_LEDS, 7}}), 0);
}
