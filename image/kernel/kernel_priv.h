/* SPDX-License-Identifier: MIT */
/* image/kernel/kernel_priv.h - where kernels are looked for, so that tests can look elsewhere. */
#ifndef IMAGE_KERNEL_KERNEL_PRIV_H
#define IMAGE_KERNEL_KERNEL_PRIV_H

#include <stdbool.h>

#include "image/kernel/kernel.h"

struct kernel_places {
	const char *boot; /* /boot */
	const char *modules; /* /lib/modules */
	const char *release; /* uname -r of the host */
	const char *cache; /* NULL: none */
};

/*
 * kernel_image_open() and kernel_image_find() for these places. With `unpack`
 * false, elf_fd stays -1. On failure `why` holds one line, *out is untouched.
 */
int kernel_image_open_at(const struct kernel_places *places, const char *path, bool unpack,
			 struct kernel_image *out, struct kernel_why *why) MUST_CHECK;

#endif
