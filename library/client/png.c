/* SPDX-License-Identifier: MIT */
#include "library/client/png.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>

#include "common/lazy_lib.h"

/* The one of the ABI we were compiled for. */
#define LIBRARY "libpng16.so.16"

enum { COLOURS = 3 };

struct png_lib {
	int (*write_to_stdio)(png_imagep image, FILE *file, int convert_to_8bit, const void *buffer,
			      png_int_32 row_stride, const void *colormap);
	void (*free)(png_imagep image);
};

static const struct lazy_symbol functions[] = {
	{"png_image_write_to_stdio", offsetof(struct png_lib, write_to_stdio)},
	{"png_image_free", offsetof(struct png_lib, free)},
};

/* The colours alone: a pixel's fourth byte would be taken for how much of it is there. */
static uint8_t *take_colours(const struct png_picture *p)
{
	uint8_t *rgb = malloc((size_t)p->width * p->height * COLOURS), *to = rgb;

	for (uint32_t y = 0; rgb && y < p->height; y++) {
		const uint8_t *from = p->pixels + (size_t)y * p->stride;

		for (uint32_t x = 0; x < p->width; x++, from += 4, to += COLOURS) {
			to[0] = from[2];
			to[1] = from[1];
			to[2] = from[0];
		}
	}
	return rgb;
}

int png_write(const struct png_picture *picture, FILE *out)
{
	png_image image = {
		.version = PNG_IMAGE_VERSION,
		.width = picture->width,
		.height = picture->height,
		.format = PNG_FORMAT_RGB,
	};
	AUTO_FREE uint8_t *rgb = NULL;
	struct png_lib lib;
	int r = lazy_lib_open(LIBRARY, functions, ARRAY_SIZE(functions), &lib);

	if (r < 0)
		return r;
	rgb = take_colours(picture);
	if (!rgb)
		return -ENOMEM;
	r = lib.write_to_stdio(&image, out, 0, rgb, 0, NULL) ? 0 : -EIO;
	lib.free(&image);
	return r;
}
