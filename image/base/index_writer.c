/* SPDX-License-Identifier: MIT */
#include "image/base/index_writer.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"

enum { NAMES_HASH = 1 << 16 };

/* An entry and, while it grows, its place among its directory's children. */
struct node {
	struct index_entry e;
	uint32_t child, next; /* node numbers; 0 ends */
};

struct index_writer {
	struct buffer nodes; /* struct node[] */
	struct buffer strings, blob;
	uint32_t n;
	/* Where the last name of that hash stands in strings, + 1: most names occur more than once. */
	uint32_t *names;
};

static struct node *node_at(const struct index_writer *w, uint32_t i)
{
	return (struct node *)(void *)w->nodes.data + i;
}

int index_writer_new(struct index_writer **out)
{
	struct node root = {.e = {.kind = INDEX_DIR, .mode = S_IFDIR | 0755}};
	struct index_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->names = calloc(NAMES_HASH, sizeof(*w->names));
	if (!w || !w->names || buffer_add(&w->nodes, &root, sizeof(root)) < 0) {
		index_writer_free(w);
		return -ENOMEM;
	}
	w->n = 1;
	*out = w;
	return 0;
}

void index_writer_free(struct index_writer *w)
{
	if (!w)
		return;
	free(w->nodes.data);
	free(w->strings.data);
	free(w->blob.data);
	free(w->names);
	free(w);
}

static int add_string(struct index_writer *w, const char *s, size_t len, uint32_t *out)
{
	uint64_t h = index_checksum(s, len);
	uint32_t *slot = &w->names[h % NAMES_HASH];
	int r;

	if (*slot && *slot - 1 + len <= w->strings.len &&
	    memcmp(w->strings.data + *slot - 1, s, len) == 0) {
		*out = *slot - 1;
		return 0;
	}
	if (w->strings.len > UINT32_MAX - 1 - len)
		return -EFBIG;
	*out = (uint32_t)w->strings.len;
	r = buffer_add(&w->strings, s, len);
	if (r == 0)
		*slot = *out + 1;
	return r;
}

int index_writer_add(struct index_writer *w, uint32_t dir, const char *name,
		     const struct index_entry *e, const void *text, size_t len, uint32_t *out)
{
	struct node node = {.e = *e}, *parent;
	size_t name_len = strlen(name);
	int r;

	if (name_len == 0 || name_len > INDEX_NAME_MAX)
		return -ENAMETOOLONG;
	if (w->n == UINT32_MAX / sizeof(node))
		return -EFBIG;
	node.e.parent = dir;
	node.e.name_len = (uint8_t)name_len;
	r = add_string(w, name, name_len, &node.e.name);
	if (r == 0 && e->kind == INDEX_LINK) {
		uint32_t at;

		r = len == 0 || len > INDEX_TARGET_MAX ? -ENAMETOOLONG
						       : add_string(w, text, len, &at);
		if (r == 0)
			node.e.size = index_pair(at, (uint32_t)len);
	} else if (r == 0 && e->kind == INDEX_PRISTINE) {
		node.e.size = len;
		node.e.where = w->blob.len;
		r = buffer_add(&w->blob, text, len);
	} else if (r == 0 && e->kind == INDEX_DIR) {
		node.e.size = 0;
	}
	if (r == 0)
		r = buffer_reserve(&w->nodes, sizeof(node));
	if (r < 0)
		return r;
	parent = node_at(w, dir);
	node.next = parent->child;
	parent->child = w->n;
	(void)buffer_add(&w->nodes, &node, sizeof(node));
	if (out)
		*out = w->n;
	w->n++;
	return 0;
}

const struct index_entry *index_writer_find(const struct index_writer *w, uint32_t dir,
					    const char *name)
{
	const size_t len = strlen(name);
	const uint32_t slot = w->names[index_checksum(name, len) % NAMES_HASH];
	/* Mostly its text is kept once, and where that is says all. */
	bool once = slot && slot - 1 + len <= w->strings.len &&
		    memcmp(w->strings.data + slot - 1, name, len) == 0;

	for (uint32_t i = node_at(w, dir)->child; i; i = node_at(w, i)->next) {
		const struct index_entry *e = &node_at(w, i)->e;

		if (e->name_len == len && w->strings.data[e->name] == name[0] &&
		    ((once && e->name == slot - 1) ||
		     memcmp(w->strings.data + e->name, name, len) == 0))
			return e;
	}
	return NULL;
}

static int compare_nodes(const void *a, const void *b, void *writer)
{
	const uint32_t *x = a, *y = b;
	const struct index_writer *w = writer;
	const struct index_entry *ex = &node_at(w, *x)->e, *ey = &node_at(w, *y)->e;
	const char *strings = w->strings.data;
	int r = memcmp(strings + ex->name, strings + ey->name,
		       min_size(ex->name_len, ey->name_len));

	return r ? r : (ex->name_len > ey->name_len) - (ex->name_len < ey->name_len);
}

/* 1: they are sorted; 0: they are not; -EEXIST: two neighbours have one name. */
static int check_order(struct index_writer *w, const uint32_t *order, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		int r = compare_nodes(&order[i - 1], &order[i], w);

		if (r >= 0)
			return r == 0 ? -EEXIST : 0;
	}
	return 1;
}

/* Appends the children of order[at], sorted, to order; *n is its length. */
static int place_children(struct index_writer *w, uint32_t *order, uint32_t at, uint32_t *n)
{
	uint32_t *first = order + *n, count = 0;
	int r;

	for (uint32_t c = node_at(w, order[at])->child; c; c = node_at(w, c)->next)
		count++;
	*n += count;
	/* The last that was added comes first: this is the order in which they were. */
	for (uint32_t c = node_at(w, order[at])->child, i = count; c; c = node_at(w, c)->next)
		first[--i] = c;
	/* Those taken over from an index are sorted. */
	r = check_order(w, first, count);
	if (r == 0) {
		qsort_r(first, count, sizeof(*first), compare_nodes, w);
		r = check_order(w, first, count);
	}
	return r < 0 ? r : 0;
}

static int place_all(struct index_writer *w, uint32_t *order, struct index_entry *out)
{
	uint32_t n = 1;

	order[0] = INDEX_ROOT;
	for (uint32_t i = 0; i < w->n; i++) {
		struct node *node = node_at(w, order[i]);
		uint32_t first = n;
		int r = place_children(w, order, i, &n);

		if (r < 0)
			return r;
		/* Its own parent was set when the directory's turn was. */
		node->e.parent = out[i].parent;
		out[i] = node->e;
		if (out[i].kind == INDEX_DIR)
			out[i].size = index_pair(n > first ? first : 0, n - first);
		for (uint32_t c = first; c < n; c++)
			out[c].parent = i;
	}
	return 0;
}

int index_writer_finish(struct index_writer *w, const struct index_header *head, uint8_t **out,
			size_t *len)
{
	AUTO_FREE uint32_t *order = calloc(w->n, sizeof(*order));
	struct index_header h = {
		.magic = INDEX_MAGIC,
		.version = INDEX_VERSION,
		.header_size = sizeof(h),
		.entries_off = align_up(sizeof(h), 16),
		.n_entries = w->n,
		.strings_len = w->strings.len,
		.blob_len = w->blob.len,
		.probe_ino = head->probe_ino,
		.built = head->built,
	};
	uint8_t *file;
	int r;

	memcpy(h.stamp, head->stamp, sizeof(h.stamp));
	h.strings_off = h.entries_off + h.n_entries * sizeof(struct index_entry);
	h.blob_off = h.strings_off + h.strings_len;
	h.file_size = h.blob_off + h.blob_len;
	file = h.file_size <= INDEX_MAX_SIZE ? calloc(1, h.file_size) : NULL;
	if (!file || !order) {
		free(file);
		return h.file_size <= INDEX_MAX_SIZE ? -ENOMEM : -EFBIG;
	}
	r = place_all(w, order, (void *)(file + h.entries_off));
	if (r < 0) {
		free(file);
		return r;
	}
	if (w->strings.len)
		memcpy(file + h.strings_off, w->strings.data, w->strings.len);
	if (w->blob.len)
		memcpy(file + h.blob_off, w->blob.data, w->blob.len);
	memcpy(file, &h, sizeof(h));
	h.checksum = index_checksum(&h, sizeof(h)) ^
		     index_checksum(file + sizeof(h), h.file_size - sizeof(h));
	memcpy(file, &h, sizeof(h));
	*out = file;
	*len = h.file_size;
	return 0;
}
