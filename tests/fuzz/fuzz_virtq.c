/* SPDX-License-Identifier: MIT */
/*
 * Bytes: a queue's state, what to do in turn, then all of guest memory (two regions of a page and
 * a hole between them). Whatever they say, chains stay inside memory and
 * within their bounds, and nothing runs for ever.
 */
#include <linux/virtio_ring.h>

#include "devices/virtio/queue.h"
#include "tests/fuzz/fuzz_input.h"

enum { PAGE = 4096, LOW = 0x1000, HIGH = 0x3000, ROUNDS = 300, N_OPS = 8 };

static struct virtq_chain chain;

/* Touches all of the chain, as a device would, so that a bad pointer is found. */
static void use_chain(const struct virtq *vq)
{
	static uint8_t buf[PAGE];
	struct iovec iov[4];
	size_t rd = 0, wr = 0;

	if (chain.n_rd + chain.n_wr > vq->state.size || chain.head >= vq->state.size)
		abort();
	for (unsigned int i = 0; i < chain.n_rd + chain.n_wr; i++)
		*(i < chain.n_rd ? &rd : &wr) += chain.seg[i].iov_len;
	if (rd != chain.rd_len || wr != chain.wr_len || (rd + wr == 0 && !chain.foreign))
		abort();
	for (size_t off = 0; off < rd; off += sizeof(buf))
		(void)chain_read(&chain, off, buf, sizeof(buf));
	if (chain_read(&chain, rd, buf, 1) != 0 || chain_write(&chain, wr, buf, 1) != 0)
		abort();
	if (chain_iov_rd(&chain, rd / 2, SIZE_MAX, iov, 4) > 4)
		abort();
	/* The last bytes only: writing all would wipe out the rings that are being explored. */
	if (wr > 0 && chain_write(&chain, wr - 1, buf, 8) != 1)
		abort();
}

static void run(struct virtq *vq, const uint8_t *ops)
{
	for (unsigned int n = 0; n < ROUNDS; n++) {
		uint8_t op = ops[n % N_OPS];
		int r = virtq_pop(vq, &chain);

		if (r < 0)
			return;
		if (r > 0) {
			use_chain(vq);
			if (!(op & 1))
				virtq_push(vq, chain.head, (uint32_t)chain.wr_len);
		}
		if (op & 2)
			(void)virtq_should_interrupt(vq);
		if (op & 4)
			virtq_want_kick(vq, op & 8);
		if (r == 0 && n >= N_OPS)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct guest_mem mem = {.n_regions = 2};
	struct virtq vq = {.max_size = (uint16_t)(256u >> (fuzz_u8(&in) % 9))};
	uint8_t flags = fuzz_u8(&in), ops[N_OPS];

	/*
	 * A clear flag is the honest choice, so that short inputs get far. The
	 * rings are close together, for a few bytes of memory to fill them.
	 */
	vq.event_idx = !(flags & 1);
	vq.indirect = !(flags & 2);
	vq.state.size = flags & 4 ? fuzz_u16(&in) : vq.max_size;
	vq.state.avail = flags & 8 ? fuzz_u64(&in) : LOW;
	vq.state.desc = flags & 16 ? fuzz_u64(&in) : LOW + align_up(6 + 2ull * vq.state.size, 16);
	vq.state.used = flags & 32 ? fuzz_u64(&in) : HIGH;
	if (flags & 64)
		vq.state.next_avail = vq.state.next_used = vq.state.last_signalled = fuzz_u16(&in);
	mem.regions[0] = (struct guest_region){LOW, PAGE, aligned_alloc(PAGE, PAGE)};
	mem.regions[1] = (struct guest_region){HIGH, PAGE, aligned_alloc(PAGE, PAGE)};
	if (mem.regions[0].host && mem.regions[1].host) {
		fuzz_bytes(&in, ops, sizeof(ops));
		fuzz_bytes(&in, mem.regions[0].host, PAGE);
		fuzz_bytes(&in, mem.regions[1].host, PAGE);
		if (virtq_enable(&vq, &mem) == 0)
			run(&vq, ops);
		virtq_reset(&vq);
		if (virtq_pop(&vq, &chain) != 0)
			abort();
	}
	free(mem.regions[0].host);
	free(mem.regions[1].host);
	return 0;
}
