/* SPDX-License-Identifier: MIT */
/* devices/virtio/queue.h - split virtqueues, device side (VIRTIO 1.2 section 2.7). */
#ifndef DEVICES_VIRTIO_QUEUE_H
#define DEVICES_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/board/guest_mem.h"

/*
 * DOC: trust boundary
 *
 * Ring memory belongs to the guest and may change between two reads. Every
 * field is loaded once into a local, checked, and used from there. No caller
 * outside queue.c sees a descriptor, an index or a guest address.
 *
 * Indirect descriptors (2.7.5.3) and EVENT_IDX (2.7.7) are supported. A chain
 * has at most as many buffers as the queue has entries, indirect or not, unless
 * the model lends room for more: drivers of some devices do not keep to it.
 */

enum {
	VIRTQ_MAX_SIZE = 256,
	VIRTQ_MAX_SEGS = VIRTQ_MAX_SIZE, /* buffers in one chain, without virtq_lend() */
	VIRTQ_CHAIN_BYTES = 64 << 10, /* in one chain, where a model does not ask for more */
};

/* What the guest set and sees; plain data. */
struct virtq_state {
	uint16_t size; /* what the driver chose; power of two */
	bool enabled;
	gpa_t desc, avail, used;
	uint16_t next_avail, next_used, last_signalled;
	bool no_kick; /* virtq_want_kick(vq, false) */
};

struct virtq {
	struct virtq_state state;
	const struct guest_mem *mem;
	uint16_t max_size; /* what the device offers */
	uint32_t max_chain_bytes; /* a longer chain breaks the ring; 0: what used.len can say */
	bool event_idx;
	bool indirect;
	bool ready; /* virtq_enable() succeeded */
	/* What virtq_lend() said. */
	struct iovec *more;
	unsigned int n_more;

	/* Host views, valid while ready. */
	const uint8_t *desc_ring;
	uint8_t *avail_ring;
	uint8_t *used_ring;
};

/*
 * One request: the segments the device may read come first, then those it may
 * write. Large (4 KiB): keep it in the device, not on the stack. Buffers beyond
 * VIRTQ_MAX_SEGS are in the room that the queue was lent.
 */
struct virtq_chain {
	uint16_t head;
	unsigned int n_rd, n_wr;
	size_t rd_len, wr_len; /* bytes in all */
	/*
	 * A buffer was not in RAM and is left out. No driver error: a program of the
	 * guest may hand memory of a shared memory window to a request (O_DIRECT out of
	 * a file that is mapped there). The request cannot be done, the queue goes on.
	 */
	bool foreign;
	struct iovec seg[VIRTQ_MAX_SEGS]; /* n_rd of them, then n_wr */
	struct iovec *more;
};

/* Validates size and ring addresses in vq->state. -EINVAL or -EFAULT leave vq not ready. */
int virtq_enable(struct virtq *vq, const struct guest_mem *mem) MUST_CHECK;
void virtq_reset(struct virtq *vq);
/*
 * Lets chains of this queue have n buffers more than VIRTQ_MAX_SEGS, one such
 * chain at a time. `more` has room for n and is borrowed for the queue's life.
 */
void virtq_lend(struct virtq *vq, struct iovec *more, unsigned int n);

/*
 * 1: *chain filled. 0: ring empty or not ready; the driver has been asked to kick
 * unless virtq_want_kick() said otherwise. -EPROTO: the driver broke the ring;
 * stop using it. *chain is undefined unless 1 is returned.
 */
int virtq_pop(struct virtq *vq, struct virtq_chain *chain) MUST_CHECK;
/* Takes back the last virtq_pop(), of a chain that nothing was done with. */
void virtq_unpop(struct virtq *vq);
/*
 * How many chains the driver has published that were not popped; asks for no kick. It may
 * take them back, if it is hostile, and then virtq_pop() says 0 all the same.
 */
unsigned int virtq_waiting(const struct virtq *vq);
/*
 * Returns the chain `head` to the driver, `written` bytes of it filled. Any
 * order; nothing happens when the queue was reset or broken since.
 */
void virtq_push(struct virtq *vq, uint16_t head, uint32_t written);
/* True if the driver wants an interrupt for what was pushed since the last call. */
bool virtq_should_interrupt(struct virtq *vq);
/*
 * Asks the driver (not) to kick for new buffers. A hint: a kick may come all the
 * same. After enabling, pop once more: a buffer may have come in between.
 */
void virtq_want_kick(struct virtq *vq, bool want);

/*
 * Bounded copies out of and into a chain, from byte `off` of its readable
 * (writable) part; return the bytes copied, fewer than len at the chain's end.
 */
size_t chain_read(const struct virtq_chain *chain, size_t off, void *dst, size_t len);
size_t chain_write(const struct virtq_chain *chain, size_t off, const void *src, size_t len);
/*
 * The writable (readable) part from byte `off`, at most `len` bytes, as an iovec
 * array of at most `max` entries. Returns the number of entries.
 */
unsigned int chain_iov_wr(const struct virtq_chain *chain, size_t off, size_t len,
			  struct iovec *iov, unsigned int max);
unsigned int chain_iov_rd(const struct virtq_chain *chain, size_t off, size_t len,
			  struct iovec *iov, unsigned int max);

#ifdef SANDCASTLE_FUZZ
/* In the fuzz targets' build alone, which see here what a device takes from its guest. */
struct virtq_watch {
	/* len bytes of guest memory were copied: `at` may hold something else from now on. */
	void (*loaded)(const void *at, size_t len);
	/* A chain was popped. */
	void (*popped)(const struct virtq *vq, const struct virtq_chain *chain);
};

extern struct virtq_watch virtq_watch; /* zeroed: nobody watches */
#endif

#endif
