/* SPDX-License-Identifier: MIT */
#include "desktop/view.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void forget_picture(struct picture *p)
{
	if (p->map)
		munmap((void *)(uintptr_t)p->map, p->map_len);
	*p = (struct picture){0};
}

/* A file that could get shorter would end this process with SIGBUS at the next look at it. */
static bool can_shrink(int fd)
{
	const int seals = fcntl(fd, F_GET_SEALS);

	return seals < 0 || !(seals & F_SEAL_SHRINK);
}

static int take_scanout(struct picture *p, const struct window_scanout *s, int fd)
{
	const size_t len = (size_t)WINDOW_BUFFERS * s->stride * s->height;
	struct stat st;
	void *map;

	forget_picture(p);
	if (can_shrink(fd) || fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size < len)
		return -EPROTO;
	map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*p = (struct picture){
		.map = map,
		.map_len = len,
		.width = (int)s->width,
		.height = (int)s->height,
		.stride = s->stride,
	};
	return 0;
}

static int take_frame(struct picture *p, const struct window_frame *f)
{
	if (!p->map || f->x + f->width > (uint32_t)p->width ||
	    f->y + f->height > (uint32_t)p->height)
		return -EPROTO;
	p->buffer = f->buffer;
	p->drawn = true;
	return 0;
}

static int take_hello(struct view *v, const struct window_hello *hello)
{
	if (v->greeted)
		return -EPROTO;
	v->hello = *hello;
	v->greeted = true;
	return 0;
}

static int take(struct view *v, const union window_message *m, int fd)
{
	if (m->type == WINDOW_HELLO)
		return take_hello(v, &m->hello);
	if (!v->greeted)
		return -EPROTO;
	switch (m->type) {
	case WINDOW_STATE:
		v->state = m->state;
		return 0;
	case WINDOW_SCANOUT:
		return take_scanout(&v->pictures[m->scanout.id], &m->scanout, fd);
	case WINDOW_FRAME:
		return take_frame(&v->pictures[m->frame.id], &m->frame);
	case WINDOW_OFF:
		forget_picture(&v->pictures[m->off.id]);
		return 0;
	case WINDOW_CURSOR:
		v->cursor = m->cursor;
		return 0;
	case WINDOW_CURSOR_AT:
		v->cursor_at = m->cursor_at;
		return 0;
	default:
		v->lights = m->leds.mask;
		return 0;
	}
}

int view_take(struct view *v, const union window_message *m, int fd)
{
	const int r = take(v, m, fd);

	if (fd >= 0)
		close(fd);
	return r;
}

void view_fini(struct view *v)
{
	for (size_t i = 0; i < ARRAY_SIZE(v->pictures); i++)
		forget_picture(&v->pictures[i]);
	*v = (struct view){0};
}

struct source picture_source(const struct picture *p)
{
	return (struct source){
		.pixels = p->map + p->buffer * p->stride * (size_t)p->height,
		.width = p->width,
		.height = p->height,
		.stride = p->stride,
	};
}
