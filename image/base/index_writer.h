/* SPDX-License-Identifier: MIT */
/* image/base/index_writer.h - makes an index from entries added in any order. */
#ifndef IMAGE_BASE_INDEX_WRITER_H
#define IMAGE_BASE_INDEX_WRITER_H

#include "image/index.h"

struct index_writer;

int index_writer_new(struct index_writer **out) MUST_CHECK;
void index_writer_free(struct index_writer *w); /* NULL is fine */

/*
 * Adds a name to directory `dir` (a number from here, INDEX_ROOT is there from
 * the start). Of `e`, name, parent and what is found elsewhere are filled in:
 * `text` is a link's target, or a pristine file's `len` bytes. *out may be NULL.
 * -ENAMETOOLONG, -ENOMEM, -EFBIG. A name twice: index_writer_finish() says -EEXIST.
 */
int index_writer_add(struct index_writer *w, uint32_t dir, const char *name,
		     const struct index_entry *e, const void *text, size_t len,
		     uint32_t *out) MUST_CHECK;
/* What was added by that name to a directory; NULL: nothing. Valid until the next is added. */
const struct index_entry *index_writer_find(const struct index_writer *w, uint32_t dir,
					    const char *name);

/* The whole file in memory, malloc'ed; stamp, probe_ino and built are taken from `head`. */
int index_writer_finish(struct index_writer *w, const struct index_header *head, uint8_t **out,
			size_t *len) MUST_CHECK;

#endif
