/* SPDX-License-Identifier: MIT */
/* library/client/png.h - writes a picture as PNG, by libpng. */
#ifndef LIBRARY_CLIENT_PNG_H
#define LIBRARY_CLIENT_PNG_H

#include <stdint.h>
#include <stdio.h>

#include "common/util.h"

/* Rows of `stride` bytes; each pixel is blue, green, red and a byte that is not looked at. */
struct png_picture {
	const uint8_t *pixels;
	uint32_t width, height, stride;
};

/* -ELIBACC: libpng is not installed; -EIO: it could not write. */
int png_write(const struct png_picture *picture, FILE *out) MUST_CHECK;

#endif
