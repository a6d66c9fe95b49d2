/* SPDX-License-Identifier: MIT */
/* image/kernel/kernel.h - the guest's kernel and initramfs, made from the host's files. */
#ifndef IMAGE_KERNEL_KERNEL_H
#define IMAGE_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

/* A kernel that can be booted, and its modules. */
struct kernel_image {
	char *path; /* /boot/vmlinuz-..., for messages */
	char *release; /* uname -r of it, from the image's own header */
	char *modules; /* /lib/modules/RELEASE */
	int elf_fd; /* the uncompressed ELF, positioned anywhere, read-only */
};

/* Why there is no kernel: one line with cause and cure, without a prefix. */
struct kernel_why {
	char text[512];
};

/*
 * `path` NULL: /boot/vmlinuz-$(uname -r) if it and its modules are there, else
 * the newest /boot/vmlinuz-* with modules (/lib/modules/RELEASE/vmlinuz counts
 * as well). A bzImage is unpacked once into $XDG_CACHE_HOME/sandcastle/kernels/
 * (image/kernel/cache.h); an ELF vmlinux is used as it is. The modules of a given
 * `path` are those beside it, as in an unpacked package (PATH/../../lib/modules/
 * RELEASE), else the host's /lib/modules/RELEASE. On failure one line with
 * cause and cure has been logged and *out is untouched.
 */
int kernel_image_open(const char *path, struct kernel_image *out) MUST_CHECK;

/* The same without unpacking (elf_fd is -1) and without logging: for `doctor`. */
int kernel_image_find(const char *path, struct kernel_image *out,
		      struct kernel_why *why) MUST_CHECK;

void kernel_image_fini(struct kernel_image *k); /* zeroed is fine */

/* Where unpacked kernels are kept; malloc'ed. NULL: no home, or no memory. */
char *kernel_cache_dir(void) MUST_CHECK;

/* An initramfs: `len` bytes of a file, from `off`. */
struct initramfs {
	int fd;
	uint64_t off;
	size_t len;
};

/* The guest's first program. All of it lives as long as it is used. */
struct agent_image {
	const void *data; /* a static executable; read only to make an initramfs */
	size_t len;
	const char *id; /* another one for each other data, as a checksum is */
};

/*
 * An initramfs (newc cpio, uncompressed): the agent as /init, the modules the
 * machine's devices need with what those depend on (modules.dep), and
 * SC_MODULES_LIST. `modules` is a NULL-terminated list of module names; a
 * leading '?' marks one the guest can do without, and parameters may follow a
 * blank ("?battery cache_time=50"). One built into the kernel
 * (modules.builtin) is left out. Also /dev/console, and empty directories for
 * the agent to mount on: /dev /proc /sys /run /tmp /mnt. It is kept beside the
 * unpacked kernel (image/initramfs/initramfs_priv.h), else made in memory. Logs on failure.
 */
int initramfs_open(const struct kernel_image *k, const struct agent_image *agent,
		   const char *const *modules, struct initramfs *out) MUST_CHECK;

#endif
