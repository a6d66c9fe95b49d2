/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>

#include "tests/unit/gpu/gpu_guest.h"

enum { SECOND = 1000000 };

static int window;

/* A picture is shown, and a window that was made smaller. */
static void setup(void)
{
	const union window_message size = {.size = {WINDOW_SIZE, 0, 1000, 700, 0, 0}};

	gpu_guest_start();
	(void)show_picture(1);
	window = open_window();
	say(window, &size);
	settle_size();
	cr_assert_eq(guest->config_interrupts, 1);
}

TestSuite(monitors, .init = setup, .fini = gpu_guest_stop);

static void after(uint64_t us)
{
	the_time += us;
	gpu_work(gpu);
}

static bool plugged(unsigned int i)
{
	return display_info().pmodes[i].enabled != 0;
}

static uint32_t edid_size(void)
{
	const struct virtio_gpu_cmd_get_edid c = {.hdr.type = htole32(VIRTIO_GPU_CMD_GET_EDID)};
	struct virtio_gpu_resp_edid edid;

	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), &edid, sizeof(edid)), sizeof(edid));
	return le32toh(edid.size);
}

/* The compositor takes the mode that the monitor has now. */
static void follow(void)
{
	const struct virtio_gpu_resource_create_2d create = create_2d(7, BGRX, 1000, 700);
	const struct virtio_gpu_set_scanout show =
		set_scanout(0, 7, (struct gpu_rect){0, 0, 1000, 700});

	cr_assert_eq(ask(&create, sizeof(create)), OK);
	cr_assert_eq(ask(&show, sizeof(show)), OK);
}

Test(monitors, a_guest_that_follows_is_left_alone)
{
	follow();
	after(SECOND * 2);
	cr_assert(plugged(0));
	cr_assert_eq(guest->config_interrupts, 1);
	cr_assert_eq(gpu->tick_at, UINT64_MAX);
}

Test(monitors, one_that_does_not_is_unplugged_for_a_while)
{
	after(SECOND * 2 - 1);
	cr_assert(plugged(0));
	after(1);
	cr_assert_eq(guest->config_interrupts, 2);
	cr_assert_not(plugged(0));
	cr_assert_eq(edid_size(), 0);
	/* Where the others stand stays as it was. */
	cr_assert_eq(le32toh(display_info().pmodes[1].r.x), 1000);
	after(SECOND * 4 / 10);
	cr_assert_eq(guest->config_interrupts, 3);
	cr_assert(plugged(0));
	cr_assert_gt(edid_size(), 0);
	follow();
	after(SECOND * 2);
	cr_assert_eq(guest->config_interrupts, 3);
	cr_assert_eq(gpu->tick_at, UINT64_MAX);
}

Test(monitors, it_is_tried_three_times)
{
	unsigned int told = 1;

	for (unsigned int pull = 0; pull < 3; pull++) {
		after(SECOND * 2);
		cr_assert_eq(guest->config_interrupts, ++told);
		cr_assert_not(plugged(0));
		after((uint64_t)SECOND * 4 / 10 * (1u << pull) - 1);
		cr_assert_not(plugged(0));
		after(1);
		cr_assert_eq(guest->config_interrupts, ++told);
		cr_assert(plugged(0));
	}
	after((uint64_t)SECOND * 100);
	cr_assert_eq(guest->config_interrupts, told);
	cr_assert(plugged(0));
}

Test(monitors, without_a_picture_nobody_has_to_follow)
{
	const struct virtio_gpu_set_scanout off = set_scanout(0, 0, (struct gpu_rect){0});

	cr_assert_eq(ask(&off, sizeof(off)), OK);
	after(SECOND * 2);
	cr_assert_eq(guest->config_interrupts, 1);
}

Test(monitors, another_size_begins_anew)
{
	const union window_message size = {.size = {WINDOW_SIZE, 0, 900, 700, 0, 0}};

	after(SECOND * 2);
	cr_assert_not(plugged(0));
	say(window, &size);
	settle_size();
	cr_assert(plugged(0));
	after(SECOND * 2 - 1);
	cr_assert(plugged(0));
	after(1);
	cr_assert_not(plugged(0));
}

Test(monitors, the_next_driver_finds_it_plugged_in)
{
	after(SECOND * 2);
	cr_assert_not(plugged(0));
	fake_guest_reset(guest);
	fake_guest_restart(guest, ALL_FEATURES);
	cr_assert(plugged(0));
	after((uint64_t)SECOND * 100);
	cr_assert_eq(guest->config_interrupts, 2);
}

Test(monitors, one_that_is_closed_stays_unplugged)
{
	union window_message size = {.size = {WINDOW_SIZE, 0, 0, 0, 0, 0}};

	after(SECOND * 2);
	say(window, &size);
	settle_size();
	cr_assert_not(plugged(0));
	after((uint64_t)SECOND * 100);
	cr_assert_not(plugged(0));
}
