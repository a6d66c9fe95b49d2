/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz_device.h"

#include <linux/virtio_ring.h>

enum { MAX_SEGS = 8, MAX_CONTENT = 256, MAX_OPS = 256, MAX_TURNS = 4 };

struct driver {
	struct fake_guest *g;
	struct fuzz_input *in;
	unsigned int published[VIRTIO_MAX_QUEUES]; /* since the last reset */
	gpa_t mark;
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
	const struct fake_ring *ring = &d->g->rings[q];
	struct fake_seg segs[MAX_SEGS];
	unsigned int n = 1 + (how & 7) % MAX_SEGS, n_rd = (how >> 3) % (n + 1);

	/* The driver's own books: descriptors that were never given back are not there. */
	if (d->published[q] + n > ring->size)
		return;
	for (unsigned int i = 0; i < n; i++)
		segs[i] = make_seg(d, i >= n_rd);
	if (how & 0x40) {
		(void)fake_publish_indirect(d->g, q, segs, n);
		d->published[q]++;
	} else {
		(void)fake_publish(d->g, q, segs, n);
		d->published[q] += n;
	}
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

/* And the loop for a while: a device may put off work for longer than a test wants to wait. */
static void kick(struct driver *d, unsigned int queue)
{
	fake_kick(d->g, queue);
	for (unsigned int turn = 0; turn < MAX_TURNS; turn++)
		for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
			if (d->g->later[q]) {
				d->g->later[q] = false;
				fake_kick(d->g, q);
			}
}

static void restart(struct driver *d, uint8_t how)
{
	fake_guest_reset(d->g);
	fake_release(d->g, d->mark);
	memset(d->published, 0, sizeof(d->published));
	fake_guest_restart(d->g, features(d->g->vdev, how));
}

void fuzz_device(struct fake_guest *g, struct virtio_device *vdev, struct fuzz_input *in,
		 void (*other)(void *arg, uint8_t op, struct fuzz_input *in), void *arg)
{
	struct driver d = {.g = g, .in = in, .mark = g->heap};

	fake_guest_start(g, vdev, features(vdev, fuzz_u8(in)));
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
}
