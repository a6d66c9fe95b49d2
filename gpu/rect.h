/* SPDX-License-Identifier: MIT */
/* gpu/rect.h - rectangles of pixels. Sides and places are at most 32 bits each, sums are made in 64. */
#ifndef GPU_RECT_H
#define GPU_RECT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

/* Empty where width or height is 0. */
struct gpu_rect {
	uint32_t x, y, width, height;
};

static inline bool rect_empty(const struct gpu_rect *r)
{
	return r->width == 0 || r->height == 0;
}

static inline bool rect_within(const struct gpu_rect *r, uint32_t width, uint32_t height)
{
	return (uint64_t)r->x + r->width <= width && (uint64_t)r->y + r->height <= height;
}

static inline bool rect_contains(const struct gpu_rect *outer, const struct gpu_rect *inner)
{
	return rect_empty(inner) ||
	       (inner->x >= outer->x && inner->y >= outer->y &&
		(uint64_t)inner->x + inner->width <= (uint64_t)outer->x + outer->width &&
		(uint64_t)inner->y + inner->height <= (uint64_t)outer->y + outer->height);
}

/* What is in both; empty: nothing. */
static inline struct gpu_rect rect_common(const struct gpu_rect *a, const struct gpu_rect *b)
{
	const uint32_t x = a->x > b->x ? a->x : b->x, y = a->y > b->y ? a->y : b->y;
	const uint64_t right = min_u64((uint64_t)a->x + a->width, (uint64_t)b->x + b->width);
	const uint64_t bottom = min_u64((uint64_t)a->y + a->height, (uint64_t)b->y + b->height);

	if (right <= x || bottom <= y)
		return (struct gpu_rect){0};
	return (struct gpu_rect){x, y, (uint32_t)(right - x), (uint32_t)(bottom - y)};
}

/* Makes *r the smallest that has both; add lies inside a picture. */
static inline void rect_add(struct gpu_rect *r, const struct gpu_rect *add)
{
	uint32_t right, bottom;

	if (rect_empty(add))
		return;
	if (rect_empty(r)) {
		*r = *add;
		return;
	}
	right = r->x + r->width;
	bottom = r->y + r->height;
	if (add->x + add->width > right)
		right = add->x + add->width;
	if (add->y + add->height > bottom)
		bottom = add->y + add->height;
	if (add->x < r->x)
		r->x = add->x;
	if (add->y < r->y)
		r->y = add->y;
	r->width = right - r->x;
	r->height = bottom - r->y;
}

#endif
