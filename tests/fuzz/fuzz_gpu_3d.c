/* SPDX-License-Identifier: MIT */
/* A hostile driver in front of the device, a hostile renderer behind it. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gpu/filter.h"
#include "gpu/gpu_priv.h"
#include "tests/fuzz/fuzz_device.h"

/* A clock that the input moves, so that the same input does the same. */
static uint64_t the_time;

static uint64_t now(void)
{
	return the_time;
}

struct host {
	struct fake_guest *guest;
	struct gpu *gpu;
	int renderer; /* our end; -1: none */
	bool ready; /* it said so */
};

static void connect_renderer(struct host *h)
{
	struct render *r = &h->gpu->three_d.render;
	int ends[2];
	void *area;

	area = mmap(NULL, RENDER_AREA_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED)
		abort();
	r->area = area;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	r->src.fd = ends[0];
	r->ram = h->guest->mem.regions[0].host;
	h->renderer = ends[1];
	/* The driver is to find a GPU at once. */
	r->state = RENDER_ON;
	gpu_choose_features(h->gpu);
}

/* Says READY, when there is a loop to hear the rest. */
static void get_ready(struct host *h)
{
	struct render *r = &h->gpu->three_d.render;
	struct render_hello *hello = (struct render_hello *)(void *)r->area;
	const struct render_message m = {.type = RENDER_READY};

	hello->capsets[0].size = 308;
	hello->capsets[1].size = 1376;
	r->state = RENDER_STARTING;
	(void)!send(h->renderer, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)gpu_render_wait(h->gpu, 0);
	h->ready = true;
}

/* What the device sends must be what a renderer takes: bytes in the ring, runs in RAM. */
static void check(const struct host *h, const struct render_message *m)
{
	const struct render_bytes *b = &m->bytes;
	const uint8_t *at = h->gpu->three_d.render.area + b->off;

	if (m->type == RENDER_SUBMIT && (b->off + b->n * 4ull > RENDER_RING_SIZE ||
					 gpu_filter((const uint32_t *)(const void *)at, b->n) < 0))
		abort();
	if (m->type == RENDER_RES_BACKING &&
	    b->off + b->n * sizeof(struct render_run) > RENDER_RING_SIZE)
		abort();
	if (m->type == RENDER_READ &&
	    (m->read.slot >= RENDER_SLOTS ||
	     (uint64_t)m->read.stride * (m->read.y + m->read.height) > RENDER_SLOT_SIZE))
		abort();
}

static void take_messages(struct host *h, struct fuzz_input *in)
{
	struct render_message m;
	const uint8_t n = fuzz_u8(in);

	for (uint8_t i = 0; i < n; i++) {
		if (recv(h->renderer, &m, sizeof(m), MSG_DONTWAIT) != sizeof(m))
			return;
		check(h, &m);
	}
}

/* Mostly the truth, about all that was asked for. */
static void reply(struct host *h, struct fuzz_input *in)
{
	static const uint8_t types[] = {RENDER_DONE, RENDER_FENCED, RENDER_SHOWN, RENDER_READY};
	const struct render *r = &h->gpu->three_d.render;
	const uint8_t how = fuzz_u8(in);
	struct render_message m = {
		.type = types[how % ARRAY_SIZE(types)],
		.reply = {.n = r->fence, .done = r->sent, .slot = how >> 4 & 7},
	};

	if (m.type == RENDER_SHOWN)
		m.reply.n = h->gpu->three_d.last_read;
	if (how & 0x80)
		fuzz_bytes(in, &m.reply, sizeof(m.reply));
	(void)!send(h->renderer, &m, how == 0xff ? 7 : sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void host_side(void *arg, uint8_t op, struct fuzz_input *in)
{
	struct host *h = arg;

	if (!h->ready)
		get_ready(h);
	switch (op % 8) {
	case 0:
	case 1:
		take_messages(h, in);
		break;
	case 2:
	case 3:
		reply(h, in);
		break;
	case 4:
		the_time += fuzz_u16(in) * 10u;
		gpu_work(h->gpu);
		break;
	case 5:
		h->gpu->three_d.watch.fn(&h->gpu->three_d.watch);
		break;
	case 6:
		if (op & 0x80)
			shutdown(h->renderer, SHUT_RDWR);
		break;
	default: {
		struct gpu_picture p;

		if (gpu_screenshot(h->gpu, 0, &p) == 0)
			close(p.fd);
		break;
	}
	}
	fake_guest_settle(h->guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct host h = {.guest = fake_guest_new(), .renderer = -1};
	const struct gpu_setup setup = {
		.mem = &h.guest->mem, .name = "fuzz", .width = 64, .height = 48};
	struct virtio_device *vdev;

	the_time = 1000000;
	if (virtio_gpu_new(&setup, &vdev, &h.gpu) == 0) {
		h.gpu->now = now;
		connect_renderer(&h);
		fuzz_device(h.guest, vdev, &in, host_side, &h);
		/* All guests get their answers, whatever became of the renderer. */
		if (h.ready) {
			shutdown(h.renderer, SHUT_RDWR);
			fake_guest_settle(h.guest);
			the_time += 1000000;
			gpu_work(h.gpu);
			for (unsigned int i = 0; i < h.gpu->n_held; i++)
				if (!render_passed(&h.gpu->three_d.render, h.gpu->held[i].fence))
					abort();
		}
	}
	fake_guest_free(h.guest);
	if (h.renderer >= 0)
		close(h.renderer);
	return 0;
}
