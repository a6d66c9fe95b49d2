/* SPDX-License-Identifier: MIT */
/* desktop/canvas.h - pixels in memory, and the arithmetic of rectangles on them. */
#ifndef DESKTOP_CANVAS_H
#define DESKTOP_CANVAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/window_wire.h"

/* 4 bytes a pixel, blue first, the last one ignored; `stride` in bytes. Borrowed memory. */
struct canvas {
	uint8_t *pixels;
	int width, height;
	size_t stride;
};

struct box {
	int x, y, width, height;
};

/* The same for what may only be read. */
struct source {
	const uint8_t *pixels;
	int width, height;
	size_t stride;
};

static inline bool box_empty(const struct box *b)
{
	return b->width <= 0 || b->height <= 0;
}

/* The part of both. */
struct box box_cut(struct box a, struct box b);
/* The smallest that holds both; an empty one counts for nothing. */
struct box box_join(struct box a, struct box b);

/* The largest box of the picture's shape in the middle of width x height; all at least 1. */
struct box canvas_fit(int picture_width, int picture_height, int width, int height);

/* The place `at` in the range of `size` from `begin` on, as a fraction of WINDOW_POINTER_MAX; cut to it. */
uint32_t canvas_fraction(int at, int begin, int size);

void canvas_fill(const struct canvas *c, struct box where, uint32_t colour);
/* Halves the brightness of everything. */
void canvas_dim(const struct canvas *c);
/* Everything outside of `inner`. */
void canvas_surround(const struct canvas *c, struct box inner, uint32_t colour);

/*
 * Shows `from` in `to`, scaled to its size, but draws only what lies in `damage` (in pixels of
 * `from`); returns the part of the canvas that was drawn. `to` lies in the canvas.
 */
struct box canvas_show(const struct canvas *c, struct box to, const struct source *from,
		       struct box damage);

/* Lays the pointer's picture over the canvas, its hotspot at x, y. */
void canvas_pointer(const struct canvas *c, int x, int y, const struct window_cursor *cursor);

#endif
