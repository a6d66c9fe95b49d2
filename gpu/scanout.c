/* SPDX-License-Identifier: MIT */
/*
 * DOC: from guest pages to a window
 *
 * A window is shown a scanout through two buffers. While it shows one, the next
 * picture is made in the other: row by row, in pieces of 4 KiB, each compared with
 * the buffer that is shown. Guests seldom say what they changed (a compositor
 * flips whole pictures), so that is how the damage is known, and what did not
 * change is neither copied nor drawn. Where the buffer being written had missed
 * the picture before (`stale`), the buffer shown fills in.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "gpu/formats.h"
#include "gpu/gpu_priv.h"

enum { PIECE = 4096 }; /* bytes, a whole number of pixels */

void scanout_init(struct gpu_scanout *s)
{
	s->surface.fd = -1;
}

void scanout_drop_surface(struct gpu *gpu, struct gpu_scanout *s)
{
	if (s->surface.fd < 0)
		return;
	munmap(s->surface.map, s->surface.len);
	close(s->surface.fd);
	gpu->surface_bytes -= s->surface.len;
	s->surface = (struct gpu_surface){.fd = -1};
	pace_shown(&s->pace);
}

void scanout_fini(struct gpu *gpu, struct gpu_scanout *s)
{
	scanout_drop_surface(gpu, s);
}

uint32_t scanout_left(const struct gpu *gpu, unsigned int i)
{
	uint32_t left = 0;

	for (unsigned int k = 0; k < i; k++)
		left += gpu->scanouts[k].monitor.width;
	return left;
}

/* A file in memory of this length and its mapping, which may be written. */
static int make_memory(const char *name, size_t len, int *out_fd, uint8_t **out)
{
	AUTO_CLOSE int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	if (fd < 0 || ftruncate(fd, (off_t)len) < 0)
		return -errno;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*out_fd = steal_fd(&fd);
	*out = map;
	return 0;
}

static int make_surface(struct gpu_surface *out, uint32_t width, uint32_t height)
{
	struct gpu_surface s = {
		.width = width, .height = height, .stride = width * GPU_PIXEL, .blank = true};
	int r;

	s.len = (size_t)s.stride * height * WINDOW_BUFFERS;
	r = make_memory("sandcastle-screen", s.len, &s.fd, &s.map);
	if (r < 0)
		return r;
	/* The window can neither change the pixels nor take them from under us. */
	if (fcntl(s.fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		r = -errno;
		munmap(s.map, s.len);
		close(s.fd);
		return r;
	}
	*out = s;
	return 0;
}

static struct gpu_rect whole(const struct gpu_scanout *s)
{
	return (struct gpu_rect){0, 0, s->at.width, s->at.height};
}

static bool surface_fits(const struct gpu_scanout *s)
{
	return s->surface.fd >= 0 && s->surface.width == s->at.width &&
	       s->surface.height == s->at.height;
}

static void tell_off(struct gpu *gpu, unsigned int i)
{
	gpu->window.pending[i] &= (uint8_t)~GPU_TELL_SCANOUT;
	gpu->window.pending[i] |= GPU_TELL_OFF;
}

void scanout_present(struct gpu *gpu, unsigned int i)
{
	struct gpu_scanout *s = &gpu->scanouts[i];
	const uint64_t len = (uint64_t)s->at.width * s->at.height * GPU_PIXEL * WINDOW_BUFFERS;

	/* Of the same size, a flush says what is new. */
	if (!window_there(gpu) || surface_fits(s))
		return;
	s->dirty = whole(s);
	scanout_drop_surface(gpu, s);
	if (len > GPU_MAX_SURFACES - gpu->surface_bytes ||
	    make_surface(&s->surface, s->at.width, s->at.height) < 0) {
		log_guest("virtio-gpu: no memory to show a picture of %u x %u in a window",
			  s->at.width, s->at.height);
		tell_off(gpu, i);
		return;
	}
	gpu->surface_bytes += len;
	gpu->window.pending[i] |= GPU_TELL_SCANOUT;
}

void scanout_off(struct gpu *gpu, unsigned int i)
{
	struct gpu_scanout *s = &gpu->scanouts[i];

	if (!s->res)
		return;
	s->res = NULL;
	s->dirty = (struct gpu_rect){0};
	scanout_drop_surface(gpu, s);
	tell_off(gpu, i);
}

void scanout_show(struct gpu *gpu, unsigned int i, struct gpu_resource *res, uint32_t format,
		  uint64_t off, uint32_t stride, const struct gpu_rect *at)
{
	struct gpu_scanout *s = &gpu->scanouts[i];

	s->res = res;
	s->format = format;
	s->off = off;
	s->stride = stride;
	s->at = *at;
	scanout_present(gpu, i);
}

uint8_t scanout_of(const struct gpu *gpu, const struct gpu_resource *res)
{
	uint8_t mask = 0;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		if (gpu->scanouts[i].res == res)
			mask |= (uint8_t)(1u << i);
	return mask;
}

/* False where a driver has taken the pages away, or gave too few. */
static bool readable(const struct gpu_scanout *s)
{
	return s->res && s->off + (uint64_t)s->stride * (s->at.height - 1) +
					 (uint64_t)s->at.width * GPU_PIXEL <=
				 s->res->backed;
}

/* len bytes of row y as a window has them, from byte x on; in tmp if they do not lie like that. */
static const uint8_t *read_piece(const struct gpu_scanout *s, uint32_t y, uint32_t x, size_t len,
				 uint8_t tmp[PIECE], unsigned int *hint)
{
	const uint64_t off = s->off + (uint64_t)y * s->stride + x;
	const uint8_t *src = gpu_resource_read(s->res, off, len, tmp, hint);

	if (gpu_format_is_bgrx(s->format))
		return src;
	gpu_format_to_bgra(s->format, tmp, src, len / GPU_PIXEL);
	return tmp;
}

/* A picture being made. */
struct copy {
	struct gpu_scanout *s;
	uint8_t *to;
	const uint8_t *shown;
	unsigned int hint;
	struct gpu_rect damage;
	uint64_t copied; /* bytes */
	uint8_t tmp[PIECE];
};

static bool meets(const struct gpu_rect *a, const struct gpu_rect *b)
{
	const struct gpu_rect common = rect_common(a, b);

	return !rect_empty(&common);
}

static void copy_piece(struct copy *c, uint32_t y, uint32_t x, size_t len)
{
	const struct gpu_surface *f = &c->s->surface;
	const size_t at = (size_t)y * f->stride + x;
	const struct gpu_rect piece = {x / GPU_PIXEL, y, (uint32_t)len / GPU_PIXEL, 1};
	const uint8_t *src = read_piece(c->s, y, x, len, c->tmp, &c->hint);

	if (f->blank || memcmp(c->shown + at, src, len) != 0) {
		memcpy(c->to + at, src, len);
		c->copied += len;
		rect_add(&c->damage, &piece);
	} else if (meets(&f->stale, &piece)) {
		/* Not from the guest: it may have drawn there since, and that is no damage yet. */
		memcpy(c->to + at, c->shown + at, len);
	}
}

static void copy_rect(struct copy *c, const struct gpu_rect *r)
{
	const uint32_t left = r->x * GPU_PIXEL, right = left + r->width * GPU_PIXEL;

	for (uint32_t y = r->y; y < r->y + r->height; y++)
		for (uint32_t x = left, next; x < right; x = next) {
			next = (uint32_t)min_size((x / PIECE + 1) * PIECE, right);
			copy_piece(c, y, x, next - x);
		}
}

/* Makes the buffer to be written the same as the one shown. */
static void fill_in(struct copy *c)
{
	const struct gpu_rect *r = &c->s->surface.stale;
	const uint32_t stride = c->s->surface.stride;

	for (uint32_t y = r->y; y < r->y + r->height; y++) {
		const size_t at = (size_t)y * stride + (size_t)r->x * GPU_PIXEL;

		memcpy(c->to + at, c->shown + at, (size_t)r->width * GPU_PIXEL);
	}
	c->s->surface.stale = (struct gpu_rect){0};
}

void scanout_copy(struct gpu *gpu, struct gpu_scanout *s, unsigned int *buffer,
		  struct gpu_rect *damage)
{
	const size_t size = s->surface.len / WINDOW_BUFFERS;
	const struct gpu_rect dirty = s->surface.blank ? whole(s) : s->dirty;
	struct copy c = {.s = s, .shown = s->surface.map + s->surface.shown * size};

	*buffer = 1 - s->surface.shown;
	*damage = (struct gpu_rect){0};
	s->dirty = (struct gpu_rect){0};
	if (!readable(s))
		return;
	c.to = s->surface.map + *buffer * size;
	if (!rect_contains(&dirty, &s->surface.stale))
		fill_in(&c);
	copy_rect(&c, &dirty);
	/* What was stale lay in the rectangle, or was filled in. */
	s->surface.stale = (struct gpu_rect){0};
	gpu->figures.copied += c.copied;
	*damage = c.damage;
}

void scanout_flip(struct gpu_scanout *s, const struct gpu_rect *damage)
{
	s->surface.shown = 1 - s->surface.shown;
	s->surface.stale = *damage;
	s->surface.blank = false;
}

void scanout_keep(struct gpu_scanout *s, const struct gpu_rect *damage)
{
	rect_add(&s->surface.stale, damage);
	rect_add(&s->dirty, damage);
}

static void read_all(const struct gpu_scanout *s, uint8_t *to)
{
	const uint32_t row = s->at.width * GPU_PIXEL;
	unsigned int hint = 0;
	uint8_t tmp[PIECE];

	for (uint32_t y = 0; y < s->at.height; y++)
		for (uint32_t x = 0; x < row; x += PIECE) {
			const size_t len = min_size(PIECE, row - x);

			memcpy(to, read_piece(s, y, x, len, tmp, &hint), len);
			to += len;
		}
}

int scanout_picture(const struct gpu_scanout *s, struct gpu_picture *out)
{
	const size_t len = (size_t)s->at.width * s->at.height * GPU_PIXEL;
	AUTO_CLOSE int fd = -1;
	uint8_t *map = NULL;
	int r;

	if (!readable(s))
		return -ENODATA;
	r = make_memory("sandcastle-picture", len, &fd, &map);
	if (!map)
		return r;
	read_all(s, map);
	munmap(map, len);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	*out = (struct gpu_picture){
		.fd = steal_fd(&fd),
		.width = s->at.width,
		.height = s->at.height,
		.stride = s->at.width * GPU_PIXEL,
	};
	return 0;
}
