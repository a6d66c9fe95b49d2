/* SPDX-License-Identifier: MIT */
/* The real sandcastle-gpu on the host's GL by software, behind the device. */
#include <criterion/criterion.h>
#include <endian.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/gpu/gpu_3d_guest.h"

TestSuite(renderer, .init = gpu_3d_guest_start, .fini = gpu_guest_stop, .timeout = 120);

enum { SIDE = 64, BLUE = (int)0xff0000ff, GREEN = (int)0xff00ff00 };

/* The sanitizer's run time asks the kernel for what the sealed renderer may not have. */
#ifdef __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

static void need_renderer(void)
{
	if (SANITIZED)
		cr_skip_test("a sanitizer calls what the renderer's filter forbids");
	if (!start_renderer())
		cr_skip_test("sandcastle-gpu was not built");
}

static uint32_t *back_3d(uint32_t res)
{
	const gpa_t pixels = fake_alloc(guest, SIDE * SIDE * 4, 4096);

	cr_assert_eq(attach(res, pixels, SIDE * SIDE * 4), OK);
	return fake_ptr(guest, pixels, SIDE * SIDE * 4);
}

static void clear(float red, float green, float blue)
{
	uint32_t stream[64];

	cr_assert_eq(submit(1, stream, clear_stream(stream, 5, red, green, blue)), OK);
}

static long transfer_fenced(void)
{
	struct virtio_gpu_transfer_host_3d t = transfer_from(1, 5, SIDE, SIDE);
	struct virtio_gpu_ctrl_hdr answer;

	return ask_fenced(&t, sizeof(t), &answer);
}

static void expect_all(const uint32_t *pixels, uint32_t colour)
{
	for (size_t i = 0; i < SIDE * SIDE; i++)
		cr_assert_eq(pixels[i], colour, "pixel %zu is %08x", i, pixels[i]);
}

Test(renderer, draws_into_guest_memory_and_says_when)
{
	struct gpu_figures f;
	uint32_t *pixels;

	need_renderer();
	show_3d_picture(1, 5, SIDE, SIDE);
	pixels = back_3d(5);
	clear(0, 0, 1);
	if (transfer_fenced() < 0)
		cr_assert(answered_in_time());
	expect_all(pixels, (uint32_t)BLUE);
	gpu_get_figures(gpu, &f);
	cr_expect_eq(strncmp(f.renderer, "virgl (llvmpipe", 15), 0, "%s", f.renderer);
	cr_expect_eq(f.gpu_bytes, SIDE * SIDE * 4);
	cr_expect_eq(f.gpu_errors, 0);
}

Test(renderer, reset_forgets_what_was)
{
	uint32_t *pixels;

	need_renderer();
	for (int round = 0; round < 3; round++) {
		show_3d_picture(1, 5, SIDE, SIDE);
		pixels = back_3d(5);
		clear(0, 1, 0);
		if (transfer_fenced() < 0)
			cr_assert(answered_in_time());
		expect_all(pixels, (uint32_t)GREEN);
		find_gpu();
	}
	cr_expect_eq(gpu->three_d.render.state, RENDER_ON);
	cr_expect_eq(gpu->three_d.render.failed, 0);
}

Test(renderer, killed_it_owes_no_answer)
{
	struct virtio_gpu_transfer_host_3d t = transfer_from(1, 5, SIDE, SIDE);

	need_renderer();
	show_3d_picture(1, 5, SIDE, SIDE);
	(void)back_3d(5);
	kill(gpu->three_d.render.pid, SIGSTOP);
	cr_assert_eq(transfer_fenced(), -1);
	kill(gpu->three_d.render.pid, SIGKILL);
	cr_assert(answered_in_time());
	cr_expect_eq(gpu->three_d.render.state, RENDER_LOST);
	cr_expect_eq(ask(&t, sizeof(t)), UNSPEC);
	fake_guest_reset(guest);
	fake_guest_restart(guest, ALL_FEATURES);
	(void)show_picture(3);
}

/* Waits until the renderer says something, and lets some time of the device's pass. */
static void wait_for_renderer(void)
{
	struct pollfd p = {.fd = gpu->three_d.render.src.fd, .events = POLLIN};

	(void)poll(&p, 1, 1000);
	the_time += PACE_PERIOD;
	fake_guest_settle(guest);
}

/* The first pixel of the next picture that a window is shown; 0: none came. */
static uint32_t next_pixel(int window, const uint32_t *shown)
{
	union window_message m = {0};
	int fd = -1;

	for (int i = 0; i < 60 && m.type != WINDOW_FRAME; i++)
		if (window_wire_receive(window, WINDOW_END_WINDOW, &m, &fd) < 0) {
			m.type = 0;
			wait_for_renderer();
		}
	if (m.type != WINDOW_FRAME)
		return 0;
	say_shown(window, &m.frame);
	return shown[(size_t)m.frame.buffer * SIDE * SIDE];
}

Test(renderer, its_picture_comes_to_the_window)
{
	const struct gpu_rect all = {0, 0, SIDE, SIDE};
	const struct virtio_gpu_resource_flush f = flush(5, all);
	uint32_t *shown, pixel = 0;
	int window, fd = -1;

	need_renderer();
	window = open_window();
	show_3d_picture(1, 5, SIDE, SIDE);
	clear(0, 0, 1);
	(void)message_of(window, WINDOW_SCANOUT, &fd);
	shown = mmap(NULL, 2 * SIDE * SIDE * 4, PROT_READ, MAP_SHARED, fd, 0);
	cr_assert_neq(shown, MAP_FAILED);
	cr_assert_eq(ask(&f, sizeof(f)), OK);
	/* The picture before the flush may come first. */
	for (int i = 0; i < 2 && pixel != (uint32_t)BLUE; i++)
		pixel = next_pixel(window, shown);
	cr_expect_eq(pixel, (uint32_t)BLUE);
	munmap(shown, 2 * SIDE * SIDE * 4);
	close(fd);
	close(window);
}
