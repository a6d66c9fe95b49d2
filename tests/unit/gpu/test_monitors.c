/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>

#include "tests/unit/gpu/gpu_guest.h"

/* What is waited for a driver, a program, and with the monitor pulled out. */
enum { SECOND = 1000000, UNSEEN = 2 * SECOND, PATIENCE = SECOND / 2, PULLED = SECOND / 5 };

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

/* The driver looks at what is plugged in; a wait for programs begins. */
static void look(bool expected)
{
	cr_assert_eq(plugged(0), expected);
}

Test(monitors, a_guest_that_follows_is_left_alone)
{
	look(true);
	follow();
	after(PATIENCE);
	look(true);
	cr_assert_eq(guest->config_interrupts, 1);
	cr_assert_eq(gpu->tick_at, UINT64_MAX);
}

Test(monitors, one_that_does_not_is_unplugged_for_a_while)
{
	look(true);
	after(PATIENCE - 1);
	cr_assert_eq(guest->config_interrupts, 1);
	after(1);
	cr_assert_eq(guest->config_interrupts, 2);
	look(false);
	cr_assert_eq(edid_size(), 0);
	/* Where the others stand stays as it was. */
	cr_assert_eq(le32toh(display_info().pmodes[1].r.x), 1000);
	after(PULLED - 1);
	cr_assert_eq(guest->config_interrupts, 2);
	after(1);
	cr_assert_eq(guest->config_interrupts, 3);
	look(true);
	cr_assert_gt(edid_size(), 0);
	follow();
	after((uint64_t)PATIENCE * 2);
	cr_assert_eq(guest->config_interrupts, 3);
	cr_assert_eq(gpu->tick_at, UINT64_MAX);
}

/* Its programs have their time from then on. */
Test(monitors, a_driver_that_is_late_is_waited_for)
{
	after(UNSEEN - 1);
	look(true);
	/* It may look more often than once. */
	after(PATIENCE - 1);
	look(true);
	cr_assert_eq(guest->config_interrupts, 1);
	after(1);
	cr_assert_eq(guest->config_interrupts, 2);
	after(UNSEEN - 1);
	look(false);
	after(PULLED);
	cr_assert_eq(guest->config_interrupts, 3);
}

Test(monitors, a_driver_that_never_looks_is_told_again)
{
	after(UNSEEN - 1);
	cr_assert_eq(guest->config_interrupts, 1);
	after(1);
	cr_assert_eq(guest->config_interrupts, 2);
	after(UNSEEN);
	cr_assert_eq(guest->config_interrupts, 3);
	for (unsigned int i = 0; i < 100; i++)
		after(UNSEEN);
	cr_assert_eq(guest->config_interrupts, 9);
	cr_assert_eq(gpu->tick_at, UINT64_MAX);
	look(true);
}

/* Each time with twice the patience. */
Test(monitors, it_is_tried_four_times)
{
	unsigned int told = 1;

	for (unsigned int pull = 0; pull < 4; pull++) {
		look(true);
		after(((uint64_t)PATIENCE << pull) - 1);
		cr_assert_eq(guest->config_interrupts, told);
		after(1);
		cr_assert_eq(guest->config_interrupts, ++told);
		look(false);
		after(((uint64_t)PULLED << pull) - 1);
		cr_assert_eq(guest->config_interrupts, told);
		after(1);
		cr_assert_eq(guest->config_interrupts, ++told);
	}
	look(true);
	after((uint64_t)SECOND * 100);
	cr_assert_eq(guest->config_interrupts, told);
	cr_assert_eq(gpu->tick_at, UINT64_MAX);
	look(true);
}

Test(monitors, without_a_picture_nobody_has_to_follow)
{
	const struct virtio_gpu_set_scanout off = set_scanout(0, 0, (struct gpu_rect){0});

	cr_assert_eq(ask(&off, sizeof(off)), OK);
	look(true);
	after(PATIENCE);
	cr_assert_eq(guest->config_interrupts, 1);
}

Test(monitors, another_size_begins_anew)
{
	const union window_message size = {.size = {WINDOW_SIZE, 0, 900, 700, 0, 0}};

	look(true);
	after(PATIENCE);
	look(false);
	say(window, &size);
	settle_size();
	look(true);
	after(PATIENCE - 1);
	cr_assert(plugged(0));
	after(1);
	look(false);
}

Test(monitors, the_next_driver_finds_it_plugged_in)
{
	look(true);
	after(PATIENCE);
	look(false);
	fake_guest_reset(guest);
	fake_guest_restart(guest, ALL_FEATURES);
	look(true);
	after((uint64_t)SECOND * 100);
	cr_assert_eq(guest->config_interrupts, 2);
}

Test(monitors, one_that_is_closed_stays_unplugged)
{
	union window_message size = {.size = {WINDOW_SIZE, 0, 0, 0, 0, 0}};

	look(true);
	after(PATIENCE);
	say(window, &size);
	settle_size();
	look(false);
	after((uint64_t)SECOND * 100);
	look(false);
}
