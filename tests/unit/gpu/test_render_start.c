/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gpu/gpu_3d_guest.h"

TestSuite(render_start, .init = gpu_3d_guest_start, .fini = gpu_guest_stop);

static void expect_software(const char *why)
{
	struct gpu_figures f;

	gpu_get_figures(gpu, &f);
	cr_expect_str_eq(f.renderer, "software");
	cr_expect_not_null(strstr(f.why, why), "%s", f.why);
	cr_expect_not(virtio_device_features(&gpu->vdev) >> VIRTIO_GPU_F_VIRGL & 1);
	(void)show_picture(3);
}

static int waited; /* what gpu_render_wait() said */

static void start_program(const char *program)
{
	const struct gpu_host host = {
		.program = program,
		.ram_fd = STDIN_FILENO,
		.ram = guest->mem.regions[0].host,
		.ram_size = FAKE_RAM_SIZE,
	};

	gpu_render_start(gpu, &host);
	waited = gpu_render_wait(gpu, 20 * 1000);
}

Test(render_start, no_program)
{
	start_program("/nonesuch/sandcastle-gpu");
	expect_software("sandcastle-gpu is not installed");
	cr_expect_eq(waited, -ENODEV);
}

Test(render_start, a_program_that_says_nothing)
{
	start_program("/bin/false");
	expect_software("does not start");
	cr_expect_eq(waited, -ENODEV);
}

Test(render_start, a_driver_that_crashes)
{
	char path[] = "/tmp/sandcastle-test-XXXXXX";
	const int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_gt(dprintf(fd, "#!/bin/sh\nkill -SEGV $$\n"), 0);
	cr_assert_eq(fchmod(fd, 0700), 0);
	close(fd);
	start_program(path);
	unlink(path);
	expect_software("ended by signal 11");
	cr_expect_eq(waited, -EIO);
}

Test(render_start, a_message_that_is_too_short)
{
	connect_renderer();
	cr_assert_eq(send(renderer, "x", 1, 0), 1);
	waited = gpu_render_wait(gpu, 0);
	expect_software("nonsense");
	cr_expect_eq(waited, -EIO);
}

Test(render_start, nobody_tried)
{
	gpu_render_none(gpu, "--gpu off");
	waited = gpu_render_wait(gpu, 0);
	expect_software("--gpu off");
}

/* What the renderer says first, with this in the area. */
static void say_first(uint32_t type, const struct render_hello *hello)
{
	const struct render_message m = {.type = type};

	connect_renderer();
	memcpy(area, hello, sizeof(*hello));
	cr_assert_eq(send(renderer, &m, sizeof(m), 0), sizeof(m));
	waited = gpu_render_wait(gpu, 0);
}

Test(render_start, a_refusal_says_why)
{
	struct render_hello hello = {.why = "softpipe\n\x1b[2J only"};

	say_first(RENDER_REFUSED, &hello);
	expect_software("softpipe??[2J only");
	cr_expect_eq(waited, -ENODEV);
}

Test(render_start, text_without_an_end)
{
	struct render_hello hello;

	memset(&hello, 'x', sizeof(hello));
	say_first(RENDER_REFUSED, &hello);
	expect_software("xxxx");
}

Test(render_start, capsets_that_are_too_long)
{
	struct render_hello hello = {.capsets = {{1, 308, {0}}, {2, RENDER_CAPSET_MAX + 1, {0}}}};

	say_first(RENDER_READY, &hello);
	expect_software("nonsense");
}

Test(render_start, it_never_gets_ready)
{
	connect_renderer();
	waited = gpu_render_wait(gpu, 1);
	expect_software("not ready");
	cr_expect_eq(waited, -EIO);
}

Test(render_start, whether_the_host_has_one)
{
	char why[128] = "";

	if (!gpu_host_has_one(why, sizeof(why)))
		cr_expect_neq(why[0], '\0');
}
