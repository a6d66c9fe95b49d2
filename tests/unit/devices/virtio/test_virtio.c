/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/support/fake_guest.h"

/* A model that copies what it may read into what it may write. */
struct echo {
	struct virtio_device vdev;
	struct virtq_chain chain;
	unsigned int kicks, activations, resets;
};

static void echo_activate(struct virtio_device *vdev)
{
	CONTAINER_OF(vdev, struct echo, vdev)->activations++;
}

static void echo_kick(struct virtio_device *vdev, unsigned int q)
{
	struct echo *e = CONTAINER_OF(vdev, struct echo, vdev);
	char buf[64];
	int r;

	e->kicks++;
	while ((r = virtq_pop(&vdev->queues[q], &e->chain)) > 0) {
		size_t n = chain_read(&e->chain, 0, buf, sizeof(buf));

		n = chain_write(&e->chain, 0, buf, n);
		virtq_push(&vdev->queues[q], e->chain.head, (uint32_t)n);
	}
	if (r < 0)
		virtio_device_break(vdev, "broken ring");
	virtio_device_flush(vdev, q);
}

static void echo_reset(struct virtio_device *vdev)
{
	CONTAINER_OF(vdev, struct echo, vdev)->resets++;
}

static void echo_destroy(struct virtio_device *vdev)
{
	free(CONTAINER_OF(vdev, struct echo, vdev));
}

static const struct virtio_device_ops echo_ops = {
	.name = "virtio-echo",
	.type = VIRTIO_ID_RNG,
	.n_queues = 2,
	.queue_max = {8, 16},
	.features = 1,
	.activate = echo_activate,
	.queue_kick = echo_kick,
	.reset = echo_reset,
	.destroy = echo_destroy,
};

static struct fake_guest *g;
static struct echo *echo;

static void setup(void)
{
	g = fake_guest_new();
	echo = calloc(1, sizeof(*echo));
	cr_assert_not_null(echo);
	virtio_device_init(&echo->vdev, &echo_ops, NULL, 0);
	fake_guest_start(g, &echo->vdev, 1);
}

static void teardown(void)
{
	fake_guest_free(g);
}

TestSuite(virtio, .init = setup, .fini = teardown);

Test(virtio, activation_kicks_every_queue_once)
{
	cr_assert_eq(echo->activations, 1);
	cr_assert_eq(echo->kicks, 2);
	cr_assert(virtio_has(&echo->vdev, 0));
	cr_assert(virtio_has(&echo->vdev, VIRTIO_F_VERSION_1));
	cr_assert(!virtio_has(&echo->vdev, 1));
}

Test(virtio, a_request_goes_round)
{
	char in[8] = "";

	cr_assert_eq(fake_request(g, 1, "hello", 5, in, sizeof(in)), 5);
	cr_assert_str_eq(in, "hello");
	cr_assert_eq(g->queue_interrupts[1], 1);
	cr_assert_eq(g->queue_interrupts[0], 0);
}

Test(virtio, a_kick_of_an_absent_queue_is_ignored)
{
	fake_kick(g, 2);
	fake_kick(g, UINT32_MAX);
	cr_assert_eq(echo->kicks, 2);
}

Test(virtio, a_broken_ring_breaks_the_device_until_reset)
{
	struct virtq_chain *chain = &echo->chain;
	char in[4];

	fake_raw_avail(g, 0, 99);
	fake_kick(g, 0);
	cr_assert(echo->vdev.broken);
	cr_assert_eq(g->config_interrupts, 1);
	/* Its other queue is dead as well, and it is reported once. */
	cr_assert_eq(virtq_pop(&echo->vdev.queues[1], chain), 0);
	cr_assert_eq(fake_request(g, 1, "hi", 2, in, sizeof(in)), -1);
	virtio_device_break(&echo->vdev, "again");
	cr_assert_eq(g->config_interrupts, 1);

	fake_guest_reset(g);
	cr_assert_eq(echo->resets, 1);
	cr_assert(!echo->vdev.broken && !echo->vdev.active && echo->vdev.acked == 0);
	fake_guest_restart(g, 0);
	cr_assert_eq(fake_request(g, 1, "hi", 2, in, sizeof(in)), 2);
}

Test(virtio, impossible_ring_addresses_break_the_device)
{
	fake_guest_reset(g);
	fake_ring_attach(&g->rings[0], &echo->vdev.queues[0]);
	echo->vdev.queues[0].state.used = 0xdead0000;
	virtio_device_activate(&echo->vdev, &g->mem);
	cr_assert(echo->vdev.broken);
	cr_assert_eq(echo->activations, 1);
	fake_kick(g, 0);
	cr_assert_eq(echo->kicks, 2);
}

Test(virtio, a_queue_that_was_not_enabled_stays_quiet)
{
	fake_guest_reset(g);
	fake_ring_attach(&g->rings[0], &echo->vdev.queues[0]);
	virtio_device_activate(&echo->vdev, &g->mem);
	fake_kick(g, 1);
	cr_assert_eq(echo->kicks, 2);
	fake_kick(g, 0);
	cr_assert_eq(echo->kicks, 3);
}
