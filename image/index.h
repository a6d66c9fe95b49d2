/* SPDX-License-Identifier: MIT */
/* image/index.h - the base image's index: a tree of names and where each file's bytes are. */
#ifndef IMAGE_INDEX_H
#define IMAGE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

/*
 * DOC: the format (docs/base-image.md)
 *
 * One file, in the host's byte order, mapped read-only by every sandbox:
 *
 *   struct index_header
 *   struct index_entry[n_entries]   entry 0 is the root; a directory's entries lie
 *                                   together, sorted by name, behind the directory itself
 *   strings                         names and link texts, without terminators
 *   blob                            the bytes of pristine files
 *
 * The header holds a checksum of all of it. index_open() checks that and every
 * bound once, so that nothing below has to look twice; a file that was checked and
 * has not changed since need not be (image/base/base.h). This file needs nothing
 * but common/util.h: the file server reads indexes too.
 */

#define INDEX_MAGIC "SCINDEX"

enum {
	INDEX_VERSION = 1,
	INDEX_STAMP = 32, /* bytes; says what the index was made from, see image/base/base.h */
	INDEX_ROOT = 0,
	INDEX_NAME_MAX = 255,
	INDEX_TARGET_MAX = 4095,
};

/* A file larger than this is not taken for an index. */
#define INDEX_MAX_SIZE (1ull << 30)

enum index_kind {
	INDEX_DIR = 1,
	INDEX_LINK,
	INDEX_SHARED, /* a regular file; its bytes are the host's */
	INDEX_PRISTINE, /* a regular file; its bytes are in the blob */
	INDEX_LEFT_OUT, /* not in the image: noted for people, never found by a name */
};

/* How a pristine file came about, or why a file was left out (index_entry.how). */
enum index_how {
	INDEX_AS_FOUND, /* the host has it so */
	/* The host's was changed; instead: */
	INDEX_FROM_PACKAGE, /* the package's original */
	INDEX_FROM_MASTER, /* another file of the host that it is made from */
	INDEX_MADE, /* made for the image, whatever the host has */

	INDEX_LEFT_UNOWNED, /* no package owns it and no rule names it */
	INDEX_LEFT_DENIED, /* a rule: number `rule` */
	INDEX_LEFT_UNREADABLE, /* not readable by everyone */
	INDEX_LEFT_SPECIAL, /* neither file, directory nor link */
	INDEX_LEFT_MOUNT, /* something is mounted there */
	INDEX_LEFT_CHANGED, /* changed, and the original is not to be had */
	INDEX_LEFT_SECRET, /* it holds what looks like a key or a password */
	INDEX_HOW_END,
};

struct index_header {
	char magic[8];
	uint32_t version, header_size;
	uint64_t checksum; /* of the file with this field 0 */
	uint64_t file_size;
	uint64_t entries_off, n_entries;
	uint64_t strings_off, strings_len;
	uint64_t blob_off, blob_len;
	uint8_t stamp[INDEX_STAMP];
	uint64_t
		probe_ino; /* inode number of a file of the package database, see index_same_file() */
	int64_t built; /* seconds since the epoch */
};

struct index_entry {
	uint64_t size; /* files: bytes; directories and links: index_pair() of `first`, `count` */
	uint64_t where; /* shared: inode; pristine: offset in the blob; left out: rule number + 1 */
	int64_t mtime; /* ns since the epoch */
	uint32_t name, parent;
	uint32_t uid, gid;
	uint16_t mode; /* with its type */
	uint8_t name_len;
	uint8_t kind; /* enum index_kind */
	uint8_t how; /* enum index_how */
	uint8_t zero[3];
};

struct index {
	const uint8_t *map;
	size_t len;
	bool mapped; /* index_free() unmaps */
	bool use_inodes;
	const struct index_header *head;
	const struct index_entry *entries;
	const char *strings;
	const uint8_t *blob;
	uint32_t n;
};

/* Two halves of index_entry.size: first child and number, or offset and length of the target. */
static inline uint64_t index_pair(uint32_t first, uint32_t count)
{
	return (uint64_t)count << 32 | first;
}

static inline uint32_t index_first(const struct index_entry *e)
{
	return (uint32_t)e->size;
}

static inline uint32_t index_count(const struct index_entry *e)
{
	return (uint32_t)(e->size >> 32);
}

/* True for what a guest can find. */
static inline bool index_visible(const struct index_entry *e)
{
	return e->kind != INDEX_LEFT_OUT;
}

/* Fast and good at noticing damage, useless against somebody who means it. */
uint64_t index_checksum(const void *data, size_t len);

/*
 * The index in `fd`, mapped; the caller keeps fd. -EBADMSG: not an index of
 * this version, damaged or cut off; -errno of reading it. With `known_sound` only
 * the header is looked at: the caller knows that this very file was checked.
 */
int index_open(int fd, bool known_sound, struct index **out) MUST_CHECK;
/* The same for borrowed bytes, without the checksum: bounds only. */
int index_from_memory(const void *data, size_t len, struct index **out) MUST_CHECK;
void index_free(struct index *ix); /* NULL is fine */

/* What the bounds do not show: names, link texts, order. -EBADMSG. For `verify`. */
int index_check_names(const struct index *ix) MUST_CHECK;

/* The visible entry of that name; -ENOENT. `dir` is a directory's number. */
int index_lookup(const struct index *ix, uint32_t dir, const char *name, size_t len,
		 uint32_t *out) MUST_CHECK;
/* The same for a path from the root, "usr/bin/env"; links are not followed. -ENOENT. */
int index_lookup_path(const struct index *ix, const char *path, uint32_t *out) MUST_CHECK;
/*
 * The entry's path without a leading slash, and the number of its topmost
 * directory (1: the entry is one). -ENAMETOOLONG. `buf` has `size` bytes.
 */
int index_path(const struct index *ix, uint32_t entry, char *buf, size_t size,
	       uint32_t *top) MUST_CHECK;

/*
 * True if a file with these marks is the shared one the entry stands for. The
 * inode number counts only where `use_inodes` is set: a copied disk or a file
 * system that gives its own numbers (9p) has others than when the index was made.
 */
bool index_same_file(const struct index *ix, const struct index_entry *e, uint64_t ino,
		     uint64_t size, int64_t mtime);

#endif
