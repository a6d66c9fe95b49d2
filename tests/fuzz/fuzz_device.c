/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz_device.h"

#include <linux/virtio_ring.h>

#include "tests/fuzz/fuzz_watch.h"

enum { MAX_SEGS = 8, MAX_CONTENT = 256, MAX_OPS = 256, MAX_TURNS = 4 };

struct driver {
	struct fake_guest *g;
	struct fuzz_input *in;
	gpa_t first, mark; /* memory before and behind the rings */
};

static uint64_t features(const struct virtio_device *vdev, uint8_t pick)
{
	uint64_t f = virtio_device_features(vdev);

	if (pick & 1)
		f &= ~(1ull << VIRTIO_RING_F_EVENT_IDX);
	if (pick & 2)
		f &= ~(1ull << VIRTIO_RING_F_INDIRECT_DESC);
	return f;
}

/* A buffer: mostly honest, with contents from the input; sometimes anywhere. */
static struct fake_seg make_seg(struct driver *d, bool writable)
{
	uint8_t kind = fuzz_u8(d->in), content[MAX_CONTENT];
	size_t len = fuzz_u8(d->in) + 1u;

	if (kind >= 250)
		return (struct fake_seg){fuzz_u64(d->in), (uint32_t)fuzz_u64(d->in), writable};
	/* All of memory at once, also when there is none left to be honest with. */
	if (kind >= 240 || d->g->heap > FAKE_RAM_BASE + FAKE_RAM_SIZE / 2)
		return (struct fake_seg){FAKE_RAM_BASE, FAKE_RAM_SIZE, writable};
	if (writable)
		return fake_room(d->g, len * (kind & 1 ? 16 : 1));
	fuzz_bytes(d->in, content, len);
	return fake_put(d->g, content, len);
}

static void publish(struct driver *d, unsigned int q, uint8_t how)
{
	struct fake_seg segs[MAX_SEGS];
	unsigned int n = 1 + (how & 7) % MAX_SEGS, n_rd = (how >> 3) % (n + 1);

	if (fuzz_free_descriptors(d->g, q) < n)
		return;
	for (unsigned int i = 0; i < n; i++)
		segs[i] = make_seg(d, i >= n_rd);
	if (how & 0x40)
		(void)fake_publish_indirect(d->g, q, segs, n);
	else
		(void)fake_publish(d->g, q, segs, n);
}

static void hostile_ring(struct driver *d, unsigned int q, uint8_t how)
{
	uint16_t v = fuzz_u16(d->in);

	switch (how % 4) {
	case 0:
		fake_raw_desc(d->g, q, v % d->g->rings[q].size, fuzz_u64(d->in),
			      (uint32_t)fuzz_u64(d->in), fuzz_u16(d->in), fuzz_u16(d->in));
		break;
	case 1:
		fake_raw_avail(d->g, q, v);
		break;
	case 2:
		fake_raw_avail_idx(d->g, q, v);
		break;
	default:
		fake_set_used_event(d->g, q, v);
		break;
	}
}

unsigned int fuzz_free_descriptors(const struct fake_guest *g, unsigned int q)
{
	unsigned int n = 0;

	for (uint16_t i = 0; i < g->rings[q].size; i++)
		n += !g->rings[q].taken[i];
	return n;
}

/* False: there is nothing, or a device that was told to write there has spoilt the ring. */
static bool may_reap(const struct fake_guest *g, unsigned int q)
{
	const struct fake_ring *ring = &g->rings[q];
	const size_t at = sizeof(struct vring_used) +
			  sizeof(struct vring_used_elem) * (ring->last_used & (ring->size - 1u));
	struct vring_used_elem elem;

	memcpy(&elem, fake_ptr(g, ring->used + at, sizeof(elem)), sizeof(elem));
	return elem.id < ring->size;
}

/* Takes back what the device is done with. Memory is free again when it has nothing any more. */
static void reap(struct driver *d)
{
	bool idle = true;

	for (unsigned int q = 0; q < d->g->vdev->ops->n_queues; q++) {
		unsigned int n = d->g->rings[q].size;

		while (n-- > 0 && may_reap(d->g, q) && fake_reap(d->g, q, NULL, NULL))
			;
		idle = idle && fuzz_free_descriptors(d->g, q) == d->g->rings[q].size;
	}
	if (idle)
		fake_release(d->g, d->mark);
}

/* And the loop for a while: a device may put off work for longer than a test wants to wait. */
static void kick(struct driver *d, unsigned int queue)
{
	fuzz_watch_kick(d->g, queue);
	for (unsigned int turn = 0; turn < MAX_TURNS; turn++)
		for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
			if (d->g->later[q]) {
				d->g->later[q] = false;
				fuzz_watch_kick(d->g, q);
			}
	reap(d);
}

static void restart(struct driver *d, uint8_t how)
{
	fake_guest_reset(d->g);
	fake_release(d->g, d->first);
	fake_guest_restart(d->g, features(d->g->vdev, how));
	d->mark = d->g->heap;
}

void fuzz_device(struct fake_guest *g, struct virtio_device *vdev, struct fuzz_input *in,
		 void (*other)(void *arg, uint8_t op, struct fuzz_input *in), void *arg)
{
	struct driver d = {.g = g, .in = in, .first = g->heap};
	uint8_t begin = fuzz_u8(in);

	/* Half of the drivers leave their memory alone. */
	fuzz_watch_start(begin & 4 ? begin : 0);
	fake_guest_start(g, vdev, features(vdev, begin));
	d.mark = g->heap;
	for (unsigned int n = 0; n < MAX_OPS && in->left > 0; n++) {
		uint8_t op = fuzz_u8(in), how = fuzz_u8(in);
		unsigned int q = (op >> 4) % vdev->ops->n_queues;

		if ((op & 15) < 6)
			publish(&d, q, how);
		else if ((op & 15) < 10)
			kick(&d, q);
		else if ((op & 15) < 12)
			hostile_ring(&d, q, how);
		else if ((op & 15) == 12)
			restart(&d, how);
		else if (other)
			other(arg, how, in);
	}
	fuzz_watch_stop();
}
