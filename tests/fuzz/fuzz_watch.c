/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz_watch.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	/* Two rounds over one queue and one over another are the most a model makes of a kick. */
	MAX_CHAINS = 4 * VIRTIO_KICK_BUDGET,
	DESC_BYTES = 16,
	/* A chain that was kept since an earlier kick, and a ring that turned out to be broken. */
	SPARE_BYTES = 2 * VIRTQ_CHAIN_BYTES,
};

static struct {
	uint32_t random;
	unsigned int every; /* how many loads lie between two changes, about; 0: no changes */
	unsigned int left; /* loads until the next one */
	/* In the present kick. */
	unsigned int chains;
	uint64_t loaded, owned; /* bytes copied; bytes of chains and their descriptors */
} w;

static uint32_t next_random(void)
{
	w.random = w.random * 1664525u + 1013904223u;
	return w.random >> 8;
}

static void on_loaded(const void *at, size_t len)
{
	const union {
		const void *loaded;
		uint8_t *bytes;
	} p = {.loaded = at};

	w.loaded += len;
	if (w.every == 0 || len == 0 || w.left-- > 0)
		return;
	w.left = next_random() % (2 * w.every);
	p.bytes[next_random() % len] ^= (uint8_t)(1u << next_random() % 8);
}

static void on_popped(const struct virtq *vq, const struct virtq_chain *chain)
{
	(void)vq;
	w.chains++;
	w.owned += chain->rd_len + chain->wr_len +
		   DESC_BYTES * (uint64_t)(chain->n_rd + chain->n_wr + 1);
}

void fuzz_watch_start(uint8_t seed)
{
	w.random = seed;
	w.every = seed ? 1u << seed % 5 : 0;
	w.left = w.every;
	virtq_watch = (struct virtq_watch){.loaded = on_loaded, .popped = on_popped};
}

void fuzz_watch_stop(void)
{
	virtq_watch = (struct virtq_watch){.loaded = NULL};
}

void fuzz_watch_kick(struct fake_guest *g, unsigned int q)
{
	w.chains = 0;
	w.loaded = w.owned = 0;
	fake_kick(g, q);
	if (w.chains <= MAX_CHAINS && w.loaded <= 2 * w.owned + SPARE_BYTES)
		return;
	fprintf(stderr, "fuzz_watch: a kick of %s took %u chains of %llu bytes and copied %llu\n",
		g->vdev->ops->name, w.chains, (unsigned long long)w.owned,
		(unsigned long long)w.loaded);
	abort();
}
