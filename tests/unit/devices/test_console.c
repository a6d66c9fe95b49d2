/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/console.h"
#include "tests/support/fake_guest.h"

enum { Q_INPUT, Q_OUTPUT };

static struct fake_guest *g;
static struct console *console;

/* What the console's owner saw. */
static char seen[256];
static size_t n_seen, longest;
static unsigned int calls, rooms;

static void output(void *owner, const void *buf, size_t len)
{
	cr_assert_eq(owner, &n_seen);
	cr_assert_gt(len, 0);
	if (n_seen < sizeof(seen))
		memcpy(seen + n_seen, buf, min_size(len, sizeof(seen) - n_seen));
	n_seen += len;
	calls++;
	if (len > longest)
		longest = len;
}

static void input_room(void *owner)
{
	(void)owner;
	rooms++;
}

static const struct console_ops ops = {.output = output, .input_room = input_room};

static void setup(void)
{
	struct virtio_device *vdev;

	g = fake_guest_new();
	cr_assert_eq(virtio_console_new(&vdev, &console), 0);
	console_set_ops(console, &ops, &n_seen);
	fake_guest_start(g, vdev,
			 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_CONSOLE_F_SIZE);
}

static void teardown(void)
{
	fake_guest_free(g);
}

TestSuite(console, .init = setup, .fini = teardown);

/* Publishes an input buffer of len bytes and kicks. */
static struct fake_seg offer(size_t len)
{
	struct fake_seg seg = fake_room(g, len);

	(void)fake_publish(g, Q_INPUT, &seg, 1);
	fake_kick(g, Q_INPUT);
	return seg;
}

Test(console, output_reaches_the_owner_in_order)
{
	cr_assert_eq(fake_request(g, Q_OUTPUT, "hello ", 6, NULL, 0), 0);
	cr_assert_eq(fake_request(g, Q_OUTPUT, "world", 5, NULL, 0), 0);
	cr_assert_eq(n_seen, 11);
	cr_assert_eq(memcmp(seen, "hello world", 11), 0);
}

Test(console_alone, output_that_nobody_listens_to_is_dropped)
{
	struct virtio_device *vdev;
	struct fake_guest *guest = fake_guest_new();

	cr_assert_eq(virtio_console_new(&vdev, &console), 0);
	fake_guest_start(guest, vdev, 0);
	cr_assert_eq(fake_request(guest, Q_OUTPUT, "hello", 5, NULL, 0), 0);
	cr_assert_eq(n_seen, 0);
	fake_guest_free(guest);
}

Test(console, output_comes_in_bounded_pieces)
{
	static char big[3 * CONSOLE_OUTPUT_CHUNK + 1];

	cr_assert_eq(fake_request(g, Q_OUTPUT, big, sizeof(big), NULL, 0), 0);
	cr_assert_eq(n_seen, sizeof(big));
	cr_assert_eq(calls, 4);
	cr_assert_eq(longest, CONSOLE_OUTPUT_CHUNK);
}

/* 64 buffers that are all the same 4 MiB: 256 MiB of output in one chain. */
Test(console, a_flood_gives_way_after_its_budget)
{
	struct fake_seg segs[64];
	struct fake_seg huge = {FAKE_RAM_BASE, FAKE_RAM_SIZE, false};

	struct fake_seg odd = fake_put(g, "odd", 3);

	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		segs[i] = huge;
	(void)fake_publish(g, Q_OUTPUT, &odd, 1);
	(void)fake_publish_indirect(g, Q_OUTPUT, segs, ARRAY_SIZE(segs));
	for (unsigned int turn = 1; turn <= 3; turn++) {
		g->later[Q_OUTPUT] = false;
		fake_kick(g, Q_OUTPUT);
		cr_assert_eq(n_seen, (size_t)turn * CONSOLE_OUTPUT_BUDGET);
		cr_assert(g->later[Q_OUTPUT]);
		cr_assert_eq(fake_reap(g, Q_OUTPUT, NULL, NULL), turn == 1);
	}
	/* A reset in the middle of it drops the rest. */
	fake_guest_reset(g);
	fake_guest_restart(g, 0);
	n_seen = 0;
	cr_assert_eq(fake_request(g, Q_OUTPUT, "new", 3, NULL, 0), 0);
	cr_assert_eq(n_seen, 3);
	cr_assert_eq(memcmp(seen, "new", 3), 0);
}

Test(console, a_writable_buffer_in_the_output_queue_is_left_alone)
{
	char in[8] = "";

	cr_assert_eq(fake_request(g, Q_OUTPUT, "x", 1, in, sizeof(in)), 0);
	cr_assert_eq(in[0], 0);
	cr_assert_eq(n_seen, 1);
}

Test(console, input_goes_into_the_buffers_there_are)
{
	struct fake_seg a = offer(4), b = offer(64);
	uint32_t written;

	cr_assert_eq(console_input(console, "abcdef", 6), 6);
	cr_assert(fake_reap(g, Q_INPUT, NULL, &written));
	cr_assert_eq(written, 4);
	cr_assert(fake_reap(g, Q_INPUT, NULL, &written));
	cr_assert_eq(written, 2);
	cr_assert_eq(memcmp(fake_ptr(g, a.addr, 4), "abcd", 4), 0);
	cr_assert_eq(memcmp(fake_ptr(g, b.addr, 2), "ef", 2), 0);
	cr_assert_gt(g->queue_interrupts[Q_INPUT], 0);
}

Test(console, input_waits_up_to_its_limit_and_asks_for_more)
{
	static char lots[CONSOLE_INPUT_MAX + 10];
	uint32_t written;

	cr_assert_eq(console_input(console, lots, sizeof(lots)), CONSOLE_INPUT_MAX);
	cr_assert_eq(console_input(console, lots, 1), 0);
	cr_assert_eq(rooms, 0);
	(void)offer(100);
	cr_assert(fake_reap(g, Q_INPUT, NULL, &written));
	cr_assert_eq(written, 100);
	cr_assert_eq(rooms, 1);
	cr_assert_eq(console_input(console, lots, 100), 100);
	cr_assert_eq(rooms, 1);
}

Test(console, input_longer_than_the_limit_is_taken_while_the_guest_takes_it)
{
	static char lots[2 * CONSOLE_INPUT_MAX];

	(void)offer(sizeof(lots));
	(void)offer(sizeof(lots));
	(void)offer(sizeof(lots));
	cr_assert_eq(console_input(console, lots, sizeof(lots)), sizeof(lots));
	cr_assert_eq(rooms, 0);
}

Test(console, reset_drops_input_that_waits)
{
	uint32_t written;

	cr_assert_eq(console_input(console, "old", 3), 3);
	fake_guest_reset(g);
	fake_guest_restart(g, 0);
	(void)offer(8);
	cr_assert(!fake_reap(g, Q_INPUT, NULL, NULL));
	cr_assert_eq(console_input(console, "new!", 4), 4);
	cr_assert(fake_reap(g, Q_INPUT, NULL, &written));
	cr_assert_eq(written, 4);
}

Test(console, input_buffers_without_room_do_not_hold_the_loop)
{
	struct fake_seg seg = fake_put(g, "ro", 2);

	for (int i = 0; i < 8; i++)
		(void)fake_publish(g, Q_INPUT, &seg, 1);
	cr_assert_eq(console_input(console, "x", 1), 1);
	for (int i = 0; i < 8; i++)
		cr_assert(fake_reap(g, Q_INPUT, NULL, NULL));
	cr_assert(!g->vdev->broken);
	(void)offer(1);
	cr_assert(fake_reap(g, Q_INPUT, NULL, NULL));
}

Test(console, a_new_window_size_is_announced)
{
	const struct virtio_console_config *config = g->vdev->config;

	console_resize(console, 132, 50);
	cr_assert_eq(config->cols, 132);
	cr_assert_eq(config->rows, 50);
	cr_assert_eq(g->config_interrupts, 1);
}

Test(console, a_malformed_ring_breaks_it)
{
	fake_raw_avail(g, Q_OUTPUT, 999);
	fake_kick(g, Q_OUTPUT);
	cr_assert(g->vdev->broken);
	cr_assert_eq(console_input(console, "x", 1), 1);
	fake_guest_reset(g);
	fake_guest_restart(g, 0);
	fake_raw_avail_idx(g, Q_INPUT, 65);
	cr_assert_eq(console_input(console, "x", 1), 1);
	cr_assert(g->vdev->broken);
}
