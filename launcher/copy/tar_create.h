/* SPDX-License-Identifier: MIT */
/* launcher/copy/tar_create.h - files of the host as a tar archive. */
#ifndef LAUNCHER_COPY_TAR_CREATE_H
#define LAUNCHER_COPY_TAR_CREATE_H

#include "launcher/copy/copy_tally.h"
#include "launcher/copy/tar_lib.h"

struct tar_create;

/*
 * Begins an archive in GNU format, whose names are the bytes they are. fd is borrowed
 * and blocks. -ENOMEM is logged; -EPIPE, of all functions, is not: it cannot be
 * written on, mostly because whoever reads has gone.
 */
int tar_create_new(const struct tar_lib *lib, int fd, struct copy_tally *tally,
		   struct tar_create **out) MUST_CHECK;
/*
 * Adds a file, folder or symbolic link, called `as` (one component, or "." for a
 * folder's content alone). A folder is gone through without following a link, not
 * even one that somebody puts in another's place meanwhile: a guest may be able to
 * write there. Other kinds of files, and what cannot be read, are skipped.
 */
int tar_create_add(struct tar_create *t, const char *path, const char *as) MUST_CHECK;
/* Writes the end. */
int tar_create_finish(struct tar_create *t) MUST_CHECK;
void tar_create_free(struct tar_create *t); /* NULL is fine */

#endif
