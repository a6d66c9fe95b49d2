/* SPDX-License-Identifier: MIT */
/* devices/fs/indexed.h - exports whose names and attributes come from an index (image/index.h). */
#ifndef DEVICES_FS_INDEXED_H
#define DEVICES_FS_INDEXED_H

#include "devices/fs/fs_priv.h"

/*
 * DOC: an export behind an index
 *
 * A node of it (FS_INDEXED) is an entry of the index; node->ino is the entry's
 * number + FS_INDEXED_INO. Names, attributes, link texts and listings are
 * answered from the index, without a system call. Its server is frozen: the guest
 * opens files without a word. A pristine file's bytes are the index's. A shared
 * file is opened when the guest first reads it, below the directories at the top of
 * the tree that were opened with the export: by its path, without following a link
 * and without crossing a mount. It is the file only if the index says so
 * (index_same_file()) and everyone may still read it and reach it. Otherwise the host
 * changed it, and the guest gets ESTALE: never a mixture of two versions. What the window
 * shows is looked at again as well (fs_dax_look()). It stays open, so that a guest
 * goes on reading what the host has put another in place of, until descriptors run
 * short or the guest's kernel forgets it.
 */

enum { FS_INDEXED_INO = 2 };

static inline const struct index_entry *fs_indexed_entry(const struct fs_node *node)
{
	return &node->export->index->entries[node->ino - FS_INDEXED_INO];
}

/* True for a file whose bytes are in the index. */
static inline bool fs_is_pristine(const struct fs_node *node)
{
	return node->kind == FS_INDEXED && fs_indexed_entry(node)->kind == INDEX_PRISTINE;
}

/* True for a regular file of the host's. */
static inline bool fs_has_host_file(const struct fs_node *node)
{
	if (node->kind == FS_INDEXED)
		return fs_indexed_entry(node)->kind == INDEX_SHARED;
	return node->kind == FS_HOST && node->type == S_IFREG;
}

/* Opens the directories at the top. Takes root over, also on failure. */
int fs_indexed_init(struct fs_export *export, const struct index *ix, int root) MUST_CHECK;
void fs_indexed_fini(struct fs_export *export); /* of any export */

int fs_indexed_lookup(struct fs_server *s, struct fs_node *dir, const char *name,
		      struct fs_node **out) MUST_CHECK;
void fs_indexed_stat(const struct fs_node *node, struct stat *st);
/* A shared file, read-only: a new descriptor. fs_node_fd() is what others call. */
int fs_indexed_open(struct fs_server *s, struct fs_node *node) MUST_CHECK;
/* 0 if the descriptor's file is the one that the index has; -ESTALE. */
int fs_indexed_check(const struct fs_node *node, int fd) MUST_CHECK;
/*
 * The same of the node's own descriptor, and whether a directory above was closed to others
 * since, which is looked at every FS_TRUST_MS.
 */
int fs_indexed_check_again(struct fs_server *s, struct fs_node *node) MUST_CHECK;
/* Says that the host changed a file, once for an export. */
void fs_indexed_tell_stale(struct fs_server *s, const struct fs_node *node);
/* The reply to READ of a pristine file. */
void fs_indexed_read(struct fs_request *rq, uint64_t off, size_t size);
void fs_indexed_readlink(struct fs_request *rq);

#endif
