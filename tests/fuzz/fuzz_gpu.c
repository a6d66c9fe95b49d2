/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gpu/gpu_priv.h"
#include "tests/fuzz/fuzz_device.h"

/* A clock that the input moves, so that the same input does the same. */
static uint64_t the_time;

static uint64_t now(void)
{
	return the_time;
}

static void take(void *owner, uint32_t a, bool b)
{
	(void)b;
	*(uint32_t *)owner += a;
}

static void take_place(void *owner, uint32_t x, uint32_t y)
{
	if (x > WINDOW_POINTER_MAX || y > WINDOW_POINTER_MAX)
		abort();
	*(uint32_t *)owner += x + y;
}

static void take_two(void *owner, int32_t a, int32_t b)
{
	*(uint32_t *)owner += (uint32_t)a + (uint32_t)b;
}

static void take_focus(void *owner, bool has)
{
	*(uint32_t *)owner += has;
}

static const struct gpu_input_ops input = {take, take_place, take_two, take, take_two, take_focus};

struct host {
	struct fake_guest *guest;
	struct gpu *gpu;
	int window; /* -1: none */
};

static void open_window(struct host *h)
{
	int ends[2];

	if (h->window >= 0)
		close(h->window);
	h->window = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	gpu_attach_window(h->gpu, ends[0]);
	h->window = ends[1];
}

/* A packet with a type that a window may say, mostly; the rest is the input's. */
static void say(const struct host *h, struct fuzz_input *in)
{
	union window_message m;
	const uint8_t type = fuzz_u8(in);

	fuzz_bytes(in, &m, sizeof(struct window_size));
	m.type = type & 0x80 ? type : WINDOW_SIZE + type % 9u;
	if (m.type == WINDOW_SHOWN)
		m.shown.seq = h->gpu->scanouts[m.shown.id %= GPU_SCANOUTS].seq;
	(void)!send(h->window, &m, fuzz_u8(in) % (sizeof(struct window_size) + 1), MSG_DONTWAIT);
}

/* What a window is told must be what a window takes. */
static void hear(const struct host *h)
{
	union window_message m;
	int fd = -1, r;

	while ((r = window_wire_receive(h->window, WINDOW_END_WINDOW, &m, &fd)) == 0)
		if (fd >= 0)
			close(fd);
	if (r == -EPROTO)
		abort();
}

static void screenshot(const struct host *h, unsigned int i)
{
	struct gpu_picture p;

	if (gpu_screenshot(h->gpu, i, &p) == 0)
		close(p.fd);
}

static void host_side(void *arg, uint8_t op, struct fuzz_input *in)
{
	struct host *h = arg;

	switch (op % 8) {
	case 0:
		open_window(h);
		break;
	case 1:
	case 2:
		if (h->window >= 0)
			say(h, in);
		break;
	case 3:
		if (h->window >= 0)
			hear(h);
		break;
	case 4:
		if (h->window >= 0)
			close(h->window);
		h->window = -1;
		break;
	case 5:
		the_time += fuzz_u16(in) * 10u;
		gpu_work(h->gpu);
		break;
	case 6:
		h->gpu->settle.fn(&h->gpu->settle);
		break;
	default:
		screenshot(h, op >> 4);
		break;
	}
	fake_guest_settle(h->guest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct host h = {.guest = fake_guest_new(), .window = -1};
	uint32_t sum = 0;
	const struct gpu_setup setup = {
		.mem = &h.guest->mem,
		.name = "fuzz",
		.width = 64,
		.height = 48,
		.input = &input,
		.owner = &sum,
	};
	struct virtio_device *vdev;

	the_time = 1000000;
	if (virtio_gpu_new(&setup, &vdev, &h.gpu) == 0) {
		h.gpu->now = now;
		fuzz_device(h.guest, vdev, &in, host_side, &h);
	}
	fake_guest_free(h.guest);
	if (h.window >= 0)
		close(h.window);
	return 0;
}
