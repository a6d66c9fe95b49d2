/* SPDX-License-Identifier: MIT */
#include "image/index.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static inline uint64_t mix(uint64_t lane, uint64_t word)
{
	lane = (lane ^ word) * 0xff51afd7ed558ccdu;
	return lane ^ lane >> 29;
}

uint64_t index_checksum(const void *data, size_t len)
{
	/* Four lanes, each in a register, so that the multiplications overlap. */
	uint64_t a = len, b = 0x9e3779b97f4a7c15u, c = 0xc2b2ae3d27d4eb4fu, d = 0x165667b19e3779f9u;
	const uint8_t *p = data;
	uint64_t word[4];

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(word, p, sizeof(word));
		a = mix(a, word[0]);
		b = mix(b, word[1]);
		c = mix(c, word[2]);
		d = mix(d, word[3]);
	}
	memset(word, 0, sizeof(word));
	if (len)
		memcpy(word, p, len);
	a = mix(mix(a, word[0]), mix(b, word[1]));
	a = mix(a, mix(mix(c, word[2]), mix(d, word[3])));
	return a ^ a >> 33;
}

static bool inside(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static int check_header(const struct index_header *h, size_t len)
{
	if (len < sizeof(*h) || memcmp(h->magic, INDEX_MAGIC, sizeof(h->magic)) != 0 ||
	    h->version != INDEX_VERSION || h->header_size != sizeof(*h) || h->file_size != len)
		return -EBADMSG;
	if (h->n_entries == 0 || h->n_entries > len / sizeof(struct index_entry) ||
	    h->entries_off % _Alignof(struct index_entry) != 0 ||
	    !inside(h->entries_off, h->n_entries * sizeof(struct index_entry), len) ||
	    !inside(h->strings_off, h->strings_len, len) || !inside(h->blob_off, h->blob_len, len))
		return -EBADMSG;
	return 0;
}

static bool entry_is_sound(const struct index *ix, uint32_t i)
{
	const struct index_entry *e = &ix->entries[i], *parent;
	uint32_t type = e->mode & S_IFMT;

	if (!inside(e->name, e->name_len, ix->head->strings_len) || e->how >= INDEX_HOW_END)
		return false;
	/* Parents stand in front of their children: no cycle, and paths end. */
	if (i != INDEX_ROOT) {
		if (e->parent >= i || e->name_len == 0)
			return false;
		parent = &ix->entries[e->parent];
		if (parent->kind != INDEX_DIR || i < index_first(parent) ||
		    i - index_first(parent) >= index_count(parent))
			return false;
	}
	switch (e->kind) {
	case INDEX_DIR:
		return type == S_IFDIR && inside(index_first(e), index_count(e), ix->n) &&
		       (index_count(e) == 0 || index_first(e) > i);
	case INDEX_LINK:
		return type == S_IFLNK && i != INDEX_ROOT && index_count(e) > 0 &&
		       index_count(e) <= INDEX_TARGET_MAX &&
		       inside(index_first(e), index_count(e), ix->head->strings_len);
	case INDEX_SHARED:
		return type == S_IFREG && i != INDEX_ROOT && e->size <= INT64_MAX;
	case INDEX_PRISTINE:
		return type == S_IFREG && i != INDEX_ROOT &&
		       inside(e->where, e->size, ix->head->blob_len);
	case INDEX_LEFT_OUT:
		return i != INDEX_ROOT;
	default:
		return false;
	}
}

static int from_memory(const void *data, size_t len, bool check_entries, struct index **out)
{
	const struct index_header *h = data;
	struct index *ix;

	if (check_header(h, len) < 0)
		return -EBADMSG;
	ix = calloc(1, sizeof(*ix));
	if (!ix)
		return -ENOMEM;
	ix->map = data;
	ix->len = len;
	ix->head = h;
	ix->entries = (const void *)(ix->map + h->entries_off);
	ix->strings = (const char *)(ix->map + h->strings_off);
	ix->blob = ix->map + h->blob_off;
	ix->n = (uint32_t)h->n_entries;
	ix->use_inodes = true;
	for (uint32_t i = 0; check_entries && i < ix->n; i++) {
		/* Which also asks for a root, as nothing else may be entry 0. */
		if (!entry_is_sound(ix, i)) {
			free(ix);
			return -EBADMSG;
		}
	}
	*out = ix;
	return 0;
}

int index_from_memory(const void *data, size_t len, struct index **out)
{
	return from_memory(data, len, true, out);
}

/* The header's checksum field is left out of the sum by taking it to be 0. */
static bool checksum_is_right(const uint8_t *map, size_t len)
{
	struct index_header h;
	uint64_t sum;

	memcpy(&h, map, sizeof(h));
	sum = h.checksum;
	h.checksum = 0;
	return sum ==
	       (index_checksum(&h, sizeof(h)) ^ index_checksum(map + sizeof(h), len - sizeof(h)));
}

int index_open(int fd, bool known_sound, struct index **out)
{
	struct stat st;
	size_t len;
	void *map;
	int r = -EBADMSG;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct index_header) ||
	    (uint64_t)st.st_size > INDEX_MAX_SIZE)
		return -EBADMSG;
	len = (size_t)st.st_size;
	map = mmap(NULL, len, PROT_READ, MAP_SHARED | (known_sound ? 0 : MAP_POPULATE), fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	if (known_sound || checksum_is_right(map, len))
		r = from_memory(map, len, !known_sound, out);
	if (r < 0) {
		munmap(map, len);
		return r;
	}
	/* A sandbox looks at a few hundred entries; the rest need not count as its memory. */
	if (!known_sound)
		(void)madvise(map, len, MADV_DONTNEED);
	(*out)->mapped = true;
	return 0;
}

void index_free(struct index *ix)
{
	if (!ix)
		return;
	if (ix->mapped)
		munmap((void *)(uintptr_t)ix->map, ix->len);
	free(ix);
}

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int r = memcmp(a, b, min_size(a_len, b_len));

	return r ? r : (a_len > b_len) - (a_len < b_len);
}

static bool is_name(const char *s, size_t len)
{
	if (memchr(s, '/', len) || memchr(s, '\0', len))
		return false;
	return !(len == 1 && s[0] == '.') && !(len == 2 && s[0] == '.' && s[1] == '.');
}

int index_check_names(const struct index *ix)
{
	for (uint32_t i = 1; i < ix->n; i++) {
		const struct index_entry *e = &ix->entries[i], *before = e - 1;
		const char *name = ix->strings + e->name;

		if (!is_name(name, e->name_len))
			return -EBADMSG;
		if (e->kind == INDEX_LINK &&
		    memchr(ix->strings + index_first(e), '\0', index_count(e)))
			return -EBADMSG;
		if (i > 1 && before->parent == e->parent &&
		    compare(ix->strings + before->name, before->name_len, name, e->name_len) >= 0)
			return -EBADMSG;
	}
	return 0;
}

int index_lookup(const struct index *ix, uint32_t dir, const char *name, size_t len, uint32_t *out)
{
	const struct index_entry *d = &ix->entries[dir];
	uint32_t low = index_first(d), high = low + index_count(d);

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct index_entry *e = &ix->entries[mid];
		int r = compare(name, len, ix->strings + e->name, e->name_len);

		if (r == 0) {
			if (!index_visible(e))
				return -ENOENT;
			*out = mid;
			return 0;
		}
		if (r < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

int index_lookup_path(const struct index *ix, const char *path, uint32_t *out)
{
	uint32_t at = INDEX_ROOT;

	while (*path) {
		size_t n = strcspn(path, "/");

		if (ix->entries[at].kind != INDEX_DIR || index_lookup(ix, at, path, n, &at) < 0)
			return -ENOENT;
		path += n + (path[n] == '/');
	}
	*out = at;
	return 0;
}

int index_path(const struct index *ix, uint32_t entry, char *buf, size_t size, uint32_t *top)
{
	size_t at = size;

	*top = entry;
	while (entry != INDEX_ROOT) {
		const struct index_entry *e = &ix->entries[entry];

		if (at < (size_t)e->name_len + 1)
			return -ENAMETOOLONG;
		at--;
		buf[at] = at == size - 1 ? '\0' : '/';
		at -= e->name_len;
		memcpy(buf + at, ix->strings + e->name, e->name_len);
		*top = entry;
		entry = e->parent;
	}
	if (at == size) {
		if (size == 0)
			return -ENAMETOOLONG;
		buf[--at] = '\0';
	}
	memmove(buf, buf + at, size - at);
	return 0;
}

bool index_same_file(const struct index *ix, const struct index_entry *e, uint64_t ino,
		     uint64_t size, int64_t mtime)
{
	return e->size == size && e->mtime == mtime && (!ix->use_inodes || e->where == ino);
}
