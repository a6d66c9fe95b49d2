/* SPDX-License-Identifier: MIT */
/* image/base/deb.h - one file out of a Debian package that apt has kept. */
#ifndef IMAGE_BASE_DEB_H
#define IMAGE_BASE_DEB_H

#include "common/text.h"
#include "common/util.h"

/*
 * The bytes of `path` (absolute) in NAME_VERSION_ARCH.deb of the directory
 * `cache` below root, put into *out, which may hold something already. -ENOENT:
 * no such package or no such regular file in it; -EFBIG: more than `max`;
 * -EBADMSG: not a package (deb(5)). Links in the tree stay in it. What unpacks is a child process that
 * opens no file and has 1 GiB of memory; the caller has no other threads.
 */
int deb_original(int root, const char *cache, const char *name, const char *version,
		 const char *arch, const char *path, size_t max, struct buffer *out) MUST_CHECK;

#endif
