/* SPDX-License-Identifier: MIT */
#include "devices/virtio/queue.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

/* One descriptor in host byte order: our copy, which the guest cannot change. */
struct desc {
	gpa_t addr;
	uint32_t len;
	uint16_t flags, next;
};

/* What a chain is walked through: the ring's own table, then perhaps an indirect one. */
struct desc_table {
	const uint8_t *base;
	uint32_t entries;
	bool indirect;
};

#ifdef SANDCASTLE_FUZZ
struct virtq_watch virtq_watch;

static void tell_loaded(const void *at, size_t len)
{
	if (virtq_watch.loaded)
		virtq_watch.loaded(at, len);
}

static void tell_popped(const struct virtq *vq, const struct virtq_chain *chain)
{
	if (virtq_watch.popped)
		virtq_watch.popped(vq, chain);
}
#else
static inline void tell_loaded(const void *at, size_t len)
{
	(void)at;
	(void)len;
}

static inline void tell_popped(const struct virtq *vq, const struct virtq_chain *chain)
{
	(void)vq;
	(void)chain;
}
#endif

static struct desc load_desc(const struct desc_table *t, uint32_t i)
{
	struct vring_desc raw;

	memcpy(&raw, t->base + (size_t)i * sizeof(raw), sizeof(raw));
	/* What is used from here on is the copy: the compiler may not read the ring again. */
	__asm__ volatile("" : "+m"(raw) : : "memory");
	tell_loaded(t->base + (size_t)i * sizeof(raw), sizeof(raw));
	return (struct desc){
		.addr = le64toh(raw.addr),
		.len = le32toh(raw.len),
		.flags = le16toh(raw.flags),
		.next = le16toh(raw.next),
	};
}

/* Ring addresses are checked to be aligned when the queue is enabled. */
static uint16_t load16(const uint8_t *ring, size_t off)
{
	return le16toh(
		__atomic_load_n((const uint16_t *)(const void *)(ring + off), __ATOMIC_ACQUIRE));
}

static void store16(uint8_t *ring, size_t off, uint16_t v)
{
	__atomic_store_n((uint16_t *)(void *)(ring + off), htole16(v), __ATOMIC_RELEASE);
}

/* The driver's used_event follows its ring, our avail_event follows ours (2.7.6, 2.7.8). */
static size_t used_event_off(const struct virtq *vq)
{
	return sizeof(struct vring_avail) + sizeof(uint16_t) * (size_t)vq->state.size;
}

static size_t avail_event_off(const struct virtq *vq)
{
	return sizeof(struct vring_used) + sizeof(struct vring_used_elem) * (size_t)vq->state.size;
}

int virtq_enable(struct virtq *vq, const struct guest_mem *mem)
{
	const struct virtq_state *s = &vq->state;
	uint8_t *desc, *avail, *used;

	if (s->size == 0 || s->size > vq->max_size || s->size > VIRTQ_MAX_SIZE ||
	    (s->size & (s->size - 1)) != 0)
		return -EINVAL;
	if (s->desc % VRING_DESC_ALIGN_SIZE || s->avail % VRING_AVAIL_ALIGN_SIZE ||
	    s->used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	desc = guest_ptr(mem, s->desc, sizeof(struct vring_desc) * (uint64_t)s->size);
	avail = guest_ptr(mem, s->avail, used_event_off(vq) + sizeof(uint16_t));
	used = guest_ptr(mem, s->used, avail_event_off(vq) + sizeof(uint16_t));
	if (!desc || !avail || !used)
		return -EFAULT;
	vq->mem = mem;
	vq->desc_ring = desc;
	vq->avail_ring = avail;
	vq->used_ring = used;
	vq->ready = true;
	return 0;
}

void virtq_reset(struct virtq *vq)
{
	*vq = (struct virtq){
		.max_size = vq->max_size,
		.max_chain_bytes = vq->max_chain_bytes,
		.more = vq->more,
		.n_more = vq->n_more,
	};
}

void virtq_lend(struct virtq *vq, struct iovec *more, unsigned int n)
{
	vq->more = more;
	vq->n_more = n;
}

/* The most buffers a chain may have. */
static unsigned int most_segments(const struct virtq *vq)
{
	return vq->n_more > 0 ? VIRTQ_MAX_SEGS + vq->n_more : vq->state.size;
}

static int add_segment(const struct virtq *vq, struct virtq_chain *chain, const struct desc *d)
{
	/* A chain is at most 2^32 - 1 bytes: used.len has to be able to say so (2.7.5). */
	const uint32_t most = vq->max_chain_bytes ? vq->max_chain_bytes : UINT32_MAX;
	unsigned int n = chain->n_rd + chain->n_wr;
	struct iovec *seg;
	void *host;

	if (n == most_segments(vq))
		return -EPROTO;
	if (d->len == 0 || d->len > most - (chain->rd_len + chain->wr_len))
		return -EPROTO;
	host = guest_ptr(vq->mem, d->addr, d->len);
	if (!host) {
		chain->foreign = true;
		return 0;
	}
	seg = n < VIRTQ_MAX_SEGS ? &chain->seg[n] : &chain->more[n - VIRTQ_MAX_SEGS];
	*seg = (struct iovec){.iov_base = host, .iov_len = d->len};
	if (d->flags & VRING_DESC_F_WRITE) {
		chain->n_wr++;
		chain->wr_len += d->len;
		return 0;
	}
	/* Readable buffers come before writable ones (2.7.4.2). */
	if (chain->n_wr > 0)
		return -EPROTO;
	chain->n_rd++;
	chain->rd_len += d->len;
	return 0;
}

/* 2.7.5.3: only in the ring's own table, last in the chain, a whole number of entries. */
static int enter_indirect(const struct virtq *vq, const struct desc *d, struct desc_table *t)
{
	const uint8_t *base;

	if (!vq->indirect || t->indirect || (d->flags & VRING_DESC_F_NEXT))
		return -EPROTO;
	if (d->len == 0 || d->len % sizeof(struct vring_desc) != 0)
		return -EPROTO;
	base = guest_ptr(vq->mem, d->addr, d->len);
	if (!base)
		return -EPROTO;
	*t = (struct desc_table){base, d->len / (uint32_t)sizeof(struct vring_desc), true};
	return 0;
}

static int walk(const struct virtq *vq, struct virtq_chain *chain)
{
	struct desc_table t = {vq->desc_ring, vq->state.size, false};
	uint32_t i = chain->head;
	int r;

	/* One hop a buffer, and one for the descriptor that names the indirect table. */
	for (unsigned int hops = 0; hops <= most_segments(vq); hops++) {
		struct desc d = load_desc(&t, i);

		if (d.flags & VRING_DESC_F_INDIRECT) {
			r = enter_indirect(vq, &d, &t);
			if (r < 0)
				return r;
			i = 0;
			continue;
		}
		r = add_segment(vq, chain, &d);
		if (r < 0)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		if (d.next >= t.entries)
			return -EPROTO;
		i = d.next;
	}
	return -EPROTO;
}

/*
 * The ring looked empty. Ask for a kick, then look again: the driver may have
 * published between the two without kicking (2.7.10.1).
 */
static uint16_t recheck_avail(struct virtq *vq)
{
	if (vq->event_idx && !vq->state.no_kick) {
		store16(vq->used_ring, avail_event_off(vq), vq->state.next_avail);
		atomic_thread_fence(memory_order_seq_cst);
	}
	return load16(vq->avail_ring, offsetof(struct vring_avail, idx));
}

int virtq_pop(struct virtq *vq, struct virtq_chain *chain)
{
	struct virtq_state *s = &vq->state;
	uint16_t idx, head;
	int r;

	if (!vq->ready)
		return 0;
	idx = load16(vq->avail_ring, offsetof(struct vring_avail, idx));
	if (idx == s->next_avail)
		idx = recheck_avail(vq);
	if (idx == s->next_avail)
		return 0;
	/* Neither backwards, nor more chains in flight than there are descriptors. */
	if ((uint16_t)(idx - s->next_avail) > s->size || (uint16_t)(idx - s->next_used) > s->size)
		return -EPROTO;
	head = load16(vq->avail_ring,
		      sizeof(struct vring_avail) +
			      sizeof(uint16_t) * (size_t)(s->next_avail & (s->size - 1)));
	if (head >= s->size)
		return -EPROTO;
	chain->head = head;
	chain->n_rd = chain->n_wr = 0;
	chain->rd_len = chain->wr_len = 0;
	chain->foreign = false;
	chain->more = vq->more;
	r = walk(vq, chain);
	if (r < 0)
		return r;
	s->next_avail++;
	tell_popped(vq, chain);
	return 1;
}

void virtq_unpop(struct virtq *vq)
{
	vq->state.next_avail--;
}

unsigned int virtq_waiting(const struct virtq *vq)
{
	if (!vq->ready)
		return 0;
	return (uint16_t)(load16(vq->avail_ring, offsetof(struct vring_avail, idx)) -
			  vq->state.next_avail);
}

void virtq_push(struct virtq *vq, uint16_t head, uint32_t written)
{
	struct virtq_state *s = &vq->state;
	struct vring_used_elem elem = {.id = htole32(head), .len = htole32(written)};

	/* Reset or broken since the chain was popped: nobody waits for it. */
	if (!vq->ready)
		return;
	memcpy(vq->used_ring + sizeof(struct vring_used) +
		       sizeof(elem) * (size_t)(s->next_used & (s->size - 1)),
	       &elem, sizeof(elem));
	s->next_used++;
	store16(vq->used_ring, offsetof(struct vring_used, idx), s->next_used);
}

bool virtq_should_interrupt(struct virtq *vq)
{
	struct virtq_state *s = &vq->state;
	uint16_t old = s->last_signalled;

	if (!vq->ready || s->next_used == old)
		return false;
	s->last_signalled = s->next_used;
	/* The used index must be visible before the driver's wish is read (2.7.7.2). */
	atomic_thread_fence(memory_order_seq_cst);
	if (vq->event_idx)
		return vring_need_event(load16(vq->avail_ring, used_event_off(vq)), s->next_used,
					old);
	return !(load16(vq->avail_ring, offsetof(struct vring_avail, flags)) &
		 VRING_AVAIL_F_NO_INTERRUPT);
}

void virtq_want_kick(struct virtq *vq, bool want)
{
	vq->state.no_kick = !want;
	if (!vq->ready)
		return;
	if (!vq->event_idx)
		store16(vq->used_ring, offsetof(struct vring_used, flags),
			want ? 0 : VRING_USED_F_NO_NOTIFY);
	else if (want)
		/* Chains that wait already are no news, whether they were popped or not. */
		store16(vq->used_ring, avail_event_off(vq),
			load16(vq->avail_ring, offsetof(struct vring_avail, idx)));
	atomic_thread_fence(memory_order_seq_cst);
}

/* [off, off+len) of the segments from `first` to before `end`, as at most max entries of iov. */
static unsigned int slice(const struct virtq_chain *chain, unsigned int first, unsigned int end,
			  size_t off, size_t len, struct iovec *iov, unsigned int max)
{
	unsigned int out = 0;

	for (unsigned int i = first; i < end && out < max && len > 0; i++) {
		const struct iovec *seg =
			i < VIRTQ_MAX_SEGS ? &chain->seg[i] : &chain->more[i - VIRTQ_MAX_SEGS];
		size_t part;

		if (off >= seg->iov_len) {
			off -= seg->iov_len;
			continue;
		}
		part = min_size(len, seg->iov_len - off);
		iov[out++] = (struct iovec){(uint8_t *)seg->iov_base + off, part};
		len -= part;
		off = 0;
	}
	return out;
}

unsigned int chain_iov_rd(const struct virtq_chain *chain, size_t off, size_t len,
			  struct iovec *iov, unsigned int max)
{
	return slice(chain, 0, chain->n_rd, off, len, iov, max);
}

unsigned int chain_iov_wr(const struct virtq_chain *chain, size_t off, size_t len,
			  struct iovec *iov, unsigned int max)
{
	return slice(chain, chain->n_rd, chain->n_rd + chain->n_wr, off, len, iov, max);
}

size_t chain_read(const struct virtq_chain *chain, size_t off, void *dst, size_t len)
{
	size_t done = 0;
	struct iovec part;

	while (chain_iov_rd(chain, off + done, len - done, &part, 1) == 1) {
		memcpy((uint8_t *)dst + done, part.iov_base, part.iov_len);
		tell_loaded(part.iov_base, part.iov_len);
		done += part.iov_len;
	}
	return done;
}

size_t chain_write(const struct virtq_chain *chain, size_t off, const void *src, size_t len)
{
	size_t done = 0;
	struct iovec part;

	while (chain_iov_wr(chain, off + done, len - done, &part, 1) == 1) {
		memcpy(part.iov_base, (const uint8_t *)src + done, part.iov_len);
		done += part.iov_len;
	}
	return done;
}
