/* SPDX-License-Identifier: MIT */
/* image/base/base.h - the base image of a host or of another tree: found, made, brought up to date. */
#ifndef IMAGE_BASE_BASE_H
#define IMAGE_BASE_BASE_H

#include <stdbool.h>

#include "common/util.h"
#include "image/base/rules.h"
#include "image/index.h"

/*
 * DOC: where an image is kept
 *
 * $XDG_CACHE_HOME/sandcastle/base/NAME.index, NAME being "host" or made of the
 * tree's path. If there is none of use, the same name below
 * /var/cache/sandcastle/base is taken if it is root's: an administrator can
 * make one for everybody. The index's stamp says what it was made from: the
 * first half is a hash of the rules, the second one of the package database's
 * stamp. Where both are as they are now, nothing else is looked at; where the
 * first is, the index is brought up to date; else it is made anew.
 *
 * NAME.index.sound beside it, system-NAME.index.sound for the system's, is a
 * symbolic link that is never followed. Its text is what stat() said of an index
 * that was checked, time of change included, which no program can set back: one
 * that is still that file is not checked again, as it would be 12 MB to read.
 */

struct base_image {
	struct index *index;
	struct rules rules; /* what the index was made with */
	int root; /* the tree's root directory, O_PATH */
	char *path; /* of the index's file; NULL: in memory, as nothing could be written */
	bool current; /* packages and rules are those it was made from */
};

enum base_want {
	BASE_CURRENT, /* as it is, brought up to date or made, with progress on a terminal */
	BASE_ANEW, /* made anew in any case */
	BASE_EXISTING, /* as it is, or -ENOENT without a word; never written */
};

/*
 * `tree` NULL is the host. Logs one line with cause and cure on failure (but
 * -ENOENT for BASE_EXISTING), and then *out is untouched.
 */
int base_image_open(const char *tree, enum base_want want, struct base_image *out) MUST_CHECK;
void base_image_fini(struct base_image *image); /* zeroed is fine */

/* Removes the user's index of that tree; -ENOENT: there was none. Logs other failures. */
int base_image_clean(const char *tree) MUST_CHECK;

#endif
