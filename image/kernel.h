/* SPDX-License-Identifier: MIT */
/* image/kernel.h - the guest's kernel and initramfs, made from the host's files. */
#ifndef IMAGE_KERNEL_H
#define IMAGE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/util.h"

/* A kernel that can be booted, and its modules. */
struct kernel_image {
	char *path;	/* /boot/vmlinuz-..., for messages */
	char *release;	/* uname -r of it, from the image's own header */
	char *modules;	/* /lib/modules/RELEASE */
	int elf_fd;	/* the uncompressed ELF, positioned anywhere, read-only */
};

/*
 * `path` NULL: /boot/vmlinuz-$(uname -r) if it and its modules are there, else
 * the newest /boot/vmlinuz-* with modules. A bzImage is unpacked once into
 * $XDG_CACHE_HOME/sandcastle/kernels/, named by its content; an ELF vmlinux is
 * used as it is. On failure one line with cause and cure has been logged.
 */
int kernel_image_open(const char *path, struct kernel_image *out) MUST_CHECK;
void kernel_image_fini(struct kernel_image *k); /* zeroed is fine */

/*
 * An initramfs (newc cpio, uncompressed): the agent as /init, the modules the
 * machine's devices need with what those depend on (modules.dep), and
 * SC_MODULES_LIST. `modules` is a NULL-terminated list of module names; a
 * leading '?' marks one the guest can do without. One built into the kernel
 * (modules.builtin) is left out. Logs on failure. *out is malloc'ed.
 */
int initramfs_build(const struct kernel_image *k, const void *agent, size_t agent_len,
		    const char *const *modules, uint8_t **out, size_t *out_len) MUST_CHECK;

#endif
