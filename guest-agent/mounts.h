/* SPDX-License-Identifier: MIT */
/* guest-agent/mounts.h - the sandbox's file tree, from the initramfs to the new root. */
#ifndef GUEST_AGENT_MOUNTS_H
#define GUEST_AGENT_MOUNTS_H

#include "common/util.h"
#include "guest-agent/messages.h"
#include "guest-agent/text.h"

/*
 * DOC: the tree
 *
 *   /                overlay: the base image ("base" of the first virtio-fs) below,
 *                    memory above; every change is in memory and gone at the end
 *   /home /root /tmp /var/tmp /run /dev/shm
 *                    empty folders in the same memory, so that one limit holds for
 *                    all of it and nothing of the host's shows through
 *   /lib/modules/RELEASE
 *                    "modules" of the first virtio-fs
 *   /proc /sys /sys/fs/cgroup /dev /dev/pts /dev/mqueue
 *                    the guest kernel's own
 *   the maps         folders and files of the second virtio-fs, as the user asked
 *
 * The tops of the two virtio-fs and of the memory file system are mounted in the
 * initramfs and bound from there. No path leads to them: the new root covers the
 * initramfs, and that of memory is detached at the end; that of the maps stays, for those
 * that come later. Root in the guest can mount a virtio-fs again by its tag and see every
 * export there; what it may do with them is decided on the host.
 *
 * Errors: -errno, with *why set to what was being done.
 */

/* O_PATH descriptors of top mounts. */
struct mounts {
	int maps;
	int base, memory; /* -1 after the last step */
};

/* /dev in the initramfs, where it is no error to have it already. */
int mounts_early(struct text *why) MUST_CHECK;
/* Builds the new root and makes it the root of this process. Needs the modules. */
int mounts_root(struct mounts *m, struct text *why) MUST_CHECK;
/* What depends on who runs it and how: home, maps, host name, accounts. */
int mounts_finish(struct mounts *m, struct setup *s, struct text *why) MUST_CHECK;

/*
 * A map that comes while programs run, which see it at once unless they have a mount
 * namespace of their own. What is missing of its path is made, as at set-up.
 */
int mounts_add(const struct mounts *m, const struct setup_map *map, const struct setup *s,
	       struct text *why) MUST_CHECK;
/* Writes back what is due if it is writable, and detaches it also from programs that use it. */
int mounts_remove(const struct mounts *m, const struct setup_map *map, struct text *why) MUST_CHECK;
/* Puts what was written to mapped folders onto the host's file system. */
int mounts_sync(const struct mounts *m);

#endif
