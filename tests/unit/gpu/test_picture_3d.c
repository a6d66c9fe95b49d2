/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "gpu/formats.h"
#include "tests/unit/gpu/gpu_3d_guest.h"

static void start(void)
{
	gpu_3d_guest_start();
	be_renderer();
}

TestSuite(picture_3d, .init = start, .fini = gpu_guest_stop);

static void expect_shown(uint32_t width, uint32_t height)
{
	show_3d_picture(1, 5, width, height);
	(void)told_of(RENDER_CTX_CREATE);
	(void)told_of(RENDER_RES_CREATE);
	(void)told_of(RENDER_CTX_ATTACH);
}

/* The renderer does what it was told, with that colour everywhere. */
static struct render_read do_read(uint32_t colour)
{
	const struct render_read r = told_of(RENDER_READ).read;
	uint32_t *pixels = (uint32_t *)(void *)(area + render_slot_off(r.slot));

	for (uint32_t y = r.y; y < r.y + r.height; y++)
		for (uint32_t x = r.x; x < r.x + r.width; x++)
			pixels[y * r.stride / 4 + x] = colour;
	reply_with(
		RENDER_SHOWN,
		(struct render_reply){.n = r.n, .slot = r.slot, .done = gpu->three_d.render.sent});
	return r;
}

static void flush_all(void)
{
	const struct virtio_gpu_resource_flush f = flush(5, whole_picture());

	cr_assert_eq(ask(&f, sizeof(f)), OK);
}

/* A flush that is not answered at once; false: it was. */
static bool flush_waits(void)
{
	const struct virtio_gpu_resource_flush f = flush(5, whole_picture());
	struct virtio_gpu_ctrl_hdr answer;

	return fake_request(guest, 0, &f, sizeof(f), &answer, sizeof(answer)) < 0;
}

Test(picture_3d, is_read_back_whole_first)
{
	struct gpu_picture p;
	struct render_read r;
	uint32_t pixel = 0;

	expect_shown(WIDTH, HEIGHT);
	r = do_read(0x123456);
	cr_expect_eq(r.res, 5);
	cr_expect_eq(r.width, WIDTH);
	cr_expect_eq(r.height, HEIGHT);
	cr_expect_eq(r.stride, WIDTH * 4);
	cr_assert_eq(gpu_screenshot(gpu, 0, &p), 0);
	cr_expect_eq(p.width, WIDTH);
	cr_expect_eq(pread(p.fd, &pixel, 4, PICTURE - 4), 4);
	cr_expect_eq(pixel, 0x123456);
	close(p.fd);
}

Test(picture_3d, without_a_window_ten_times_a_second)
{
	expect_shown(WIDTH, HEIGHT);
	(void)do_read(1);
	flush_all();
	cr_expect(told_nothing());
	the_time += PACE_HIDDEN_PERIOD;
	fake_guest_settle(guest);
	gpu_work(gpu);
	(void)do_read(2);
}

Test(picture_3d, with_a_window_after_each_frame)
{
	const int window = open_window();
	struct window_frame frame;

	expect_shown(WIDTH, HEIGHT);
	(void)do_read(1);
	frame = message_of(window, WINDOW_FRAME, NULL).frame;
	flush_all();
	(void)do_read(2);
	/* It is not shown before the last one was. */
	cr_expect(silent(window));
	flush_all();
	cr_expect(told_nothing(), "the last one was not taken");
	the_time += PACE_PERIOD;
	say_shown(window, &frame);
	(void)message_of(window, WINDOW_FRAME, NULL);
	(void)do_read(3);
	close(window);
}

Test(picture_3d, a_guest_that_is_ahead_waits_for_a_while)
{
	const int window = open_window();

	expect_shown(WIDTH, HEIGHT);
	/* The first picture is being read; one flush more is taken, and one that is the last. */
	flush_all();
	flush_all();
	cr_expect(flush_waits());
	cr_expect(gpu->three_d.blocked);
	the_time += 50000;
	gpu_work(gpu);
	cr_expect(answered());
	cr_expect(flush_waits(), "the next one is ahead as well");
	close(window);
}

Test(picture_3d, sizes_that_have_no_slot)
{
	struct virtio_gpu_resource_create_3d c = create_3d(9, 8192, 4097);
	struct virtio_gpu_set_scanout s = set_scanout(0, 9, (struct gpu_rect){0, 0, 1, 1});

	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_expect_eq(ask(&s, sizeof(s)), WRONG);
	c = create_3d(10, 16, 16);
	c.format = htole32(28);
	cr_assert_eq(ask(&c, sizeof(c)), OK);
	s.resource_id = htole32(10);
	cr_expect_eq(ask(&s, sizeof(s)), WRONG);
}

Test(picture_3d, goes_with_its_resource)
{
	const struct virtio_gpu_resource_unref u = unref(5);
	struct gpu_picture p;

	expect_shown(WIDTH, HEIGHT);
	(void)do_read(1);
	cr_assert_eq(ask(&u, sizeof(u)), OK);
	cr_expect_lt(gpu_screenshot(gpu, 0, &p), 0);
	cr_expect_null(gpu->three_d.scanouts[0].res);
}

Test(picture_3d, a_late_one_is_nobodys)
{
	struct render_read r;

	expect_shown(WIDTH, HEIGHT);
	r = told_of(RENDER_READ).read;
	find_gpu();
	reply_with(RENDER_SHOWN, (struct render_reply){.n = r.n, .slot = 0, .done = 4});
	cr_expect_eq(gpu->three_d.render.state, RENDER_ON);
	cr_expect(rect_empty(&gpu->scanouts[0].dirty));
}

Test(picture_3d, a_dead_renderer_leaves_its_last_picture)
{
	const struct virtio_gpu_ctx_create c = ctx_create(2);
	struct gpu_picture p;
	struct gpu_figures f;

	expect_shown(WIDTH, HEIGHT);
	(void)do_read(7);
	cr_expect_eq(submit_fenced(1, (const uint32_t[]){0}, 1), -1);
	close(renderer);
	cr_expect(answered());
	cr_expect_eq(ask(&c, sizeof(c)), UNSPEC);
	cr_assert_eq(gpu_screenshot(gpu, 0, &p), 0);
	close(p.fd);
	gpu_get_figures(gpu, &f);
	cr_expect_str_eq(f.renderer, "software");
	cr_expect_str_eq(f.why, "the renderer ended");
	flush_all();
	fake_guest_reset(guest);
	fake_guest_restart(guest, ALL_FEATURES);
	(void)show_picture(3);
}
