/* SPDX-License-Identifier: MIT */
/* image/defaults.h - files that are made for the image, whatever the host has. */
#ifndef IMAGE_DEFAULTS_H
#define IMAGE_DEFAULTS_H

#include <sys/types.h>

#include "common/util.h"
#include "image/accounts.h"
#include "image/buffer.h"

struct default_file {
	uint16_t mode; /* permissions */
	uint32_t gid; /* the owner is root */
};

/*
 * The file called `name` in the rules ("passwd" for @passwd), put into *out,
 * which may hold something already. -ENOENT: there is none of that name.
 */
int default_make(const struct accounts *accounts, const char *name, struct buffer *out,
		 struct default_file *file) MUST_CHECK;

#endif
