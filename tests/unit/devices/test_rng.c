/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/rng.h"
#include "tests/support/fake_guest.h"

static struct fake_guest *g;

static void setup(void)
{
	struct virtio_device *vdev;

	g = fake_guest_new();
	cr_assert_eq(virtio_rng_new(&vdev), 0);
	fake_guest_start(g, vdev, 1ull << VIRTIO_RING_F_INDIRECT_DESC);
}

static void teardown(void)
{
	fake_guest_free(g);
}

TestSuite(rng, .init = setup, .fini = teardown);

Test(rng, fills_the_buffer_and_no_more)
{
	uint8_t a[32] = {0}, b[32] = {0}, zero[32] = {0};

	cr_assert_eq(fake_request(g, 0, NULL, 0, a, sizeof(a)), sizeof(a));
	cr_assert_eq(fake_request(g, 0, NULL, 0, b, sizeof(b)), sizeof(b));
	cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
	cr_assert_neq(memcmp(a, zero, sizeof(a)), 0);
	cr_assert_eq(g->queue_interrupts[0], 2);
}

Test(rng, a_long_request_is_answered_in_part)
{
	static uint8_t big[FAKE_RAM_SIZE / 2];

	cr_assert_eq(fake_request(g, 0, NULL, 0, big, sizeof(big)), RNG_MAX_REQUEST);
	for (size_t i = RNG_MAX_REQUEST; i < sizeof(big); i++)
		cr_assert_eq(big[i], 0);
}

Test(rng, many_small_buffers_are_one_request)
{
	struct fake_seg segs[16];
	uint32_t written;

	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		segs[i] = fake_room(g, 3);
	(void)fake_publish_indirect(g, 0, segs, ARRAY_SIZE(segs));
	fake_kick(g, 0);
	cr_assert(fake_reap(g, 0, NULL, &written));
	cr_assert_eq(written, 48);
}

Test(rng, a_request_without_room_completes_empty)
{
	cr_assert_eq(fake_request(g, 0, "junk", 4, NULL, 0), 0);
	cr_assert(!g->vdev->broken);
}

Test(rng, a_readable_buffer_is_not_written_to)
{
	uint8_t in[8];

	cr_assert_eq(fake_request(g, 0, "junk", 4, in, sizeof(in)), 8);
}

Test(rng, a_request_outside_memory_comes_back_unused)
{
	struct fake_seg foreign = {.addr = 1 << 12, .len = 64, .writable = true};
	uint32_t written = 1;
	uint8_t in[8];

	(void)fake_publish(g, 0, &foreign, 1);
	fake_kick(g, 0);
	cr_assert(fake_reap(g, 0, NULL, &written));
	cr_assert_eq(written, 0);
	cr_assert_not(g->vdev->broken);
	cr_assert_eq(fake_request(g, 0, NULL, 0, in, sizeof(in)), 8);
}

Test(rng, a_malformed_ring_breaks_it_until_reset)
{
	uint8_t in[8];

	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE, 0, VRING_DESC_F_WRITE, 0);
	fake_raw_avail(g, 0, 0);
	fake_kick(g, 0);
	cr_assert(g->vdev->broken);
	cr_assert_eq(g->config_interrupts, 1);
	fake_guest_reset(g);
	fake_guest_restart(g, 0);
	cr_assert_eq(fake_request(g, 0, NULL, 0, in, sizeof(in)), 8);
}
