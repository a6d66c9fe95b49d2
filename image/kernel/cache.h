/* SPDX-License-Identifier: MIT */
/* image/kernel/cache.h - unpacked kernels, kept from one start to the next. */
#ifndef IMAGE_KERNEL_CACHE_H
#define IMAGE_KERNEL_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "image/kernel/bzimage.h"

/*
 * DOC: the kernel cache
 *
 * One directory, usually ~/.cache/sandcastle/kernels:
 *
 *   SHA256.elf   an unpacked kernel, named by its own content
 *   file-...     a symbolic link that is never followed. Its name is what
 *                stat() says of a bzImage (inode, size, mtime, ctime in ns),
 *                its text is the entry it unpacks to and what stat() said of
 *                that entry when it was made
 *   initramfs-.. made of modules and agent, see image/initramfs/initramfs_priv.h
 *   lock         held with flock() by whoever unpacks
 *   tmp-PID      an entry being written
 *
 * A start costs one stat, one readlink and one open; nothing is hashed. Both
 * sides are pinned by their change time, which no program can set back, so a
 * replaced bzImage and an entry that was truncated or written to are both
 * misses. The device number is left out of the key because file systems
 * without one of their own get another at each boot. A miss unpacks, under the
 * lock, to a temporary file that is flushed and renamed, so nobody ever sees
 * half a kernel; where the content is there already (a second copy of one
 * kernel, a home shared by two hosts) the entry is checked against its name
 * and kept. The oldest entries beyond CACHE_KEPT go when one is added.
 */

enum { CACHE_KEPT = 4, CACHE_STAT_TEXT = 128 };

/*
 * The unpacked ELF of the bzImage open at fd as a read-only fd. `dir` NULL or
 * not writable: unpacked into memory, after one warning that names dir.
 * `label` is the user's name for the kernel, for the progress line that a
 * terminal sees when unpacking takes over a second. Silent on failure.
 */
int kernel_cache_open(const char *dir, int fd, struct bzimage *bz, const char *label,
		      int *out) MUST_CHECK;

/*
 * What both caches, this one and that of base images (image/base/base.h), need.
 *
 * $VARIABLE/BELOW, or else $HOME/FALLBACK/BELOW; malloc'ed. NULL: neither is an
 * absolute path, or no memory.
 */
char *cache_user_dir(const char *variable, const char *fallback, const char *below) MUST_CHECK;
/* mkdir -p, private to the user; an fd on the directory. */
int cache_dir_open(const char *path) MUST_CHECK;
/*
 * Waits for its turn and returns an fd that holds it. A file system without
 * locks is no reason to fail: renames are atomic.
 */
int cache_lock(int dir) MUST_CHECK;
/* All of it, where the file stands. */
int cache_write(int fd, const void *data, size_t len) MUST_CHECK;
/*
 * The file `name` in the directory, 0644. Never seen half: a temporary file that is
 * renamed, on the disk before that with `flush`.
 */
int cache_store(int dir, const char *name, const void *data, size_t len, bool flush) MUST_CHECK;
/*
 * Makes room for one more entry of a kind: the oldest beyond CACHE_KEPT go. Under
 * the lock.
 */
void cache_drop_oldest(int dir, bool (*is_one)(const char *name));
/* What tells a file from what it was before, and from others. */
void cache_stat_text(const struct stat *st, char out[CACHE_STAT_TEXT]);

#endif
