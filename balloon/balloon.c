/* SPDX-License-Identifier: MIT */
#include "balloon/balloon.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "common/log.h"

/*
 * The specification numbers the queues as if those of features that were not
 * taken existed; Linux numbers those that exist. We do not offer free page
 * hinting (3), so 3 and 4 can both only be the reporting queue, and 2 is it for
 * a driver that takes no statistics.
 */
enum { Q_INFLATE, Q_DEFLATE, Q_STATS, Q_REPORTING_COMPACT, Q_REPORTING, N_QUEUES };

enum {
	PAGE = 1 << VIRTIO_BALLOON_PFN_SHIFT,
	PFN_BATCH = 256, /* what Linux sends at once */
	STATS_MAX = 64, /* entries looked at; 1.2 has 10 */
	BLOCK_PAGES = 512, /* a huge page */
	BLOCK_WORDS = BLOCK_PAGES / 64,
	SETTLE_RUNS = 4096, /* given back in one go: some 10 ms */
	PFNS_MAX = 16384, /* page numbers in one chain; Linux sends PFN_BATCH */
	REPORT_MAX = 256 << 20, /* bytes of RAM in one; Linux reports 32 ranges of 4 MiB at most */
};

/*
 * A huge page is given back when all its pages are in the balloon. Given back by
 * halves or singly it is split and unmapped under the guest, which then faults on
 * each page of the rest, and the host has to allocate for the split. That is not
 * only slow: above a cgroup's memory.high whoever is charged a page is put to sleep
 * for up to 2 s, just when memory has to go. What stays incomplete goes at
 * balloon_settle(), or never: it is for the observer to say when.
 *
 * The driver has promised to tell before it uses a page again (MUST_TELL_HOST).
 */
struct balloon_pages {
	uint64_t *in; /* a bit for each page of RAM; whole blocks */
	bool *waits; /* for each block: pages in it may not have gone yet */
	size_t n_blocks;
	bool any_waits;
	bool used; /* since the last reset */
};

/* What the guest set and sees, and what it is owed. */
struct balloon_state {
	struct virtio_balloon_config config;
	bool has_stats_buffer; /* the driver waits for us to want statistics */
	uint16_t stats_head;
	struct balloon_stats stats;
};

struct balloon {
	struct virtio_device vdev;
	struct balloon_state state;
	const struct guest_mem *mem;
	const struct ram *ram;
	struct balloon_observer *obs; /* owned; may be NULL */
	uint64_t reported, inflated;
	bool discard_failed; /* said so */
	bool stats_came; /* in the present kick */
	struct balloon_pages pages;
	struct virtq_chain chain;
	uint32_t pfns[PFN_BATCH];
};

static struct balloon *to_balloon(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct balloon, vdev);
}

static void tell(struct balloon *b, enum balloon_event event)
{
	if (b->obs)
		b->obs->ops->event(b->obs, event);
}

/* -EFAULT: not RAM. That the host cannot do it is no fault of the guest's. */
static int discard(struct balloon *b, const void *host, uint64_t len)
{
	int r = ram_discard(b->ram, host, len);

	if (r < 0 && r != -EFAULT && !b->discard_failed) {
		b->discard_failed = true;
		log_warn("the host does not take memory back: %s", strerror(-r));
	}
	return r == -EFAULT ? r : 0;
}

static bool is_in(const uint64_t *words, unsigned int page)
{
	return words[page / 64] >> page % 64 & 1;
}

/* Gives back what is in the balloon of a block. Returns how many runs it was. */
static unsigned int give_block(struct balloon *b, size_t block)
{
	const uint64_t *words = &b->pages.in[block * BLOCK_WORDS];
	const uint8_t *host = b->ram->host + block * BLOCK_PAGES * PAGE;
	unsigned int first = 0, runs = 0;

	for (unsigned int i = 0; i <= BLOCK_PAGES; i++) {
		if (i < BLOCK_PAGES && is_in(words, i))
			continue;
		if (i > first) {
			(void)discard(b, host + (size_t)first * PAGE, (size_t)(i - first) * PAGE);
			runs++;
		}
		first = i + 1;
	}
	b->pages.waits[block] = false;
	return runs;
}

/* At most so many runs, and what the last block has more. */
static void settle(struct balloon *b, unsigned int most)
{
	unsigned int runs = 0;

	if (!b->pages.any_waits)
		return;
	for (size_t i = 0; i < b->pages.n_blocks; i++) {
		if (runs >= most)
			return;
		if (b->pages.waits[i])
			runs += give_block(b, i);
	}
	b->pages.any_waits = false;
}

static bool is_whole(const uint64_t *words)
{
	for (unsigned int i = 0; i < BLOCK_WORDS; i++)
		if (words[i] != UINT64_MAX)
			return false;
	return true;
}

static void take_page(struct balloon *b, uint64_t page)
{
	uint64_t *word = &b->pages.in[page / 64], bit = 1ull << page % 64;
	size_t block = page / BLOCK_PAGES;

	/* Named twice, it is still one page. */
	if (*word & bit)
		return;
	*word |= bit;
	b->inflated += PAGE;
	b->pages.waits[block] = true;
	b->pages.any_waits = b->pages.used = true;
	if (*word == UINT64_MAX && is_whole(b->pages.in + block * BLOCK_WORDS))
		(void)give_block(b, block);
}

static void return_page(struct balloon *b, uint64_t page)
{
	b->pages.in[page / 64] &= ~(1ull << page % 64);
}

/* Converts the guest's page frame number to a page of RAM; -EFAULT if it is none. */
static int page_of(const struct balloon *b, uint32_t pfn, uint64_t *out)
{
	const void *host = guest_ptr(b->mem, (gpa_t)pfn * PAGE, PAGE);
	uint64_t off = (uintptr_t)host - (uintptr_t)b->ram->host;

	/* Memory that is not RAM, such as a device's window, lies elsewhere. */
	if (!host || off >= b->ram->size)
		return -EFAULT;
	*out = off / PAGE;
	return 0;
}

/* Calls fn for each page that the chain names. */
static int each_page(struct balloon *b, void (*fn)(struct balloon *b, uint64_t page))
{
	size_t off = 0;

	if (b->chain.rd_len % sizeof(b->pfns[0]) != 0)
		return -EINVAL;
	while (off < b->chain.rd_len) {
		size_t got = chain_read(&b->chain, off, b->pfns, sizeof(b->pfns));

		for (size_t i = 0; i < got / sizeof(b->pfns[0]); i++) {
			uint64_t page;
			int r = page_of(b, le32toh(b->pfns[i]), &page);

			if (r < 0)
				return r;
			fn(b, page);
		}
		off += got;
	}
	return 0;
}

/* All pages are the guest's again. What was never touched is not touched now either. */
static void forget_pages(struct balloon_pages *p)
{
	if (p->used) {
		memset(p->in, 0, p->n_blocks * BLOCK_WORDS * sizeof(*p->in));
		memset(p->waits, 0, p->n_blocks * sizeof(*p->waits));
	}
	p->any_waits = p->used = false;
}

static int inflate_chain(struct balloon *b)
{
	int r = each_page(b, take_page);

	/*
	 * A driver that does not tell first may use them again before we know, so they
	 * go now or never. No more than the chain's are there.
	 */
	if (r == 0 && !virtio_has(&b->vdev, VIRTIO_BALLOON_F_MUST_TELL_HOST)) {
		settle(b, PFNS_MAX);
		forget_pages(&b->pages);
	}
	return r;
}

/*
 * 5.5.6.7: the contents of a reported page may become the guest's poison and
 * nothing else; what we give back reads as zeroes.
 */
static int report_chain(struct balloon *b)
{
	bool poisoned = virtio_has(&b->vdev, VIRTIO_BALLOON_F_PAGE_POISON) &&
			b->state.config.poison_val != 0;

	if (b->chain.n_rd > 0)
		return -EINVAL;
	for (unsigned int i = 0; i < b->chain.n_wr && !poisoned; i++) {
		const struct iovec *seg = &b->chain.seg[i];

		if (discard(b, seg->iov_base, seg->iov_len) < 0)
			return -EFAULT;
		b->reported += seg->iov_len;
	}
	return 0;
}

/*
 * Amounts of memory are the guest's claims and counts of its own: more than all of its RAM
 * is never true, and no sum of such values can wrap.
 */
static void stat_set(const struct balloon *b, struct balloon_stats *stats, uint16_t tag,
		     uint64_t value)
{
	const uint64_t bytes = min_u64(value, b->ram->size);

	switch (tag) {
	case VIRTIO_BALLOON_S_MEMFREE:
		stats->free = bytes;
		break;
	case VIRTIO_BALLOON_S_MEMTOT:
		stats->total = bytes;
		break;
	case VIRTIO_BALLOON_S_AVAIL:
		stats->available = bytes;
		break;
	case VIRTIO_BALLOON_S_CACHES:
		stats->caches = bytes;
		break;
	}
}

/* The buffer stays with us until we want to know again (5.5.6.3). */
static void stats_chain(struct balloon *b)
{
	struct balloon_stats stats = {0};
	struct virtio_balloon_stat entry;

	for (size_t i = 0; i < STATS_MAX; i++) {
		if (chain_read(&b->chain, i * sizeof(entry), &entry, sizeof(entry)) < sizeof(entry))
			break;
		stat_set(b, &stats, le16toh(entry.tag), le64toh(entry.val));
	}
	if (b->state.has_stats_buffer)
		virtq_push(&b->vdev.queues[Q_STATS], b->state.stats_head, 0);
	b->state.has_stats_buffer = true;
	b->state.stats_head = b->chain.head;
	b->state.stats = stats;
}

static bool is_stats_queue(const struct virtio_device *vdev, unsigned int q)
{
	return q == Q_STATS && virtio_has(vdev, VIRTIO_BALLOON_F_STATS_VQ);
}

static bool balloon_serve(struct virtio_device *vdev, unsigned int q)
{
	struct balloon *b = to_balloon(vdev);
	int r;

	if (is_stats_queue(vdev, q)) {
		stats_chain(b);
		b->stats_came = true;
		return true;
	}
	if (q == Q_INFLATE)
		r = inflate_chain(b);
	else if (q == Q_DEFLATE)
		/* A page that was given back is there again as soon as it is touched. */
		r = each_page(b, return_page);
	else
		r = report_chain(b);
	if (r == 0)
		virtq_push(&vdev->queues[q], b->chain.head, 0);
	else
		virtio_device_break(vdev, "its driver named pages it cannot give");
	return r == 0;
}

static void balloon_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	struct balloon *b = to_balloon(vdev);
	uint64_t reported = b->reported;

	b->stats_came = false;
	(void)virtio_device_serve(vdev, q, &b->chain, balloon_serve);
	if (vdev->broken)
		return;
	if (b->stats_came)
		tell(b, BALLOON_STATS);
	else if (b->reported != reported)
		tell(b, BALLOON_REPORTED);
}

static void balloon_activate(struct virtio_device *vdev)
{
	tell(to_balloon(vdev), BALLOON_STARTED);
}

static void balloon_reset(struct virtio_device *vdev)
{
	struct balloon *b = to_balloon(vdev);

	b->state = (struct balloon_state){0};
	forget_pages(&b->pages);
	tell(b, BALLOON_STOPPED);
}

static void balloon_config_written(struct virtio_device *vdev, size_t off, size_t len)
{
	struct balloon *b = to_balloon(vdev);

	/* The hint command lies between the two fields of the driver's; it is ours. */
	b->state.config.free_page_hint_cmd_id = 0;
	if (off < offsetof(struct virtio_balloon_config, actual) + sizeof(__le32) && len > 0)
		tell(b, BALLOON_RESIZED);
}

static int balloon_attach(struct virtio_device *vdev, struct device *dev, struct loop *loop)
{
	struct balloon *b = to_balloon(vdev);

	return b->obs ? b->obs->ops->attach(b->obs, b, dev, loop) : 0;
}

static void balloon_free(struct balloon *b, struct balloon_observer *obs)
{
	if (obs)
		obs->ops->destroy(obs);
	if (b) {
		free(b->pages.in);
		free(b->pages.waits);
	}
	free(b);
}

static void balloon_destroy(struct virtio_device *vdev)
{
	struct balloon *b = to_balloon(vdev);

	balloon_free(b, b->obs);
}

static const struct virtio_device_ops balloon_ops = {
	.name = "virtio-balloon",
	.type = VIRTIO_ID_BALLOON,
	.n_queues = N_QUEUES,
	/* Linux wants 32 entries for reporting, or it reports nothing. */
	.queue_max = {128, 128, 16, 64, 64},
	/*
	 * A report's buffers are ranges of RAM, whose contents nobody looks at; but to give them
	 * back takes as long as there is to free, and other CPUs of the guest's fill it again.
	 */
	.chain_max = {PFNS_MAX * sizeof(uint32_t), PFNS_MAX * sizeof(uint32_t), REPORT_MAX,
		      REPORT_MAX, REPORT_MAX},
	.features = 1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1ull << VIRTIO_BALLOON_F_STATS_VQ |
		    1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM | 1ull << VIRTIO_BALLOON_F_PAGE_POISON |
		    1ull << VIRTIO_BALLOON_F_REPORTING,
	.attach = balloon_attach,
	.activate = balloon_activate,
	.queue_kick = balloon_queue_kick,
	.reset = balloon_reset,
	.config_written = balloon_config_written,
	.destroy = balloon_destroy,
};

int virtio_balloon_new(const struct guest_mem *mem, const struct ram *ram,
		       struct balloon_observer *obs, struct virtio_device **out)
{
	struct balloon *b = calloc(1, sizeof(*b));

	assert(!obs || (obs->ops->attach && obs->ops->event && obs->ops->destroy));
	if (b) {
		b->pages.n_blocks = ram->size / PAGE / BLOCK_PAGES + 1;
		b->pages.in = calloc(b->pages.n_blocks * BLOCK_WORDS, sizeof(*b->pages.in));
		b->pages.waits = calloc(b->pages.n_blocks, sizeof(*b->pages.waits));
	}
	if (!b || !b->pages.in || !b->pages.waits) {
		balloon_free(b, obs);
		return -ENOMEM;
	}
	virtio_device_init(&b->vdev, &balloon_ops, &b->state.config, sizeof(b->state.config));
	b->vdev.config_writable_off = offsetof(struct virtio_balloon_config, actual);
	b->vdev.config_writable_len = sizeof(b->state.config) - b->vdev.config_writable_off;
	b->mem = mem;
	b->ram = ram;
	b->obs = obs;
	*out = &b->vdev;
	return 0;
}

void balloon_set_target(struct balloon *b, uint64_t bytes)
{
	uint32_t pages = (uint32_t)min_u64(min_u64(bytes, b->ram->size) / PAGE, UINT32_MAX);

	if (!b->vdev.active || b->vdev.broken || le32toh(b->state.config.num_pages) == pages)
		return;
	b->state.config.num_pages = htole32(pages);
	virtio_device_config_changed(&b->vdev);
}

uint64_t balloon_target(const struct balloon *b)
{
	return (uint64_t)le32toh(b->state.config.num_pages) * PAGE;
}

uint64_t balloon_size(const struct balloon *b)
{
	return min_u64((uint64_t)le32toh(b->state.config.actual) * PAGE, b->ram->size);
}

void balloon_settle(struct balloon *b)
{
	settle(b, SETTLE_RUNS);
}

bool balloon_ask_stats(struct balloon *b)
{
	if (!b->state.has_stats_buffer || b->vdev.broken)
		return false;
	b->state.has_stats_buffer = false;
	virtq_push(&b->vdev.queues[Q_STATS], b->state.stats_head, 0);
	virtio_device_flush(&b->vdev, Q_STATS);
	return true;
}

const struct balloon_stats *balloon_stats(const struct balloon *b)
{
	return &b->state.stats;
}

uint64_t balloon_reported(const struct balloon *b)
{
	return b->reported;
}

uint64_t balloon_inflated(const struct balloon *b)
{
	return b->inflated;
}
