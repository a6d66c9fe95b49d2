/* SPDX-License-Identifier: MIT */
/* launcher/config/checkout.h - the git work tree that a directory is in. */
#ifndef LAUNCHER_CONFIG_CHECKOUT_H
#define LAUNCHER_CONFIG_CHECKOUT_H

#include <sys/types.h>

#include "common/util.h"

/*
 * DOC: what a checkout may have shown
 *
 * Its files may come from anybody: an archive that was unpacked has a .git as its author likes.
 * So where .git names a place outside of the tree, as that of a worktree or a submodule does, it
 * counts only if that place names this tree in turn:
 *
 *   worktree    REPOSITORY/worktrees/NAME, whose "gitdir" is our .git: REPOSITORY is shown
 *   submodule   a git directory whose "config" has our tree as its worktree: that is shown
 *
 * Else, and where .git is not the user's own, there is no checkout.
 */
struct checkout {
	char *root; /* its top, symbolic links resolved */
	char *git; /* what it needs besides; NULL: nothing */
};

/*
 * The innermost one at or above directory `path`, which has no symbolic links. -ENOENT: there is
 * none. Says nothing.
 */
int checkout_find(const char *path, uid_t uid, struct checkout *out) MUST_CHECK;
void checkout_fini(struct checkout *c); /* zeroed is fine */

#endif
