/* SPDX-License-Identifier: MIT */
/*
 * DOC: the hotspot
 *
 * Only old programs of the guest say where in the pointer's picture its tip is.
 * The others put the picture so that the tip is where the user points and say
 * 0, 0. There the tip is the difference of the two places, once two moves agree on it. Until
 * then a window draws the picture where the guest puts it.
 */
#include <endian.h>
#include <string.h>

#include "gpu/formats.h"
#include "gpu/gpu_priv.h"

enum { SIDE = WINDOW_CURSOR_SIDE };

/* DRM's pointers have their colours multiplied by alpha; windows want them as they were. */
static uint8_t divided(uint8_t colour, uint8_t alpha)
{
	return alpha == 0 ? 0 : (uint8_t)min_size((colour * 255u + alpha / 2u) / alpha, 255);
}

static void unmultiply(uint8_t *pixels, size_t n)
{
	for (uint8_t *p = pixels; p < pixels + n * GPU_PIXEL; p += GPU_PIXEL)
		for (int i = 0; i < 3; i++)
			p[i] = divided(p[i], p[3]);
}

/* The image of res in the corner of a picture of SIDE x SIDE; false: it is none. */
static bool read_image(const struct gpu_resource *res, uint8_t pixels[SIDE * SIDE * GPU_PIXEL])
{
	/* A blob says nothing of itself: it is what a driver makes for this. */
	const uint32_t format =
		res->blob ? (uint32_t)VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM : res->format;
	const uint32_t width = res->blob ? SIDE : res->width,
		       height = res->blob ? SIDE : res->height;
	const size_t row = (size_t)width * GPU_PIXEL;
	uint8_t tmp[SIDE * GPU_PIXEL];
	unsigned int hint = 0;

	/* A renderer's picture may have a format, or a size, that is none of a pointer. */
	if (width > SIDE || height > SIDE || row * height > res->backed ||
	    !gpu_format_known(format))
		return false;
	memset(pixels, 0, (size_t)SIDE * SIDE * GPU_PIXEL);
	for (uint32_t y = 0; y < height; y++)
		gpu_format_to_bgra(format, pixels + (size_t)y * SIDE * GPU_PIXEL,
				   gpu_resource_read(res, y * row, row, tmp, &hint), width);
	unmultiply(pixels, SIDE * SIDE);
	return true;
}

/* NULL: there is no such scanout. */
static struct gpu_scanout *scanout_at(struct gpu *gpu, const struct virtio_gpu_cursor_pos *pos)
{
	const uint32_t id = le32toh(pos->scanout_id);

	return id < GPU_SCANOUTS ? &gpu->scanouts[id] : NULL;
}

static void tell(struct gpu *gpu, const struct gpu_scanout *s, uint8_t what)
{
	gpu->window.pending[s - gpu->scanouts] |= what;
}

static int32_t place(uint32_t v)
{
	const int32_t at = (int32_t)le32toh(v);

	if (at < -WINDOW_MAX_SIDE)
		return -WINDOW_MAX_SIDE;
	return at > WINDOW_MAX_SIDE - SIDE ? WINDOW_MAX_SIDE - SIDE : at;
}

static bool in_image(int32_t v)
{
	return v >= 0 && v < SIDE;
}

/* The second of two moves that agree where the tip is. */
static void guess_hotspot(struct gpu *gpu, struct gpu_scanout *s)
{
	struct gpu_cursor *c = &s->cursor;
	const int32_t x = c->pointer_x - c->x, y = c->pointer_y - c->y;
	bool agree;

	if (c->told || !c->pointed)
		return;
	/* A place of the pointer is looked at once: moves without one prove nothing. */
	c->pointed = false;
	agree = c->guessed && c->guess_x == x && c->guess_y == y;
	c->guessed = in_image(x) && in_image(y);
	c->guess_x = x;
	c->guess_y = y;
	if (!agree || (c->found && c->hot_x == (uint32_t)x && c->hot_y == (uint32_t)y))
		return;
	c->found = true;
	c->hot_x = (uint32_t)x;
	c->hot_y = (uint32_t)y;
	tell(gpu, s, GPU_TELL_CURSOR);
}

static void move_to(struct gpu *gpu, struct gpu_scanout *s, const struct virtio_gpu_cursor_pos *pos)
{
	s->cursor.x = place(pos->x);
	s->cursor.y = place(pos->y);
	guess_hotspot(gpu, s);
	tell(gpu, s, GPU_TELL_CURSOR_AT);
}

static void set_hotspot(struct gpu_cursor *c, uint32_t x, uint32_t y)
{
	/* Nothing was said, or nonsense: what was found out stays until it is found out anew. */
	if ((x == 0 && y == 0) || x >= SIDE || y >= SIDE) {
		c->told = false;
		return;
	}
	c->told = c->found = true;
	c->hot_x = x;
	c->hot_y = y;
}

uint32_t cursor_kind(const struct gpu_cursor *c)
{
	if (!c->visible)
		return WINDOW_POINTER_NONE;
	return c->found ? WINDOW_POINTER_HOST : WINDOW_POINTER_DRAWN;
}

uint32_t cursor_update(struct gpu *gpu, const struct virtio_gpu_update_cursor *cmd)
{
	struct gpu_scanout *s = scanout_at(gpu, &cmd->pos);
	const uint32_t id = le32toh(cmd->resource_id);
	const struct gpu_resource *res = id ? gpu_resource_find(&gpu->resources, id) : NULL;

	if (!s)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	if (id && !res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (res && !read_image(res, s->cursor.pixels))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	s->cursor.visible = res;
	if (res)
		set_hotspot(&s->cursor, le32toh(cmd->hot_x), le32toh(cmd->hot_y));
	tell(gpu, s, GPU_TELL_CURSOR);
	move_to(gpu, s, &cmd->pos);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t cursor_move(struct gpu *gpu, const struct virtio_gpu_update_cursor *cmd)
{
	struct gpu_scanout *s = scanout_at(gpu, &cmd->pos);

	if (!s)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	move_to(gpu, s, &cmd->pos);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void cursor_pointed(struct gpu *gpu, unsigned int i, uint32_t x, uint32_t y)
{
	struct gpu_scanout *s = &gpu->scanouts[i];

	/* As input drivers scale: the largest value lies inside the last pixel. */
	s->cursor.pointer_x = (int32_t)((uint64_t)x * s->at.width / (WINDOW_POINTER_MAX + 1));
	s->cursor.pointer_y = (int32_t)((uint64_t)y * s->at.height / (WINDOW_POINTER_MAX + 1));
	s->cursor.pointed = true;
}

void cursor_forget(struct gpu_cursor *c)
{
	*c = (struct gpu_cursor){0};
}
