/* SPDX-License-Identifier: MIT */
/* library/client/picture.h - saves what a sandbox answered a "screenshot" with. */
#ifndef LIBRARY_CLIENT_PICTURE_H
#define LIBRARY_CLIENT_PICTURE_H

#include <jansson.h>

#include "common/util.h"

enum { PICTURE_MONITORS = 4 };

/*
 * Writes the picture in `fd` (borrowed), which `reply` describes, to `path` as a PNG file. What
 * the two say is checked. Leaves no half of a file. -EPROTO: it is no picture; -ELIBACC: libpng
 * is not installed; else what the file system said.
 */
int picture_save(const json_t *reply, int fd, const char *path) MUST_CHECK;

#endif
