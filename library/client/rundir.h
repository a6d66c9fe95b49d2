/* SPDX-License-Identifier: MIT */
/* library/client/rundir.h - the folders in which running sandboxes are found by their names. Silent. */
#ifndef LIBRARY_CLIENT_RUNDIR_H
#define LIBRARY_CLIENT_RUNDIR_H

#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

/*
 * DOC: who is alive
 *
 *   TOP           0700; whoever makes or removes a folder in it holds a flock() on TOP
 *   TOP/NAME      0700; its sandbox holds a flock() on it for life, which ends with the
 *                 process however that ends
 *   TOP/NAME/control
 *
 * A folder that can be locked is stale and is removed by whoever comes upon it. A sandbox removes
 * its own; TOP, which no sandbox that is confined can reach, goes when a command finds it empty.
 * Names are host names, so none is "." or holds a '/'.
 */

/*
 * TOP for this process's environment and user: $XDG_RUNTIME_DIR/sandcastle, else
 * /run/user/UID/sandcastle, else /tmp/sandcastle-UID; malloc'ed, NULL without memory.
 */
char *rundir_top(void) MUST_CHECK;

/* A sandbox's own folder. */
struct rundir {
	char *name, *top; /* TOP's path */
	int top_fd; /* TOP */
	int dir_fd; /* TOP/NAME, locked */
	int listen_fd; /* TOP/NAME/control: listening, non-blocking */
};

/*
 * Makes TOP and TOP/name as needed and listens. -EEXIST: a sandbox of that name
 * is running; -EPERM: TOP is another user's or open to others.
 */
int rundir_create(const char *top, const char *name, struct rundir *out) MUST_CHECK;
/* Removes it; by the open descriptors only. After it `rd` is as before rundir_create(). */
void rundir_remove(struct rundir *rd);

/* O_PATH of the folder of the running sandbox `name`. -ENOENT: there is none. */
int rundir_open(const char *top, const char *name) MUST_CHECK;

/*
 * The names of the running sandboxes, sorted, and stale folders removed on the
 * way; *names is NULL-terminated and malloc'ed as are the names.
 */
int rundir_list(const char *top, char ***names) MUST_CHECK;
void rundir_list_free(char **names); /* NULL is fine */

#endif
