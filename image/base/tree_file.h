/* SPDX-License-Identifier: MIT */
/* image/base/tree_file.h - a file of a tree that may be anybody's, by its path. */
#ifndef IMAGE_BASE_TREE_FILE_H
#define IMAGE_BASE_TREE_FILE_H

#include <stdint.h>
#include <sys/stat.h>

#include "common/util.h"

/*
 * DOC: nothing outside of the tree, and nothing that is no file
 *
 * A tree of --root was made by somebody else. A link in it leads into it, wherever it points. And
 * opening can do something by itself: a device is armed, a fifo finds its reader. So a file is first
 * looked at, and opened as the very thing that was seen to be a regular file.
 */

/* How links on the way are taken. */
enum tree_links {
	TREE_INSIDE, /* they lead into the tree */
	TREE_INSIDE_BUT_LAST, /* the same, and the last name is not followed */
	TREE_NONE, /* there is none, and no mount point below `dir` */
};

/* The status of what a relative path names. -errno. */
int tree_look(int dir, const char *path, enum tree_links links, struct stat *st) MUST_CHECK;
/* The regular file, to be read, with its status unless st is NULL. -EINVAL: it is none. */
int tree_open(int dir, const char *path, enum tree_links links, struct stat *st) MUST_CHECK;
/* A directory, to be read. */
int tree_open_dir(int dir, const char *path, enum tree_links links) MUST_CHECK;

#endif
