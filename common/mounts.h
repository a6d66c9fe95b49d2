/* SPDX-License-Identifier: MIT */
/* common/mounts.h - folders as mounts that are in no tree, so that nothing lies above them. */
#ifndef COMMON_MOUNTS_H
#define COMMON_MOUNTS_H

#include <stdbool.h>

#include "common/util.h"

/*
 * DOC: detached mounts
 *
 * From a plain descriptor of a folder ".." leads to the root of the host, whatever the root of
 * the process is. A clone of the folder's mount that is attached nowhere is its own "..", and
 * where it was made read-only no program writes through it, whoever may write to the files. Its
 * descriptors are passed on like others. To make one takes a mount namespace of one's own, where
 * descriptors that were opened before mean nothing: each is found again by its path.
 *
 * Linux 5.12. Users may make the namespaces where the host's policy lets them (mounts_probe()).
 */

/*
 * Gives the process, which has one thread, mount and further namespaces of its own. A user's process
 * gets a user namespace as well, in which it is itself, with all capabilities, and everyone else
 * is 65534. -errno, after which the process may be in some of them: it is still all there.
 */
int mounts_enter(void) MUST_CHECK;

/*
 * A detached mount of what fd is open for, a folder with what is mounted below it, or a file. No set-id
 * bits, devices or programs in it. After mounts_enter(); fd stays the caller's. -ESTALE: what
 * fd is open for is not where its path says. -errno.
 */
int mount_detach(int fd, bool writable, int *out) MUST_CHECK;

/*
 * Puts a detached mount in the place of descriptor fd, whose number, kind (O_PATH or for reading) and
 * flock() stay. `guard`, -1 or another folder, is locked while the lock changes hands.
 */
int mount_replace(int fd, bool writable, int guard) MUST_CHECK;

/*
 * The same made by a child, for a process that goes on where it is: one with threads, or a program
 * that somebody wrote. A child of the caller's is waited for. -errno.
 */
int mount_detach_elsewhere(int fd, bool writable, int *out) MUST_CHECK;

/*
 * Whether what another process sent is what mount_detach() makes: an O_PATH descriptor with nothing
 * above it that, unless writable, refuses to be written to. -EPERM: it is not; -errno.
 */
int mount_check(int fd, bool writable) MUST_CHECK;

/* Whether this host lets a process of this user do all that; a child tries. -errno: why not. */
int mounts_probe(void) MUST_CHECK;

/*
 * A file system without a file, not yet anywhere; the descriptor is the caller's. Tells whether
 * the host lets this process mount at all. After mounts_enter().
 */
int mount_nothing(void) MUST_CHECK;
/* Makes it the root of the process and the working directory, and lets go of all that was there. */
int mount_as_root(int mount) MUST_CHECK;

#endif
