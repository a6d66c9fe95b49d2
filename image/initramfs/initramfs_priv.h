/* SPDX-License-Identifier: MIT */
/* image/initramfs/initramfs_priv.h - how an initramfs is made, and how it is kept. */
#ifndef IMAGE_INITRAMFS_INITRAMFS_PRIV_H
#define IMAGE_INITRAMFS_INITRAMFS_PRIV_H

#include "image/initramfs/modules.h"
#include "image/kernel/kernel.h"

/*
 * DOC: the initramfs, kept
 *
 * A file of the kernel cache's directory (image/kernel/cache.h), initramfs-KEY. The key
 * is made of the agent, the names of the modules and the path of their directory.
 * The file is a text of INITRAMFS_HEAD bytes, padded with NULs, and the archive
 * behind it. The text says how long the archive is and, a line each, what it was
 * made from below the modules' directory and what stat() said of that: where one
 * of them is another file now, or was modified, the archive is made again. A start
 * so looks at some twenty files instead of reading them and the 0.6 MB of
 * modules.dep.
 */

enum { INITRAMFS_HEAD = 16 << 10 };

/* Finds the files of the modules named in modules.dep. Logs on failure. */
int initramfs_resolve(const struct kernel_image *k, const char *const *modules,
		      struct module_list *out) MUST_CHECK;

/* The archive, behind `room` bytes of zeroes; *out is malloc'ed. Logs on failure. */
int initramfs_build(const struct kernel_image *k, const struct agent_image *agent,
		    const struct module_list *modules, size_t room, uint8_t **out,
		    size_t *out_len) MUST_CHECK;

/* initramfs_open() with another cache; NULL: none. */
int initramfs_open_at(const char *cache, const struct kernel_image *k,
		      const struct agent_image *agent, const char *const *modules,
		      struct initramfs *out) MUST_CHECK;

#endif
