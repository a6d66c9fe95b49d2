/* SPDX-License-Identifier: MIT */
#include "desktop/canvas.h"

#include <string.h>

enum { PIXEL = 4 };

struct box box_cut(struct box a, struct box b)
{
	struct box out;

	out.x = a.x > b.x ? a.x : b.x;
	out.y = a.y > b.y ? a.y : b.y;
	out.width = (a.x + a.width < b.x + b.width ? a.x + a.width : b.x + b.width) - out.x;
	out.height = (a.y + a.height < b.y + b.height ? a.y + a.height : b.y + b.height) - out.y;
	return out;
}

struct box box_join(struct box a, struct box b)
{
	struct box out;

	if (box_empty(&a))
		return b;
	if (box_empty(&b))
		return a;
	out.x = a.x < b.x ? a.x : b.x;
	out.y = a.y < b.y ? a.y : b.y;
	out.width = (a.x + a.width > b.x + b.width ? a.x + a.width : b.x + b.width) - out.x;
	out.height = (a.y + a.height > b.y + b.height ? a.y + a.height : b.y + b.height) - out.y;
	return out;
}

struct box canvas_fit(int picture_width, int picture_height, int width, int height)
{
	const int64_t across = (int64_t)picture_width * height,
		      down = (int64_t)picture_height * width;
	struct box b = {.width = width, .height = height};

	if (across < down)
		b.width = (int)(across / picture_height);
	else
		b.height = (int)(down / picture_width);
	b.width = b.width > 0 ? b.width : 1;
	b.height = b.height > 0 ? b.height : 1;
	b.x = (width - b.width) / 2;
	b.y = (height - b.height) / 2;
	return b;
}

uint32_t canvas_fraction(int at, int begin, int size)
{
	const int64_t last = size > 1 ? size - 1 : 1;
	int64_t in = (int64_t)at - begin;

	in = in < 0 ? 0 : in > last ? last : in;
	return (uint32_t)((in * WINDOW_POINTER_MAX + last / 2) / last);
}

static uint8_t *pixel_at(const struct canvas *c, int x, int y)
{
	return c->pixels + (size_t)y * c->stride + (size_t)x * PIXEL;
}

static struct box whole(const struct canvas *c)
{
	return (struct box){.width = c->width, .height = c->height};
}

void canvas_fill(const struct canvas *c, struct box where, uint32_t colour)
{
	where = box_cut(where, whole(c));
	for (int y = where.y; y < where.y + where.height; y++)
		for (int x = where.x; x < where.x + where.width; x++)
			memcpy(pixel_at(c, x, y), &colour, PIXEL);
}

void canvas_dim(const struct canvas *c)
{
	for (int y = 0; y < c->height; y++) {
		uint8_t *row = pixel_at(c, 0, y);

		for (int i = 0; i < c->width * PIXEL; i++)
			row[i] /= 2;
	}
}

void canvas_surround(const struct canvas *c, struct box inner, uint32_t colour)
{
	const int below = inner.y + inner.height, right = inner.x + inner.width;

	canvas_fill(c, (struct box){0, 0, c->width, inner.y}, colour);
	canvas_fill(c, (struct box){0, below, c->width, c->height - below}, colour);
	canvas_fill(c, (struct box){0, inner.y, inner.x, inner.height}, colour);
	canvas_fill(c, (struct box){right, inner.y, c->width - right, inner.height}, colour);
}

/* Which of `from` pixels is shown at `at` of `to` of them. */
static int64_t origin(int at, int from, int to)
{
	return (int64_t)at * from / to;
}

/* The pixels of `to` that show any of [begin, begin + n) of `from`, as a range from *out on. */
static int reach(int begin, int n, int from, int to, int *out)
{
	const int64_t first = (int64_t)begin * to / from;
	const int64_t end = ((int64_t)(begin + n) * to + from - 1) / from;

	*out = (int)first;
	return (int)(end < to ? end : to) - (int)first;
}

static void show_row(const struct canvas *c, struct box to, struct box part,
		     const struct source *from, int y)
{
	const uint8_t *src =
		from->pixels + (size_t)origin(y - to.y, from->height, to.height) * from->stride;
	uint8_t *dst = pixel_at(c, part.x, y);

	if (to.width == from->width) {
		memcpy(dst, src + (size_t)(part.x - to.x) * PIXEL, (size_t)part.width * PIXEL);
		return;
	}
	for (int x = part.x; x < part.x + part.width; x++, dst += PIXEL)
		memcpy(dst, src + origin(x - to.x, from->width, to.width) * PIXEL, PIXEL);
}

struct box canvas_show(const struct canvas *c, struct box to, const struct source *from,
		       struct box damage)
{
	struct box part;

	damage = box_cut(damage, (struct box){.width = from->width, .height = from->height});
	if (box_empty(&damage))
		return (struct box){0};
	part.width = reach(damage.x, damage.width, from->width, to.width, &part.x);
	part.height = reach(damage.y, damage.height, from->height, to.height, &part.y);
	part.x += to.x;
	part.y += to.y;
	part = box_cut(part, whole(c));
	for (int y = part.y; y < part.y + part.height; y++)
		show_row(c, to, part, from, y);
	return part;
}

static void blend(uint8_t *dst, const uint8_t *src)
{
	const unsigned int alpha = src[3];

	for (int i = 0; i < 3; i++)
		dst[i] = (uint8_t)((src[i] * alpha + dst[i] * (255 - alpha) + 127) / 255);
}

void canvas_pointer(const struct canvas *c, int x, int y, const struct window_cursor *cursor)
{
	const int left = x - (int)cursor->hot_x, top = y - (int)cursor->hot_y;
	const struct box part =
		box_cut((struct box){left, top, WINDOW_CURSOR_SIDE, WINDOW_CURSOR_SIDE}, whole(c));

	for (int v = part.y; v < part.y + part.height; v++)
		for (int u = part.x; u < part.x + part.width; u++)
			blend(pixel_at(c, u, v),
			      cursor->pixels + ((size_t)(v - top) * WINDOW_CURSOR_SIDE +
						(size_t)(u - left)) *
						       PIXEL);
}
