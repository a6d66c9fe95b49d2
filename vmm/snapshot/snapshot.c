/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/snapshot.h"

#include <endian.h>
#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	FORMAT = 1,
	PAGE = 4096,
	ALIGN = 2 << 20,
	/* Extents that lie no further apart are one: a mapping costs more than pages of zeroes. */
	GAP = 64 << 10,
	RUN_MAX = 1 << 20, /* bytes of one write */
};

static const char magic[8] = {'S', 'C', 'S', 'N', 'A', 'P', '\r', '\n'};

struct header {
	char magic[8];
	uint32_t format;
	uint32_t n_extents;
	uint64_t state_len;
	uint64_t ram_size, ram_off;
	int64_t created;
	uint8_t key[SNAPSHOT_KEY];
	uint8_t sum[SHA256_DIGEST_SIZE]; /* with this field zero */
	uint8_t zero[PAGE - 112];
};

_Static_assert(sizeof(struct header) == PAGE, "one page");

static int write_at(int fd, const void *data, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		const ssize_t n =
			pwrite(fd, (const uint8_t *)data + done, len - done, (off_t)(at + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static int read_at(int fd, void *data, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		const ssize_t n = pread(fd, (uint8_t *)data + done, len - done, (off_t)(at + done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

static void sum_of(struct header h, const void *state, const struct ram_extent *extents,
		   uint8_t out[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;

	memset(h.sum, 0, sizeof(h.sum));
	sha256_init(&ctx);
	sha256_update(&ctx, sizeof(h), (const uint8_t *)&h);
	sha256_update(&ctx, le64toh(h.state_len), state);
	sha256_update(&ctx, le32toh(h.n_extents) * sizeof(*extents), (const uint8_t *)extents);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, out);
}

/* Writing */

struct writer {
	int fd;
	const uint8_t *ram;
	uint64_t ram_off;
	struct ram_extent *extents;
	uint32_t n;
};

static bool is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

static int add_extent(struct writer *w, uint64_t offset, uint64_t len)
{
	struct ram_extent *last = w->n > 0 ? &w->extents[w->n - 1] : NULL;

	if (last && offset - (last->offset + last->len) <= GAP) {
		last->len = offset + len - last->offset;
		return 0;
	}
	if (w->n == SNAPSHOT_MAX_EXTENTS)
		return -E2BIG;
	w->extents[w->n++] = (struct ram_extent){offset, len};
	return 0;
}

/* Writes the pages of [at, end) that are not zero. */
static int write_range(struct writer *w, uint64_t at, uint64_t end)
{
	while (at < end) {
		uint64_t run = at;
		int r;

		while (run < end && run - at < RUN_MAX && !is_zero(w->ram + run))
			run += PAGE;
		if (run > at) {
			r = write_at(w->fd, w->ram + at, run - at, w->ram_off + at);
			if (r == 0)
				r = add_extent(w, at, run - at);
			if (r < 0)
				return r;
		}
		at = run < end && run - at < RUN_MAX ? run + PAGE : run;
	}
	return 0;
}

/* Only what the RAM's file has: looking at the rest would take memory for it. */
static int write_ram(struct writer *w, uint64_t size, int ram_fd)
{
	off_t at = 0;

	while ((uint64_t)at < size) {
		const off_t data = lseek(ram_fd, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(ram_fd, data, SEEK_HOLE);
		int r;

		if (data < 0 && errno == ENXIO)
			return 0;
		if (hole < 0)
			return -errno;
		hole = (off_t)min_u64((uint64_t)hole, size);
		r = write_range(w, (uint64_t)data & ~(uint64_t)(PAGE - 1),
				min_u64(align_up((uint64_t)hole, PAGE), size));
		if (r < 0)
			return r;
		at = hole;
	}
	return 0;
}

static int write_front(struct writer *w, struct header *h, const void *state, size_t state_len)
{
	int r;

	for (uint32_t i = 0; i < w->n; i++) {
		w->extents[i].offset = htole64(w->extents[i].offset);
		w->extents[i].len = htole64(w->extents[i].len);
	}
	h->n_extents = htole32(w->n);
	sum_of(*h, state, w->extents, h->sum);
	r = write_at(w->fd, h, sizeof(*h), 0);
	if (r == 0)
		r = write_at(w->fd, state, state_len, sizeof(*h));
	return r < 0 ? r
		     : write_at(w->fd, w->extents, w->n * sizeof(w->extents[0]),
				sizeof(*h) + state_len);
}

int snapshot_write(int fd, const uint8_t key[SNAPSHOT_KEY], const uint8_t *ram, uint64_t ram_size,
		   int ram_fd, const void *state, size_t state_len)
{
	AUTO_FREE struct header *h = calloc(1, sizeof(*h));
	AUTO_FREE struct ram_extent *extents = calloc(SNAPSHOT_MAX_EXTENTS, sizeof(*extents));
	struct writer w = {.fd = fd, .ram = ram, .extents = extents};
	int r;

	if (!h || !extents)
		return -ENOMEM;
	if (state_len > SNAPSHOT_MAX_STATE)
		return -E2BIG;
	w.ram_off =
		align_up(sizeof(*h) + state_len + SNAPSHOT_MAX_EXTENTS * sizeof(*extents), ALIGN);
	memcpy(h->magic, magic, sizeof(magic));
	h->format = htole32(FORMAT);
	h->state_len = htole64(state_len);
	h->ram_size = htole64(ram_size);
	h->ram_off = htole64(w.ram_off);
	h->created = (int64_t)htole64((uint64_t)time(NULL));
	memcpy(h->key, key, SNAPSHOT_KEY);
	if (ftruncate(fd, (off_t)(w.ram_off + ram_size)) < 0)
		return -errno;
	r = write_ram(&w, ram_size, ram_fd);
	return r < 0 ? r : write_front(&w, h, state, state_len);
}

/* Reading */

static int check_header(const struct header *h, const uint8_t key[SNAPSHOT_KEY], uint64_t ram_size,
			uint64_t file_size)
{
	const uint64_t off = le64toh(h->ram_off), state_len = le64toh(h->state_len);
	const uint64_t extents = (uint64_t)le32toh(h->n_extents) * sizeof(struct ram_extent);

	if (memcmp(h->magic, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	if (le32toh(h->format) != FORMAT || memcmp(h->key, key, SNAPSHOT_KEY) != 0 ||
	    le64toh(h->ram_size) != ram_size)
		return -ESTALE;
	if (state_len > SNAPSHOT_MAX_STATE || le32toh(h->n_extents) > SNAPSHOT_MAX_EXTENTS ||
	    off % ALIGN != 0 || off < sizeof(*h) + state_len + extents || off > file_size ||
	    file_size - off != ram_size)
		return -EBADMSG;
	return 0;
}

/* In the host's byte order, and whether they are what mapping them takes for granted. */
static int check_extents(struct ram_extent *e, uint32_t n, uint64_t ram_size)
{
	uint64_t end = 0;

	for (uint32_t i = 0; i < n; i++) {
		e[i].offset = le64toh(e[i].offset);
		e[i].len = le64toh(e[i].len);
		if (e[i].offset < end || e[i].offset > ram_size || e[i].len == 0 ||
		    e[i].len > ram_size - e[i].offset || e[i].offset % PAGE || e[i].len % PAGE)
			return -EBADMSG;
		end = e[i].offset + e[i].len;
	}
	return 0;
}

/* A fuzzer would never get past it: what is behind it has to hold without. */
static bool sum_counts(const uint8_t *found, const uint8_t *wanted)
{
#ifdef SANDCASTLE_FUZZ
	(void)found;
	(void)wanted;
	return true;
#else
	return memcmp(found, wanted, SHA256_DIGEST_SIZE) == 0;
#endif
}

/* State and extents, whose lengths have been checked. */
static int read_parts(int fd, const struct header *h, struct snapshot *s)
{
	const uint32_t n = le32toh(h->n_extents);
	uint8_t sum[SHA256_DIGEST_SIZE];
	int r;

	s->state_len = le64toh(h->state_len);
	s->state = malloc(s->state_len + 1);
	s->extents = calloc(n + 1, sizeof(s->extents[0]));
	if (!s->state || !s->extents)
		return -ENOMEM;
	r = read_at(fd, s->state, s->state_len, sizeof(*h));
	if (r == 0)
		r = read_at(fd, s->extents, n * sizeof(s->extents[0]), sizeof(*h) + s->state_len);
	if (r < 0)
		return r;
	sum_of(*h, s->state, s->extents, sum);
	if (!sum_counts(sum, h->sum))
		return -EBADMSG;
	return check_extents(s->extents, n, le64toh(h->ram_size));
}

int snapshot_open(int fd, const uint8_t key[SNAPSHOT_KEY], uint64_t ram_size, struct snapshot *out)
{
	AUTO_FREE struct header *h = malloc(sizeof(*h));
	struct snapshot s = {.state = NULL};
	struct stat st;
	int r;

	if (!h)
		return -ENOMEM;
	if (fstat(fd, &st) < 0)
		return -errno;
	r = read_at(fd, h, sizeof(*h), 0);
	if (r == 0)
		r = check_header(h, key, ram_size, (uint64_t)st.st_size);
	if (r == 0)
		r = read_parts(fd, h, &s);
	if (r < 0) {
		snapshot_fini(&s);
		return r;
	}
	s.created = (int64_t)le64toh((uint64_t)h->created);
	s.ram = (struct ram_template){
		.fd = fd,
		.offset = le64toh(h->ram_off),
		.extents = s.extents,
		.n_extents = le32toh(h->n_extents),
	};
	*out = s;
	return 0;
}

void snapshot_fini(struct snapshot *s)
{
	free(s->state);
	free(s->extents);
	*s = (struct snapshot){.state = NULL};
}
