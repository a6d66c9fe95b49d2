/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <time.h>

#include "tests/support/fake_guest.h"

/* A model that copies what it may read into what it may write. */
struct echo {
	struct virtio_device vdev;
	struct virtq_chain chain;
	unsigned int kicks, activations, resets, served;
	void (*during)(struct echo *e); /* called for each chain; NULL: nothing */
};

static void echo_activate(struct virtio_device *vdev)
{
	CONTAINER_OF(vdev, struct echo, vdev)->activations++;
}

static bool echo_serve(struct virtio_device *vdev, unsigned int q)
{
	struct echo *e = CONTAINER_OF(vdev, struct echo, vdev);
	char buf[64];
	size_t n = chain_read(&e->chain, 0, buf, sizeof(buf));

	e->served++;
	n = chain_write(&e->chain, 0, buf, n);
	if (e->during)
		e->during(e);
	virtq_push(&vdev->queues[q], e->chain.head, (uint32_t)n);
	return true;
}

static void echo_kick(struct virtio_device *vdev, unsigned int q)
{
	struct echo *e = CONTAINER_OF(vdev, struct echo, vdev);

	e->kicks++;
	(void)virtio_device_serve(vdev, q, &e->chain, echo_serve);
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
	.chain_max = {100, UINT32_MAX},
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

/* Whatever is taken, as much is there again: as from a driver on another CPU. */
static void publish_again(struct echo *e)
{
	(void)e;
	fake_raw_avail(g, 1, 0);
}

static void fill_ring(void)
{
	struct fake_seg seg = fake_put(g, "x", 1);

	fake_raw_desc(g, 1, 0, seg.addr, seg.len, 0, 0);
	for (unsigned int i = 0; i < 8; i++)
		fake_raw_avail(g, 1, 0);
}

Test(virtio, a_flood_gives_way_after_its_chains)
{
	fill_ring();
	echo->during = publish_again;
	fake_kick(g, 1);
	cr_assert_eq(echo->served, VIRTIO_KICK_BUDGET);
	cr_assert(g->later[1]);
	/* And goes on where it was. */
	fake_kick(g, 1);
	cr_assert_eq(echo->served, 2 * VIRTIO_KICK_BUDGET);
	cr_assert_not(echo->vdev.broken);
}

static void take_long(struct echo *e)
{
	const struct timespec more = {.tv_nsec = (VIRTIO_KICK_MS + 1) * 1000000L};

	(void)e;
	cr_assert_eq(nanosleep(&more, NULL), 0);
}

Test(virtio, slow_chains_give_way_one_by_one)
{
	fill_ring();
	echo->vdev.loop = g->loop;
	echo->during = take_long;
	for (unsigned int turn = 1; turn <= 3; turn++) {
		g->later[1] = false;
		fake_kick(g, 1);
		cr_assert_eq(echo->served, turn);
		cr_assert(g->later[1]);
	}
}

static struct loop_task task;
static unsigned int tasks_run;

static void run_task(struct loop_task *t)
{
	cr_assert_eq(t, &task);
	tasks_run++;
}

static void post(struct echo *e)
{
	if (e->served == 3)
		loop_post(g->loop, &task);
}

Test(virtio, who_waits_for_the_loop_is_let_in_after_one_chain)
{
	fill_ring();
	echo->vdev.loop = g->loop;
	echo->during = post;
	task.fn = run_task;
	fake_kick(g, 1);
	cr_assert_eq(echo->served, 3);
	cr_assert(g->later[1]);
	fake_guest_settle(g);
	cr_assert_eq(tasks_run, 1);
	cr_assert_eq(echo->served, 8);
}

Test(virtio, a_chain_longer_than_the_model_takes_breaks_the_device)
{
	char text[101] = "";

	cr_assert_eq(fake_request(g, 0, text, 60, text, 40), 40);
	cr_assert_not(echo->vdev.broken);
	cr_assert_eq(fake_request(g, 0, text, 60, text, 41), -1);
	cr_assert(echo->vdev.broken);
	cr_assert_eq(echo->served, 1);
	/* The limit is the model's: it outlives the driver. */
	fake_guest_reset(g);
	fake_guest_restart(g, 0);
	cr_assert_eq(fake_request(g, 0, text, sizeof(text), NULL, 0), -1);
	cr_assert(echo->vdev.broken);
}

/* What a driver does on a vCPU's thread while the model waits for the host. */
static void reset_meanwhile(struct echo *e)
{
	virtio_device_leave(&e->vdev);
	virtio_device_reset(&e->vdev);
	cr_assert(e->vdev.resetting && e->vdev.active);
	cr_assert_eq(e->resets, 0);
	virtio_device_enter(&e->vdev);
}

Test(virtio, a_reset_waits_for_the_request_that_is_at_work)
{
	struct fake_seg segs[] = {fake_put(g, "hi", 2), fake_room(g, 2)};

	echo->during = reset_meanwhile;
	(void)fake_publish(g, 1, segs, 2);
	(void)fake_publish(g, 1, segs, 1);
	fake_kick(g, 1);
	/* It ended without a word to the driver, which has let go of its queues, and so did the rest. */
	cr_assert_eq(echo->served, 1);
	cr_assert_not(fake_reap(g, 1, NULL, NULL));
	cr_assert(g->later[0]);
	fake_guest_settle(g);
	cr_assert_eq(echo->resets, 1);
	cr_assert_eq(g->late_resets, 1);
	cr_assert_not(echo->vdev.resetting || echo->vdev.active || echo->vdev.acked);
	echo->during = NULL;
	fake_guest_restart(g, 0);
	cr_assert_eq(fake_request(g, 1, "hi", 2, segs, 2), 2);
}
