/* SPDX-License-Identifier: MIT */
/*
 * DOC: the order of answers
 *
 * A driver takes a fence that is answered as the word that all before it are done,
 * too. So a fenced answer waits for those before it that are held, and a flush
 * is held until its picture was shown, or the pace says that it need not be. Answers
 * without a fence are given at once. Each is written into the guest's buffer when
 * the command is done; held is only that it is returned.
 */
#include "gpu/gpu.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "gpu/gpu_priv.h"

enum { DEFAULT_REFRESH = 60 };

static struct gpu *to_gpu(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct gpu, vdev);
}

static uint64_t monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Held answers */

static struct gpu_held *held_at(struct gpu *gpu, unsigned int i)
{
	return &gpu->held[(gpu->first_held + i) % GPU_QUEUE_SIZE];
}

static void hold(struct gpu *gpu, const struct gpu_held *h)
{
	/* Each is a chain of a queue that has no more entries. */
	assert(gpu->n_held < GPU_QUEUE_SIZE);
	*held_at(gpu, gpu->n_held++) = *h;
}

/* Scanout i has no picture to wait for any more. */
static void let_go(struct gpu *gpu, unsigned int i)
{
	for (unsigned int k = 0; k < gpu->n_held; k++) {
		held_at(gpu, k)->uncopied &= (uint8_t) ~(1u << i);
		held_at(gpu, k)->unshown &= (uint8_t) ~(1u << i);
	}
}

/* The picture that is on its way to the window has what was flushed on scanout i so far. */
static void held_copied(struct gpu *gpu, unsigned int i)
{
	for (unsigned int k = 0; k < gpu->n_held; k++) {
		struct gpu_held *h = held_at(gpu, k);

		h->unshown |= h->uncopied & (uint8_t)(1u << i);
		h->uncopied &= (uint8_t) ~(1u << i);
	}
}

static bool waits_for(struct gpu *gpu, unsigned int i)
{
	for (unsigned int k = 0; k < gpu->n_held; k++)
		if ((held_at(gpu, k)->uncopied | held_at(gpu, k)->unshown) >> i & 1)
			return true;
	return false;
}

static bool is_due(const struct gpu *gpu, const struct gpu_held *h)
{
	return !h->uncopied && !h->unshown &&
	       (h->fence == 0 || render_passed(&gpu->three_d.render, h->fence));
}

static void return_held(struct gpu *gpu)
{
	bool any = false;

	while (gpu->n_held > 0 && is_due(gpu, &gpu->held[gpu->first_held])) {
		const struct gpu_held *h = &gpu->held[gpu->first_held];

		virtq_push(&gpu->vdev.queues[GPU_Q_CONTROL], h->head, h->written);
		gpu->first_held = (gpu->first_held + 1) % GPU_QUEUE_SIZE;
		gpu->n_held--;
		any = true;
	}
	if (any)
		virtio_device_flush(&gpu->vdev, GPU_Q_CONTROL);
}

/* Pictures */

static void make_frame(struct gpu *gpu, unsigned int i, uint64_t now)
{
	struct gpu_scanout *s = &gpu->scanouts[i];
	struct gpu_rect damage;
	unsigned int buffer;

	scanout_copy(gpu, s, &buffer, &damage);
	if (rect_empty(&damage)) {
		let_go(gpu, i);
		return;
	}
	if (window_frame(gpu, i, buffer, &damage) < 0) {
		/* A window that does not read is no reason for the guest to wait. */
		if (s->surface.fd >= 0)
			scanout_keep(s, &damage);
		let_go(gpu, i);
		gpu->figures.dropped++;
		return;
	}
	scanout_flip(s, &damage);
	pace_sent(&s->pace, now);
	held_copied(gpu, i);
	gpu->figures.frames++;
}

/* What is due for scanout i; *until becomes sooner if something is due later. */
static void work_scanout(struct gpu *gpu, unsigned int i, uint64_t now, uint64_t *until)
{
	struct gpu_scanout *s = &gpu->scanouts[i];
	const enum pace_viewer viewer = window_viewer(gpu, i);
	const bool waits = waits_for(gpu, i);
	uint64_t when;

	if (!s->res) {
		let_go(gpu, i);
		return;
	}
	if (!waits && (viewer == PACE_NOBODY || rect_empty(&s->dirty)))
		return;
	switch (pace_ask(&s->pace, viewer, now, &when)) {
	case PACE_WAIT:
		*until = min_u64(*until, when);
		break;
	case PACE_FRAME:
		make_frame(gpu, i, now);
		/* It was dropped, or the guest waits for the window: ask when. */
		if (waits_for(gpu, i) || !rect_empty(&s->dirty))
			if (pace_ask(&s->pace, window_viewer(gpu, i), now, &when) == PACE_WAIT)
				*until = min_u64(*until, when);
		break;
	case PACE_LET_GO:
		let_go(gpu, i);
		break;
	}
}

void gpu_work(struct gpu *gpu)
{
	const uint64_t now = gpu->now();
	uint64_t until = UINT64_MAX;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		work_scanout(gpu, i, now, &until);
	gpu_3d_work(gpu, now, &until);
	monitors_work(gpu, now, &until);
	return_held(gpu);
	window_sync(gpu);
	if (until == gpu->tick_at)
		return;
	gpu->tick_at = until;
	/* Rounded up: asked a little early, it would be asked twice. */
	loop_timer_set(&gpu->tick, until == UINT64_MAX ? 0 : (until - now + 999) / 1000);
}

static void tick(struct loop_timer *timer)
{
	struct gpu *gpu = CONTAINER_OF(timer, struct gpu, tick);

	pthread_mutex_lock(&gpu->dev->lock);
	gpu->tick_at = UINT64_MAX;
	gpu_work(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

static void settled(struct loop_timer *timer)
{
	struct gpu *gpu = CONTAINER_OF(timer, struct gpu, settle);

	pthread_mutex_lock(&gpu->dev->lock);
	monitors_settled(gpu);
	gpu_work(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

static void woken(struct loop_task *task)
{
	struct gpu *gpu = CONTAINER_OF(task, struct gpu, task);
	bool unheld;

	pthread_mutex_lock(&gpu->dev->lock);
	gpu->task_posted = false;
	if (gpu->next_window >= 0)
		window_open(gpu, steal_fd(&gpu->next_window));
	gpu_work(gpu);
	unheld = gpu->unheld;
	gpu->unheld = false;
	pthread_mutex_unlock(&gpu->dev->lock);
	if (unheld && gpu->input)
		gpu->input->focus(gpu->owner, false);
}

void gpu_wake(struct gpu *gpu)
{
	if (gpu->task_posted)
		return;
	gpu->task_posted = true;
	loop_post(gpu->loop, &gpu->task);
}

static void leds_changed(struct loop_task *task)
{
	struct gpu *gpu = CONTAINER_OF(task, struct gpu, leds_task);

	atomic_store(&gpu->leds_posted, false);
	pthread_mutex_lock(&gpu->dev->lock);
	gpu->window.tell_leds = true;
	window_sync(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

/* Queues */

/* The bytes of the answer that went into the chain. */
static uint32_t write_answer(struct gpu *gpu, struct gpu_request *rq, uint32_t type)
{
	struct virtio_gpu_ctrl_hdr *hdr = &rq->answer.hdr;
	const struct virtio_gpu_ctrl_hdr *asked = &rq->cmd.hdr;

	if (type >= VIRTIO_GPU_RESP_ERR_UNSPEC) {
		rq->answer_len = sizeof(*hdr);
		gpu->figures.errors++;
		log_guest("virtio-gpu: command 0x%x was answered with error 0x%x",
			  le32toh(asked->type), type);
	} else if (rq->chain->wr_len < rq->answer_len) {
		type = VIRTIO_GPU_RESP_ERR_UNSPEC;
		rq->answer_len = sizeof(*hdr);
	}
	hdr->type = htole32(type);
	/* A driver knows a fence by the answer's own flag and number, errors included. */
	hdr->flags = asked->flags & htole32(VIRTIO_GPU_FLAG_FENCE);
	hdr->fence_id = hdr->flags ? asked->fence_id : 0;
	hdr->ctx_id = hdr->flags ? asked->ctx_id : 0;
	if (rq->chain->wr_len < sizeof(*hdr))
		return 0;
	return (uint32_t)chain_write(rq->chain, 0, &rq->answer, rq->answer_len);
}

static void start_request(struct gpu_request *rq, const struct virtq_chain *chain)
{
	memset(rq, 0, sizeof(*rq));
	rq->chain = chain;
	rq->answer_len = sizeof(rq->answer.hdr);
	(void)chain_read(chain, 0, &rq->cmd, sizeof(rq->cmd));
}

static void serve_control(struct gpu *gpu)
{
	struct gpu_request *rq = &gpu->request;
	struct gpu_held h = {.head = gpu->chain.head};

	start_request(rq, &gpu->chain);
	h.written = write_answer(gpu, rq, gpu_command(gpu, rq));
	if (!rq->answer.hdr.flags) {
		virtq_push(&gpu->vdev.queues[GPU_Q_CONTROL], h.head, h.written);
		return;
	}
	h.uncopied = rq->waits;
	h.fence = gpu_3d_fence(gpu);
	hold(gpu, &h);
}

static uint32_t cursor_command(struct gpu *gpu, const struct gpu_request *rq)
{
	if (rq->chain->rd_len < sizeof(rq->cmd.cursor))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	switch (le32toh(rq->cmd.hdr.type)) {
	case VIRTIO_GPU_CMD_UPDATE_CURSOR:
		return cursor_update(gpu, &rq->cmd.cursor);
	case VIRTIO_GPU_CMD_MOVE_CURSOR:
		return cursor_move(gpu, &rq->cmd.cursor);
	default:
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	}
}

static void serve_cursor(struct gpu *gpu)
{
	struct gpu_request *rq = &gpu->request;
	uint32_t written;

	start_request(rq, &gpu->chain);
	written = write_answer(gpu, rq, cursor_command(gpu, rq));
	virtq_push(&gpu->vdev.queues[GPU_Q_CURSOR], gpu->chain.head, written);
}

static bool serve(struct virtio_device *vdev, unsigned int q)
{
	struct gpu *gpu = to_gpu(vdev);

	if (q == GPU_Q_CURSOR) {
		serve_cursor(gpu);
		return true;
	}
	serve_control(gpu);
	return !gpu_3d_blocked(gpu);
}

static void gpu_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	struct gpu *gpu = to_gpu(vdev);

	/* Whoever blocks it has it looked at again. */
	if (q != GPU_Q_CONTROL || !gpu_3d_blocked(gpu))
		(void)virtio_device_serve(vdev, q, &gpu->chain, serve);
	gpu_work(gpu);
}

/* The device */

static void gpu_config_written(struct virtio_device *vdev, size_t off, size_t len)
{
	struct gpu *gpu = to_gpu(vdev);

	(void)off;
	(void)len;
	gpu->config.events_read &= ~gpu->config.events_clear;
	gpu->config.events_clear = 0;
}

/*
 * With a GPU there are no blobs: Linux would take them for what the renderer has to know.
 * Between two drivers only: features stay what a driver has read.
 */
void gpu_choose_features(struct gpu *gpu)
{
	const bool on = gpu->three_d.render.state == RENDER_ON;

	gpu->three_d.offered = on;
	gpu->config.num_capsets = htole32(on ? RENDER_CAPSETS : 0);
	gpu->vdev.features = 1ull << VIRTIO_GPU_F_EDID |
			     1ull << (on ? VIRTIO_GPU_F_VIRGL : VIRTIO_GPU_F_RESOURCE_BLOB);
}

/* Perhaps on a vCPU's thread: the loop's own hears of it by a task. */
static void gpu_reset(struct virtio_device *vdev)
{
	struct gpu *gpu = to_gpu(vdev);

	gpu->n_held = 0;
	gpu_3d_reset(gpu);
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		scanout_off(gpu, i);
		cursor_forget(&gpu->scanouts[i].cursor);
		gpu->window.pending[i] |= GPU_TELL_CURSOR;
	}
	gpu_resources_clear(&gpu->resources);
	monitors_reset(gpu);
	gpu_choose_features(gpu);
	if (gpu->loop)
		gpu_wake(gpu);
}

static int gpu_attach(struct virtio_device *vdev, struct device *dev, struct loop *loop)
{
	struct gpu *gpu = to_gpu(vdev);
	int r = loop_timer_init(&gpu->tick, loop, tick, "display-tick");

	if (r == 0)
		r = loop_timer_init(&gpu->settle, loop, settled, "display-settle");
	gpu->dev = dev;
	gpu->loop = loop;
	return r < 0 ? r : gpu_3d_attach(gpu);
}

static void gpu_destroy(struct virtio_device *vdev)
{
	struct gpu *gpu = to_gpu(vdev);

	window_close(gpu);
	if (gpu->next_window >= 0)
		close(gpu->next_window);
	loop_timer_fini(&gpu->tick);
	loop_timer_fini(&gpu->settle);
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		scanout_fini(gpu, &gpu->scanouts[i]);
	gpu_3d_destroy(gpu);
	gpu_resources_clear(&gpu->resources);
	free(gpu);
}

static const struct virtio_device_ops gpu_ops = {
	.name = "virtio-gpu",
	.type = VIRTIO_ID_GPU,
	.n_queues = GPU_N_QUEUES,
	.queue_max = {GPU_QUEUE_SIZE, GPU_CURSOR_QUEUE_SIZE},
	.chain_max = {GPU_MAX_CHAIN},
	.features = 1ull << VIRTIO_GPU_F_EDID | 1ull << VIRTIO_GPU_F_RESOURCE_BLOB,
	.attach = gpu_attach,
	.queue_kick = gpu_queue_kick,
	.config_written = gpu_config_written,
	.reset = gpu_reset,
	.destroy = gpu_destroy,
};

/* dst is a field of the window's wire: printable, and padded with NULs. */
static void copy_text(char *dst, size_t size, const char *text)
{
	size_t n = 0;

	memset(dst, 0, size);
	for (; *text && n + 1 < size; text++)
		dst[n++] = *text >= ' ' && *text <= '~' ? *text : '?';
}

int virtio_gpu_new(const struct gpu_setup *setup, struct virtio_device **out_device,
		   struct gpu **out)
{
	struct gpu *gpu = calloc(1, sizeof(*gpu));

	if (!gpu)
		return -ENOMEM;
	virtio_device_init(&gpu->vdev, &gpu_ops, &gpu->config, sizeof(gpu->config));
	gpu->vdev.config_writable_off = offsetof(struct virtio_gpu_config, events_clear);
	gpu->vdev.config_writable_len = sizeof(gpu->config.events_clear);
	gpu->config.num_scanouts = htole32(GPU_SCANOUTS);
	virtq_lend(&gpu->vdev.queues[GPU_Q_CONTROL], gpu->more, GPU_MORE_SEGS);
	gpu->input = setup->input;
	gpu->owner = setup->owner;
	gpu->now = monotonic_us;
	gpu->tick_at = UINT64_MAX;
	gpu->task.fn = woken;
	gpu->leds_task.fn = leds_changed;
	gpu->next_window = -1;
	copy_text(gpu->name, sizeof(gpu->name), setup->name);
	gpu_resources_init(&gpu->resources, setup->mem);
	render_init(&gpu->three_d.render);
	window_init(&gpu->window);
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		scanout_init(&gpu->scanouts[i]);
		gpu->scanouts[i].monitor.refresh = DEFAULT_REFRESH;
	}
	gpu->scanouts[0].monitor.width = setup->width;
	gpu->scanouts[0].monitor.height = setup->height;
	*out_device = &gpu->vdev;
	*out = gpu;
	return 0;
}

/* The owner's side */

void gpu_renderer_text(const struct gpu *gpu, char *text, size_t size)
{
	char all[160];

	if (gpu->three_d.render.state == RENDER_ON)
		snprintf(all, sizeof(all), "virgl (%s)", gpu->three_d.render.driver);
	else
		snprintf(all, sizeof(all), "software");
	copy_text(text, size, all);
}

void gpu_attach_window(struct gpu *gpu, int socket)
{
	pthread_mutex_lock(&gpu->dev->lock);
	if (gpu->next_window >= 0)
		close(gpu->next_window);
	gpu->next_window = socket;
	gpu_wake(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

void gpu_say(struct gpu *gpu, const char *text)
{
	pthread_mutex_lock(&gpu->dev->lock);
	copy_text(gpu->state, sizeof(gpu->state), text);
	gpu->window.tell_state = true;
	gpu_wake(gpu);
	pthread_mutex_unlock(&gpu->dev->lock);
}

void gpu_set_leds(struct gpu *gpu, uint32_t mask)
{
	atomic_store(&gpu->leds, mask);
	if (!atomic_exchange(&gpu->leds_posted, true))
		loop_post(gpu->loop, &gpu->leds_task);
}

int gpu_screenshot(struct gpu *gpu, unsigned int scanout, struct gpu_picture *out)
{
	int r;

	if (scanout >= GPU_SCANOUTS)
		return -EINVAL;
	pthread_mutex_lock(&gpu->dev->lock);
	r = scanout_picture(&gpu->scanouts[scanout], out);
	pthread_mutex_unlock(&gpu->dev->lock);
	return r;
}

void gpu_get_figures(struct gpu *gpu, struct gpu_figures *out)
{
	pthread_mutex_lock(&gpu->dev->lock);
	*out = gpu->figures;
	out->window = window_there(gpu);
	gpu_renderer_text(gpu, out->renderer, sizeof(out->renderer));
	copy_text(out->why, sizeof(out->why), gpu->three_d.render.why);
	out->gpu_bytes = gpu->resources.gpu_bytes;
	out->gpu_errors = gpu->three_d.render.failed;
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		if (gpu->scanouts[i].res) {
			out->scanouts[i].width = gpu->scanouts[i].at.width;
			out->scanouts[i].height = gpu->scanouts[i].at.height;
		}
	pthread_mutex_unlock(&gpu->dev->lock);
}

/* The GPU */

void gpu_render_start(struct gpu *gpu, const struct gpu_host *host)
{
	const struct render_host h = {
		.program = host->program,
		.ram_fd = host->ram_fd,
		.ram = host->ram,
		.ram_size = host->ram_size,
		.software = host->forced,
	};

	if (render_start(&gpu->three_d.render, &h) < 0)
		log_info("the guest draws in software: %s", gpu->three_d.render.why);
}

void gpu_render_none(struct gpu *gpu, const char *why)
{
	copy_text(gpu->three_d.render.why, sizeof(gpu->three_d.render.why), why);
}
