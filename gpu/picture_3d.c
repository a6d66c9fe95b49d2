/* SPDX-License-Identifier: MIT */
/*
 * DOC: pictures of the renderer's
 *
 * A scanout that shows a picture of the renderer's has a slot of the shared area behind it. After a
 * flush the renderer reads the picture back into the slot, and from there on it is a picture
 * like one in the guest's pages. It is read when the window has taken the one before; where
 * nobody looks, ten times a second, for screenshots.
 *
 * Linux waits for nothing there: a compositor would draw as fast as it can. So the guest
 * is one flush ahead of what is read, and with the next one its commands wait, for a
 * while. They also wait while the renderer has more to do than the ring holds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "common/log.h"
#include "gpu/formats.h"
#include "gpu/gpu_priv.h"
#include "gpu/virgl.h"

enum {
	/* How long the next command waits for a picture, in microseconds. */
	STALL_VISIBLE = 50000,
	WATCH_MS = 1000,
	REPLIES = 64, /* taken in one turn of the loop */
};

static struct gpu_rect picture(const struct gpu_resource *res)
{
	return (struct gpu_rect){0, 0, res->width, res->height};
}

uint32_t gpu_3d_show(struct gpu *gpu, unsigned int i, struct gpu_resource *res,
		     const struct gpu_rect *at)
{
	struct gpu_3d_scanout *s = &gpu->three_d.scanouts[i];
	const uint64_t stride = (uint64_t)res->width * GPU_PIXEL;
	/* A flip is followed by a flush, which says what is new. */
	const bool fresh =
		!s->res || s->shadow.width != res->width || s->shadow.height != res->height;

	if (!gpu_3d_on(gpu))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (res->target != VIRGL_TARGET_2D || !gpu_format_known(res->format) ||
	    stride * res->height > RENDER_SLOT_SIZE)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	s->run.host = render_slot(&gpu->three_d.render, i);
	s->shadow = (struct gpu_resource){
		.format = res->format,
		.width = res->width,
		.height = res->height,
		.runs = &s->run,
		.n_runs = 1,
		.backed = stride * res->height,
	};
	s->res = res;
	scanout_show(gpu, i, &s->shadow, res->format, at->y * stride + (uint64_t)at->x * GPU_PIXEL,
		     (uint32_t)stride, at);
	if (fresh) {
		/* The slot has nothing to show before the renderer was asked. */
		gpu->scanouts[i].dirty = (struct gpu_rect){0};
		s->pending = picture(res);
	}
	return VIRTIO_GPU_RESP_OK_NODATA;
}

void gpu_3d_hide(struct gpu *gpu, unsigned int i)
{
	struct gpu_3d_scanout *s = &gpu->three_d.scanouts[i];

	if (!s->res)
		return;
	*s = (struct gpu_3d_scanout){0};
	/* Its pages go back to the host. */
	(void)madvise(render_slot(&gpu->three_d.render, i), RENDER_SLOT_SIZE, MADV_REMOVE);
}

static uint64_t patience(const struct gpu *gpu, unsigned int i)
{
	switch (window_viewer(gpu, i)) {
	case PACE_VISIBLE:
		return STALL_VISIBLE;
	case PACE_HIDDEN:
		return PACE_HIDDEN_PERIOD;
	default:
		return PACE_PERIOD;
	}
}

void gpu_3d_flush(struct gpu *gpu, const struct gpu_resource *res, const struct gpu_rect *r)
{
	struct gpu_3d *t = &gpu->three_d;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		if (t->scanouts[i].res != res)
			continue;
		if (!rect_empty(&t->scanouts[i].pending) && t->stall_until == 0)
			t->stall_until = gpu->now() + patience(gpu, i);
		rect_add(&t->scanouts[i].pending, r);
	}
}

uint32_t gpu_3d_fence(struct gpu *gpu)
{
	struct render *render = &gpu->three_d.render;

	/* What is held in front of it waits for the earlier ones. */
	return gpu_3d_on(gpu) && render->unfenced ? render_fence(render) : 0;
}

/* Whether the guest is ahead of its pictures. */
static bool stalled(struct gpu *gpu, uint64_t now)
{
	struct gpu_3d *t = &gpu->three_d;
	bool pending = false;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		pending |= !rect_empty(&t->scanouts[i].pending);
	if (t->stall_until != 0 && (!pending || now >= t->stall_until))
		t->stall_until = 0;
	return t->stall_until != 0;
}

bool gpu_3d_blocked(struct gpu *gpu)
{
	struct gpu_3d *t = &gpu->three_d;

	t->blocked = gpu_3d_on(gpu) &&
		     (t->want_reset || !render_has_room(&t->render) || stalled(gpu, gpu->now()));
	return t->blocked;
}

/* The renderer is gone, or not to be believed: the guest gets its answers, and draws by itself. */
static void lose(struct gpu *gpu, const char *why)
{
	struct gpu_3d *t = &gpu->three_d;

	render_lose(&t->render, why);
	log_warn("the host's GPU is lost to the sandbox: %s; the guest goes on in software", why);
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		t->scanouts[i].read = 0;
	gpu->window.tell_state = true;
	snprintf(gpu->state, sizeof(gpu->state), "The host's GPU is lost: %s", why);
	if (t->loss_task)
		loop_post(t->loss_loop, t->loss_task);
	t->loss_task = NULL;
}

static void send_read(struct gpu *gpu, unsigned int i)
{
	struct gpu_3d *t = &gpu->three_d;
	struct gpu_3d_scanout *s = &t->scanouts[i];
	const struct gpu_rect *r = &s->pending;
	const struct render_message m = {
		.type = RENDER_READ,
		.read = {.res = s->res->id,
			 .slot = i,
			 .n = t->last_read + 1 ? t->last_read + 1 : 1,
			 .stride = s->res->width * GPU_PIXEL,
			 .x = r->x,
			 .y = r->y,
			 .width = r->width,
			 .height = r->height},
	};

	render_send(&t->render, &m);
	s->read = t->last_read = m.read.n;
	s->reading = s->pending;
	s->pending = (struct gpu_rect){0};
}

static void work_scanout(struct gpu *gpu, unsigned int i, uint64_t now, uint64_t *until)
{
	struct gpu_3d_scanout *s = &gpu->three_d.scanouts[i];

	if (!s->res || s->read || rect_empty(&s->pending))
		return;
	if (window_viewer(gpu, i) != PACE_NOBODY) {
		/* Else the window takes the last one first. */
		if (rect_empty(&gpu->scanouts[i].dirty))
			send_read(gpu, i);
	} else if (now < s->next) {
		*until = min_u64(*until, s->next);
	} else {
		s->next = now + PACE_HIDDEN_PERIOD;
		send_read(gpu, i);
	}
}

static void watch(struct gpu *gpu)
{
	struct gpu_3d *t = &gpu->three_d;

	if (t->watching || !render_busy(&t->render))
		return;
	t->watching = true;
	loop_timer_set(&t->watch, WATCH_MS);
}

void gpu_3d_work(struct gpu *gpu, uint64_t now, uint64_t *until)
{
	struct gpu_3d *t = &gpu->three_d;
	const bool was_blocked = t->blocked;

	if (t->render.state == RENDER_ON && t->want_reset && render_has_room(&t->render)) {
		const struct render_message m = {.type = RENDER_RESET};

		render_send(&t->render, &m);
		t->want_reset = false;
	}
	for (unsigned int i = 0; gpu_3d_on(gpu) && i < GPU_SCANOUTS; i++)
		if (render_has_room(&t->render))
			work_scanout(gpu, i, now, until);
	if (t->render.state == RENDER_ON && t->render.broken)
		lose(gpu, "the renderer takes no messages");
	watch(gpu);
	if (was_blocked && !gpu_3d_blocked(gpu))
		virtio_device_kick_later(&gpu->vdev, GPU_Q_CONTROL);
	if (t->blocked && t->stall_until != 0)
		*until = min_u64(*until, t->stall_until);
}

/* A picture has come. One of a scanout that shows another by now is looked at as that one's. */
static void shown(struct gpu *gpu, const struct render_reply *reply)
{
	struct gpu_3d_scanout *s;
	struct gpu_rect r;

	if (reply->slot >= GPU_SCANOUTS)
		return;
	s = &gpu->three_d.scanouts[reply->slot];
	if (s->read == 0 || s->read != reply->n)
		return;
	s->read = 0;
	r = rect_common(&s->reading, &gpu->scanouts[reply->slot].at);
	if (rect_empty(&r))
		return;
	r.x -= gpu->scanouts[reply->slot].at.x;
	r.y -= gpu->scanouts[reply->slot].at.y;
	rect_add(&gpu->scanouts[reply->slot].dirty, &r);
}

/* A turn's share: a renderer that says the same for ever has the thread no longer than that. */
static int take_replies(struct gpu *gpu)
{
	struct render_message m;
	int r = 0;

	for (unsigned int n = 0; r == 0 && n < REPLIES; n++) {
		r = render_receive(&gpu->three_d.render, &m);
		if (r == 0 && m.type == RENDER_SHOWN)
			shown(gpu, &m.reply);
	}
	return r;
}

static void render_event(struct loop_source *src, uint32_t events)
{
	struct gpu *gpu = CONTAINER_OF(src, struct gpu, three_d.render.src);
	int r;

	(void)events;
	pthread_mutex_lock(&gpu->dev->lock);
	r = take_replies(gpu);
	if (r == -EPIPE)
		lose(gpu, "the renderer ended");
	else if (r < 0 && r != -EAGAIN)
		lose(gpu, "the renderer answered nonsense");
	gpu_work(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

static void watch_tick(struct loop_timer *timer)
{
	struct gpu *gpu = CONTAINER_OF(timer, struct gpu, three_d.watch);
	struct gpu_3d *t = &gpu->three_d;

	pthread_mutex_lock(&gpu->dev->lock);
	t->watching = false;
	if (t->render.state == RENDER_ON && !render_watch(&t->render))
		lose(gpu, "the renderer hung");
	gpu_work(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

void gpu_3d_reset(struct gpu *gpu)
{
	struct gpu_3d *t = &gpu->three_d;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		gpu_3d_hide(gpu, i);
	memset(t->contexts, 0, sizeof(t->contexts));
	t->stall_until = 0;
	t->blocked = false;
	/* From a vCPU's thread, perhaps, and many times: the loop's own sends one message for all. */
	t->want_reset = virtio_has(&gpu->vdev, VIRTIO_GPU_F_VIRGL);
}

int gpu_render_wait(struct gpu *gpu, unsigned int limit_ms)
{
	struct render *render = &gpu->three_d.render;
	int r = -ENODEV;

	if (render->state != RENDER_STARTING)
		return r;
	r = render_wait(render, limit_ms);
	if (r < 0) {
		log_info("the guest draws in software: %s", render->why);
		return r;
	}
	log_info("the guest draws on the host's GPU: %s", render->driver);
	render->src.fn = render_event;
	render->src.name = "display-render";
	if (loop_add(gpu->loop, &render->src, EPOLLIN) < 0)
		render_lose(render, "its socket cannot be watched");
	gpu_choose_features(gpu);
	return 0;
}

pid_t gpu_render_pid(const struct gpu *gpu)
{
	return gpu->three_d.render.pid;
}

void gpu_on_loss(struct gpu *gpu, struct loop *loop, struct loop_task *task)
{
	gpu->three_d.loss_loop = loop;
	gpu->three_d.loss_task = task;
}

int gpu_3d_attach(struct gpu *gpu)
{
	return loop_timer_init(&gpu->three_d.watch, gpu->loop, watch_tick, "display-watch");
}

void gpu_3d_destroy(struct gpu *gpu)
{
	loop_timer_fini(&gpu->three_d.watch);
	render_fini(&gpu->three_d.render);
}
