/* SPDX-License-Identifier: MIT */
/* launcher/open/globs.h - the type of a file by its name alone. */
#ifndef LAUNCHER_OPEN_GLOBS_H
#define LAUNCHER_OPEN_GLOBS_H

#include <stdbool.h>

#include "common/text.h"

enum { MIME_TYPE_MAX = 128 };

/* What is known of a name so far; zeroed is nothing. */
struct globs_match {
	char type[MIME_TYPE_MAX]; /* "application/pdf"; "": unknown */
	unsigned int weight;
	size_t length; /* of the glob */
};

/*
 * Looks for globs of shared-mime-info's globs2 (`text`) that fit the name, the last part of a path,
 * and keeps the best: the one with the highest weight, then the longest, then the first. Globs
 * ignore case but where they say otherwise.
 */
void globs_find(struct slice text, const char *name, struct globs_match *best);

/* Whether it is a type as it may stand in a file: "text/x-c++src". */
bool mime_type_is_good(struct slice type);

/*
 * The type that the file `subclasses` (`text`, of shared-mime-info) says `type` is a kind of;
 * false: none.
 */
bool globs_parent(struct slice text, const char *type, char parent[MIME_TYPE_MAX]);

#endif
