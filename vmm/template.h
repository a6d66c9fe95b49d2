/* SPDX-License-Identifier: MIT */
/* vmm/template.h - where machines are kept that were started once and are cloned from then on. */
#ifndef VMM_TEMPLATE_H
#define VMM_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"
#include "vmm/snapshot/snapshot.h"

struct sandbox_setup;

/*
 * DOC: templates
 *
 * $XDG_CACHE_HOME/sandcastle/templates/ is the user's alone (0700):
 *
 *   KEY    a snapshot (vmm/snapshot/snapshot.h), 0600, of a guest that was parked before it learned
 *          whose it is (common/agent_protocol.h)
 *   seen   the kinds of machine that were started cold of late
 *
 * The second cold start of a kind makes one, as does `sandcastle template build`. KEY is a hash of
 * all that decides what a guest finds when it starts: this program, kernel, agent, command line,
 * base image, processors, memory, the host's kernel, and its boot. A change of any of them is
 * another key, and so a cold start. What a hash cannot tell beforehand (the CPU's features, files of
 * the base image) is compared when the snapshot is loaded.
 *
 * A file gets its name once it is whole, and is never written to after that. It need not be on the
 * disk for that: none is used after the boot it was made in, so that there is nothing that a
 * crash could leave half. Whoever makes one holds the folder's lock (flock).
 *
 * The user's own processes can put anything there; nobody else can, and a file that somebody else
 * could have written to is not opened.
 */

enum { TEMPLATE_NAME = 2 * 16 + 1, TEMPLATES_KEPT = 4 };

struct template_store {
	int dir; /* owned; -1: there is none, and templates are neither used nor made */
	uint8_t key[SNAPSHOT_KEY];
	char name[TEMPLATE_NAME];
	char kind[TEMPLATE_NAME]; /* as the name, but for the host's boot */
};

/* The folder, malloc'ed. NULL: no home, or no memory. */
char *template_dir(void) MUST_CHECK;

/* Finds out the key, and opens the folder. Silent where there is none: store->dir is -1 then. */
void template_store_init(struct template_store *store, const struct sandbox_setup *setup);
void template_store_fini(struct template_store *store); /* dir -1 is fine */

/*
 * The template of this key; *fd is the caller's to close, after *out. -ENOENT: there is none.
 * Another error: it cannot be used, and has been removed.
 */
int template_open(const struct template_store *store, uint64_t ram_size, struct snapshot *out,
		  int *fd) MUST_CHECK;
/* It is of no use after all. */
void template_remove(const struct template_store *store);

/* One that is there. */
struct template_info {
	char name[TEMPLATE_NAME];
	int64_t used; /* last, seconds since 1970 */
	uint64_t bytes; /* on the disk */
};

enum { TEMPLATE_LIST_MAX = 64 };

/* How many there are of them, at most TEMPLATE_LIST_MAX; 0 where there is no folder. */
size_t template_list(struct template_info out[TEMPLATE_LIST_MAX]);
/* Removes all there is in the folder. -errno. */
int template_clean(void) MUST_CHECK;

/* For a cold start: is a template to be made in passing? Not of a kind that is new, which is noted. */
bool template_is_due(const struct template_store *store);
/* A machine of this kind, or its template, came to nothing: there is none, and for a day none is due. */
void template_failed(const struct template_store *store);

/*
 * A file without a name to write one into, and the folder's lock until template_keep() or
 * template_leave(). -EBUSY: another one is being made; -ENOSPC: the disk is nearly full.
 */
int template_create(const struct template_store *store) MUST_CHECK;
/*
 * Gives what was written its name, and removes what was not used for longest beyond TEMPLATES_KEPT
 * and 1 GiB, or since the host's boot. -EFBIG: it would be more than that by itself.
 */
int template_keep(const struct template_store *store, int fd) MUST_CHECK;
void template_leave(const struct template_store *store);

#endif
