/* SPDX-License-Identifier: MIT */
/* guest-agent/mounts.h - the sandbox's file tree, from the initramfs to the new root. */
#ifndef GUEST_AGENT_MOUNTS_H
#define GUEST_AGENT_MOUNTS_H

#include "guest-agent/messages.h"
#include "guest-agent/text.h"
#include "vmm/util.h"

/*
 * DOC: the tree
 *
 *   /                overlay: the base image ("base" of the virtio-fs) below,
 *                    memory above; every change is in memory and gone at the end
 *   /home /root /tmp /var/tmp /run /dev/shm
 *                    empty folders in the same memory, so that one limit holds for
 *                    all of it and nothing of the host's shows through
 *   /lib/modules/RELEASE
 *                    "modules" of the virtio-fs
 *   /proc /sys /sys/fs/cgroup /dev /dev/pts /dev/mqueue
 *                    the guest kernel's own
 *   the maps         folders and files of the virtio-fs, as the user asked
 *
 * The tops of the virtio-fs and of the memory file system are mounted in the
 * initramfs, bound from there, and detached at the end: no path leads to them.
 * Root in the guest can mount the virtio-fs again by its tag and see every
 * export there; what it may do with them is decided on the host.
 *
 * Errors: -errno, with *why set to what was being done.
 */

/* O_PATH descriptors of the two top mounts, between the first step and the last. */
struct mounts {
	int fs;
	int memory;
};

/* /dev in the initramfs, where it is no error to have it already. */
int mounts_early(struct text *why) MUST_CHECK;
/* Builds the new root and makes it the root of this process. Needs the modules. */
int mounts_root(struct mounts *m, struct text *why) MUST_CHECK;
/* What depends on who runs it and how: home, maps, host name, accounts. Ends the use of *m. */
int mounts_finish(struct mounts *m, const struct setup *s, struct text *why) MUST_CHECK;
/* Puts what was written to mapped folders onto the host's file system. */
void mounts_sync(const struct setup *s);

#endif
