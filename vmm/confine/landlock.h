/* SPDX-License-Identifier: MIT */
/* vmm/confine/landlock.h - what a sandbox's process may not do with files, by Landlock. */
#ifndef VMM_CONFINE_LANDLOCK_H
#define VMM_CONFINE_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "common/util.h"

/*
 * DOC: two sets
 *
 * Where all folders are detached mounts (common/mounts.h), Landlock takes away what no sandbox does: TCP
 * connections, and sockets of abstract names. It leaves files to the mounts: a set with a say in
 * files forbids to move one from folder to folder where no rule allows that, and what is shared
 * later can have none. Where mounts cannot be had, a rule for each folder allows what is done there,
 * and nothing is allowed elsewhere; what Landlock does not govern (stat, chmod, times and attributes
 * of files found by name) stays. What the kernel at hand does not know is left out. Both are the
 * calling thread's, and of those it starts later.
 */

/* The kernel's Landlock ABI, 0: it has none. */
int landlock_abi(void) MUST_CHECK;

/* Takes away what no sandbox does. After PR_SET_NO_NEW_PRIVS. -ENOTSUP: before ABI 4; -errno. */
int landlock_never(void) MUST_CHECK;

/* What is allowed of what fd, borrowed, is open for: a folder and all below it, or a file. */
struct landlock_place {
	int fd;
	bool writable;
};

/* Allows that alone. After PR_SET_NO_NEW_PRIVS. -ENOTSUP: the kernel has no Landlock; -errno. */
int landlock_only(const struct landlock_place *places, size_t n) MUST_CHECK;

#endif
