/* SPDX-License-Identifier: MIT */
/* Bytes as an index: whatever passes the bounds can be looked at, name by name and path by path. */
#include <stdlib.h>
#include <string.h>

#include "image/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void look(const struct index *ix, uint32_t i)
{
	const struct index_entry *e = &ix->entries[i];
	char path[300];
	uint32_t top, found;

	if (index_path(ix, i, path, sizeof(path), &top) == 0)
		(void)!index_lookup_path(ix, path, &found);
	if (e->kind == INDEX_LINK)
		sink = (uint8_t)ix->strings[index_first(e) + index_count(e) - 1];
	if (e->kind == INDEX_PRISTINE && e->size)
		sink = ix->blob[e->where + e->size - 1];
	if (e->kind == INDEX_DIR)
		(void)!index_lookup(ix, i, "usr", 3, &found);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Aligned, and of this version, so that the interesting part is reached. */
	uint8_t *copy = malloc(size + 1);
	struct index_header h;
	struct index *ix = NULL;

	if (!copy || size < sizeof(h)) {
		free(copy);
		return 0;
	}
	memcpy(copy, data, size);
	memcpy(&h, copy, sizeof(h));
	memcpy(h.magic, INDEX_MAGIC, sizeof(h.magic));
	h.version = INDEX_VERSION;
	h.header_size = sizeof(h);
	h.file_size = size;
	memcpy(copy, &h, sizeof(h));
	if (index_from_memory(copy, size, &ix) == 0) {
		(void)!index_check_names(ix);
		for (uint32_t i = 0; i < ix->n && i < 1000; i++)
			look(ix, i);
		index_free(ix);
	}
	free(copy);
	return 0;
}
