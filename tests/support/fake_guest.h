/* SPDX-License-Identifier: MIT */
/* tests/support/fake_guest.h - a virtio driver in host memory, for unit tests and fuzz targets. */
#ifndef TESTS_SUPPORT_FAKE_GUEST_H
#define TESTS_SUPPORT_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "devices/board/wiring.h"
#include "devices/virtio/virtio.h"

/*
 * DOC: how to use it
 *
 *	struct fake_guest *g = fake_guest_new();
 *	fake_guest_start(g, vdev, features);	// takes vdev over
 *	n = fake_request(g, 0, out, sizeof(out), in, sizeof(in));
 *	fake_guest_free(g);
 *
 * Nobody else is there: no lock is taken, and no kick ends because of time. A test
 * that wants that sets vdev->dev and vdev->loop, as a transport does.
 *
 * Guest RAM is two regions with a hole between them, each between pages that
 * nobody may touch, so that an access one byte too far is a crash. Everything
 * here aborts when it is itself used wrongly; nothing returns an error that a
 * test would have to look at. One thread.
 */

enum {
	FAKE_RAM_SIZE = 4 << 20,
	FAKE_HIGH_SIZE = 256 << 10,
	FAKE_MAX_ROUTES = 64,
	FAKE_MAX_DOORBELLS = 64,
};

#define FAKE_RAM_BASE  0x100000ull
#define FAKE_HIGH_BASE 0x100000000ull

/* A buffer of a chain, as the driver describes it. */
struct fake_seg {
	gpa_t addr;
	uint32_t len;
	bool writable; /* by the device */
};

/* The driver's side of one queue. */
struct fake_ring {
	uint16_t size;
	gpa_t desc, avail, used;
	uint16_t avail_idx, last_used;
	bool taken[VIRTQ_MAX_SIZE]; /* descriptors in flight */
	uint16_t next[VIRTQ_MAX_SIZE]; /* the chain of each, as published */
	bool more[VIRTQ_MAX_SIZE]; /* next[] is part of the chain */
};

struct fake_guest {
	struct guest_mem mem;
	gpa_t heap; /* bump allocator in the low region */

	/* A transport that counts, and a device for the model to hang its fds on. */
	struct virtio_transport transport;
	struct device dev;
	struct loop *loop;
	unsigned int queue_interrupts[VIRTIO_MAX_QUEUES];
	unsigned int config_interrupts;
	bool later[VIRTIO_MAX_QUEUES]; /* virtio_device_kick_later() */
	unsigned int late_resets; /* that were put off, and are done */

	struct virtio_device *vdev; /* NULL before start */
	struct fake_ring rings[VIRTIO_MAX_QUEUES];
};

/* RAM only, zeroed. */
struct fake_guest *fake_guest_new(void);
/* Destroys the device too. NULL is fine. */
void fake_guest_free(struct fake_guest *g);

/*
 * Attaches vdev, negotiates `features` (with VERSION_1; only bits that are
 * offered), lays out all queues at their full size, activates, kicks each once.
 */
void fake_guest_start(struct fake_guest *g, struct virtio_device *vdev, uint64_t features);
/* Device reset; fake_guest_restart() then does what start did, but for attach. */
void fake_guest_reset(struct fake_guest *g);
void fake_guest_restart(struct fake_guest *g, uint64_t features);
/*
 * Runs the loop, and kicks that were put off, until nothing is ready; takes no
 * time when nothing is.
 */
void fake_guest_settle(struct fake_guest *g);

/* Memory of the low region, zeroed; aborts when it is used up. */
gpa_t fake_alloc(struct fake_guest *g, size_t len, size_t align);
/* Gives back everything allocated since `mark`, which is an earlier g->heap. */
void fake_release(struct fake_guest *g, gpa_t mark);
/* Host view of guest RAM; aborts outside it. */
void *fake_ptr(const struct fake_guest *g, gpa_t gpa, size_t len);
/* A readable segment with a copy of data; a writable one of len zeroes. */
struct fake_seg fake_put(struct fake_guest *g, const void *data, size_t len);
struct fake_seg fake_room(struct fake_guest *g, size_t len);

/* Allocates and zeroes the rings of a queue; its size is a power of two. */
void fake_ring_init(struct fake_guest *g, struct fake_ring *ring, uint16_t size);
/* Writes the ring's size and addresses into vq's state. */
void fake_ring_attach(const struct fake_ring *ring, struct virtq *vq);

/* Publishes a chain and returns its head; does not kick. */
uint16_t fake_publish(struct fake_guest *g, unsigned int q, const struct fake_seg *segs,
		      unsigned int n);
uint16_t fake_publish_indirect(struct fake_guest *g, unsigned int q, const struct fake_seg *segs,
			       unsigned int n);
/* For hostile tests: one descriptor, one avail entry (published), the bare index. */
void fake_raw_desc(struct fake_guest *g, unsigned int q, uint16_t i, gpa_t addr, uint32_t len,
		   uint16_t flags, uint16_t next);
void fake_raw_avail(struct fake_guest *g, unsigned int q, uint16_t head);
void fake_raw_avail_idx(struct fake_guest *g, unsigned int q, uint16_t idx);
/* The driver's used_event, or the NO_INTERRUPT flag. */
void fake_set_used_event(struct fake_guest *g, unsigned int q, uint16_t idx);
void fake_set_no_interrupt(struct fake_guest *g, unsigned int q, bool no);
/* What the device asks of the driver: avail_event and the used ring's flags. */
uint16_t fake_avail_event(const struct fake_guest *g, unsigned int q);
uint16_t fake_used_flags(const struct fake_guest *g, unsigned int q);

void fake_kick(struct fake_guest *g, unsigned int q);
/* Takes the next used entry; false when there is none. Outputs may be NULL. */
bool fake_reap(struct fake_guest *g, unsigned int q, uint16_t *head, uint32_t *written);

/*
 * A whole request of two buffers: publishes, kicks, settles, reaps. Returns what
 * the device wrote, copied to `in`; -1 when it did not complete. Either length
 * may be 0. Guest memory is given back afterwards.
 */
long fake_request(struct fake_guest *g, unsigned int q, const void *out, size_t out_len, void *in,
		  size_t in_len);

/* A wiring table without a hypervisor: it remembers. */
struct fake_wiring {
	struct wiring wiring;
	struct {
		int eventfd;
		uint64_t addr;
		uint32_t data;
		unsigned int sets;
	} routes[FAKE_MAX_ROUTES];
	unsigned int n_routes;
	struct {
		gpa_t addr;
		int eventfd;
	} doorbells[FAKE_MAX_DOORBELLS];
	unsigned int n_doorbells;
	struct {
		unsigned int gsi;
		int eventfd;
	} lines[FAKE_MAX_ROUTES];
	unsigned int n_lines;
	struct {
		gpa_t addr;
		const void *host;
		uint64_t len;
	} memory; /* the last that was added; host NULL: and removed */
	int fail_after; /* calls until all fail with -ENOSPC; negative: never */
};

void fake_wiring_init(struct fake_wiring *fw);
/* A guest write to addr: true when a doorbell took it. */
bool fake_wiring_ring(struct fake_wiring *fw, gpa_t addr);
/* How often the interrupt of a route was raised since the last call. */
uint64_t fake_wiring_taken(struct fake_wiring *fw, unsigned int route);

#endif
