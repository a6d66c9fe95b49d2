/* SPDX-License-Identifier: MIT */
/*
 * DOC: a window is not trusted, nor waited for
 *
 * Every message to it can be made again from the device's state, so none is
 * queued here: bits say what it has not been told. If its socket is full they wait
 * for room, and frames are dropped. Whatever is wrong with what it says ends it,
 * and the sandbox goes on.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gpu/gpu_priv.h"

/* Messages of one turn, so that a window cannot keep the thread for itself. */
enum { RECEIVE_BUDGET = 64 };

void window_init(struct gpu_window *w)
{
	*w = (struct gpu_window){.src.fd = -1};
}

bool window_there(const struct gpu *gpu)
{
	return gpu->window.src.fd >= 0;
}

enum pace_viewer window_viewer(const struct gpu *gpu, unsigned int i)
{
	if (!window_there(gpu) || gpu->scanouts[i].surface.fd < 0)
		return PACE_NOBODY;
	return gpu->window.hidden[i] ? PACE_HIDDEN : PACE_VISIBLE;
}

void window_close(struct gpu *gpu)
{
	struct gpu_window *w = &gpu->window;

	if (!window_there(gpu))
		return;
	loop_remove(&w->src);
	close(w->src.fd);
	window_init(w);
	/* Nobody lets go of its keys now; whoever listens hears of it without our lock. */
	gpu->unheld = true;
	gpu_wake(gpu);
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		scanout_drop_surface(gpu, &gpu->scanouts[i]);
}

/* Sends m; false: not now, or the window is gone. */
static bool tell(struct gpu *gpu, const union window_message *m, int fd)
{
	const int r = window_wire_send(gpu->window.src.fd, m, fd);

	if (r == 0)
		return true;
	if (r != -EAGAIN)
		window_close(gpu);
	else if (!gpu->window.full)
		gpu->window.full = loop_modify(&gpu->window.src, EPOLLIN | EPOLLOUT) == 0;
	return false;
}

static bool tell_hello(struct gpu *gpu)
{
	union window_message m = {
		.hello = {.type = WINDOW_HELLO, .version = WINDOW_WIRE_VERSION},
	};

	gpu_renderer_text(gpu, m.hello.renderer, sizeof(m.hello.renderer));
	memcpy(m.hello.name, gpu->name, sizeof(m.hello.name));
	return tell(gpu, &m, -1);
}

static bool tell_state(struct gpu *gpu)
{
	union window_message m = {.state = {.type = WINDOW_STATE}};

	memcpy(m.state.text, gpu->state, sizeof(m.state.text));
	return tell(gpu, &m, -1);
}

static bool tell_leds(struct gpu *gpu)
{
	const union window_message m = {
		.leds = {.type = WINDOW_LEDS, .mask = atomic_load(&gpu->leds) & 7},
	};

	return tell(gpu, &m, -1);
}

static bool tell_scanout(struct gpu *gpu, unsigned int i)
{
	const struct gpu_surface *f = &gpu->scanouts[i].surface;
	const union window_message m = {
		.scanout = {.type = WINDOW_SCANOUT,
			    .id = i,
			    .width = f->width,
			    .height = f->height,
			    .stride = f->stride},
	};

	return tell(gpu, &m, f->fd);
}

static bool tell_off(struct gpu *gpu, unsigned int i)
{
	const union window_message m = {.off = {.type = WINDOW_OFF, .id = i}};

	return tell(gpu, &m, -1);
}

static bool tell_cursor(struct gpu *gpu, unsigned int i)
{
	const struct gpu_cursor *c = &gpu->scanouts[i].cursor;
	union window_message m = {
		.cursor = {.type = WINDOW_CURSOR,
			   .id = i,
			   .kind = cursor_kind(c),
			   .hot_x = c->hot_x,
			   .hot_y = c->hot_y},
	};

	memcpy(m.cursor.pixels, c->pixels, sizeof(m.cursor.pixels));
	return tell(gpu, &m, -1);
}

static bool tell_cursor_at(struct gpu *gpu, unsigned int i)
{
	const struct gpu_cursor *c = &gpu->scanouts[i].cursor;
	const union window_message m = {
		.cursor_at = {.type = WINDOW_CURSOR_AT,
			      .id = i,
			      .x = c->x + (int32_t)c->hot_x,
			      .y = c->y + (int32_t)c->hot_y},
	};

	return tell(gpu, &m, -1);
}

/* In the order in which a window has to hear it. */
static const struct {
	uint8_t what;
	bool (*tell)(struct gpu *gpu, unsigned int i);
} of_scanout[] = {
	{GPU_TELL_OFF, tell_off},
	{GPU_TELL_SCANOUT, tell_scanout},
	{GPU_TELL_CURSOR, tell_cursor},
	{GPU_TELL_CURSOR_AT, tell_cursor_at},
};

static bool sync_scanout(struct gpu *gpu, unsigned int i)
{
	uint8_t *pending = &gpu->window.pending[i];

	for (size_t k = 0; k < ARRAY_SIZE(of_scanout) && *pending; k++) {
		if (!(*pending & of_scanout[k].what))
			continue;
		if (!of_scanout[k].tell(gpu, i))
			return false;
		*pending &= (uint8_t)~of_scanout[k].what;
	}
	return true;
}

/* Sends what *flag says is pending; false: not now. */
static bool sync_flag(struct gpu *gpu, bool *flag, bool (*fn)(struct gpu *gpu))
{
	if (*flag && !fn(gpu))
		return false;
	*flag = false;
	return true;
}

void window_sync(struct gpu *gpu)
{
	struct gpu_window *w = &gpu->window;

	/* Full: the loop says when there is room. */
	if (!window_there(gpu) || w->full)
		return;
	if (!sync_flag(gpu, &w->tell_hello, tell_hello) ||
	    !sync_flag(gpu, &w->tell_state, tell_state) ||
	    !sync_flag(gpu, &w->tell_leds, tell_leds))
		return;
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		if (!sync_scanout(gpu, i))
			return;
}

int window_frame(struct gpu *gpu, unsigned int i, unsigned int buffer,
		 const struct gpu_rect *damage)
{
	struct gpu_scanout *s = &gpu->scanouts[i];
	const union window_message m = {
		.frame = {.type = WINDOW_FRAME,
			  .id = i,
			  .buffer = buffer,
			  .seq = s->seq + 1,
			  .x = damage->x,
			  .y = damage->y,
			  .width = damage->width,
			  .height = damage->height},
	};

	window_sync(gpu);
	if (!window_there(gpu) || gpu->window.full || (gpu->window.pending[i] & GPU_TELL_SCANOUT))
		return -EAGAIN;
	if (!tell(gpu, &m, -1))
		return -EAGAIN;
	s->seq++;
	return 0;
}

/* What the user does; without the device's lock. */
static void input(struct gpu *gpu, const union window_message *m)
{
	const struct gpu_input_ops *ops = gpu->input;

	switch (m->type) {
	case WINDOW_KEY:
		ops->key(gpu->owner, m->key.usage, m->key.down);
		break;
	case WINDOW_MOTION:
		ops->motion(gpu->owner, m->motion.dx, m->motion.dy);
		break;
	case WINDOW_BUTTON:
		ops->button(gpu->owner, m->button.button, m->button.down);
		break;
	case WINDOW_WHEEL:
		ops->wheel(gpu->owner, m->wheel.vertical, m->wheel.horizontal);
		break;
	default:
		ops->focus(gpu->owner, m->focus.has);
		break;
	}
}

/* Part `at` of the scanout's width, as a part of all monitors side by side. */
static uint32_t across(uint32_t at, uint64_t begin, uint64_t size, uint64_t all)
{
	return (uint32_t)((begin * WINDOW_POINTER_MAX + at * size) / all);
}

/* The place x, y of scanout i as a place of all of them; the user points there. */
static void point(struct gpu *gpu, unsigned int i, uint32_t *x, uint32_t *y)
{
	const struct edid_monitor *m = &gpu->scanouts[i].monitor;
	const uint32_t width = scanout_left(gpu, GPU_SCANOUTS);
	uint32_t height = 1;

	cursor_pointed(gpu, i, *x, *y);
	for (unsigned int k = 0; k < GPU_SCANOUTS; k++)
		if (gpu->scanouts[k].monitor.height > height)
			height = gpu->scanouts[k].monitor.height;
	*x = width ? across(*x, scanout_left(gpu, i), m->width, width) : 0;
	*y = across(*y, 0, m->height, height);
}

static void pointer(struct gpu *gpu, const struct window_pointer *p)
{
	uint32_t x = p->x, y = p->y;

	pthread_mutex_lock(&gpu->dev->lock);
	point(gpu, p->id, &x, &y);
	pthread_mutex_unlock(&gpu->dev->lock);
	if (gpu->input)
		gpu->input->pointer(gpu->owner, x, y);
}

/* The middle of pixel `at` of `size`: what a guest makes of it falls into that pixel. */
static uint32_t middle(uint32_t at, uint32_t size)
{
	return (uint32_t)((2 * (uint64_t)at + 1) * (WINDOW_POINTER_MAX + 1) / (2 * (uint64_t)size));
}

int gpu_point(struct gpu *gpu, unsigned int scanout, uint32_t x, uint32_t y, uint32_t *out_x,
	      uint32_t *out_y)
{
	const struct gpu_scanout *s = &gpu->scanouts[scanout < GPU_SCANOUTS ? scanout : 0];
	int r = 0;

	if (scanout >= GPU_SCANOUTS)
		return -EINVAL;
	pthread_mutex_lock(&gpu->dev->lock);
	if (!s->res)
		r = -ENODATA;
	else if (x >= s->at.width || y >= s->at.height)
		r = -ERANGE;
	if (r == 0) {
		*out_x = middle(x, s->at.width);
		*out_y = middle(y, s->at.height);
		point(gpu, scanout, out_x, out_y);
	}
	pthread_mutex_unlock(&gpu->dev->lock);
	return r;
}

static void shown(struct gpu *gpu, const struct window_shown *m)
{
	struct gpu_scanout *s = &gpu->scanouts[m->id];

	/* One of a picture that was replaced since says nothing of this one. */
	if (!s->pace.out || m->seq != s->seq)
		return;
	pace_shown(&s->pace);
	for (unsigned int i = 0; i < gpu->n_held; i++)
		gpu->held[(gpu->first_held + i) % GPU_QUEUE_SIZE].unshown &=
			(uint8_t) ~(1u << m->id);
	gpu_work(gpu);
}

/* What is about the picture. */
static void display(struct gpu *gpu, const union window_message *m)
{
	pthread_mutex_lock(&gpu->dev->lock);
	switch (m->type) {
	case WINDOW_SIZE:
		monitor_resize(gpu, &m->size);
		break;
	case WINDOW_SHOWN:
		shown(gpu, &m->shown);
		break;
	default:
		gpu->window.hidden[m->hidden.id] = m->hidden.hidden;
		gpu_work(gpu);
		break;
	}
	pthread_mutex_unlock(&gpu->dev->lock);
}

static void handle(struct gpu *gpu, const union window_message *m)
{
	switch (m->type) {
	case WINDOW_SIZE:
	case WINDOW_SHOWN:
	case WINDOW_HIDDEN:
		display(gpu, m);
		break;
	case WINDOW_POINTER:
		pointer(gpu, &m->pointer);
		break;
	default:
		if (gpu->input)
			input(gpu, m);
		break;
	}
}

static void end(struct gpu *gpu)
{
	pthread_mutex_lock(&gpu->dev->lock);
	window_close(gpu);
	gpu_work(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

static void room(struct gpu *gpu)
{
	pthread_mutex_lock(&gpu->dev->lock);
	gpu->window.full = loop_modify(&gpu->window.src, EPOLLIN) != 0;
	gpu_work(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

static void window_event(struct loop_source *src, uint32_t events)
{
	struct gpu *gpu = CONTAINER_OF(src, struct gpu, window.src);
	union window_message m;
	int r = 0, fd = -1;

	if (events & EPOLLOUT)
		room(gpu);
	for (unsigned int n = 0; r == 0 && n < RECEIVE_BUDGET && window_there(gpu); n++) {
		r = window_wire_receive(src->fd, WINDOW_END_SANDBOX, &m, &fd);
		if (r == 0)
			handle(gpu, &m);
	}
	/* Sending may have found it gone, and closed it. */
	if (window_there(gpu) && r < 0 && r != -EAGAIN)
		end(gpu);
}

void window_open(struct gpu *gpu, int socket)
{
	struct gpu_window *w = &gpu->window;

	window_close(gpu);
	window_init(w);
	w->src = (struct loop_source){.fd = socket, .fn = window_event, .name = "display-window"};
	if (loop_add(gpu->loop, &w->src, EPOLLIN) < 0) {
		close(socket);
		window_init(w);
		return;
	}
	w->tell_hello = w->tell_leds = true;
	w->tell_state = gpu->state[0] != '\0';
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		if (gpu->scanouts[i].res)
			scanout_present(gpu, i);
		if (gpu->scanouts[i].cursor.visible)
			w->pending[i] |= GPU_TELL_CURSOR | GPU_TELL_CURSOR_AT;
	}
}
