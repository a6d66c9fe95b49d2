/* SPDX-License-Identifier: MIT */
/* image/base/defaults.h - files that are made for the image, whatever the host has. */
#ifndef IMAGE_BASE_DEFAULTS_H
#define IMAGE_BASE_DEFAULTS_H

#include <sys/types.h>

#include "common/text.h"
#include "common/util.h"
#include "image/base/accounts.h"

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
