/* SPDX-License-Identifier: MIT */
/*
 * A display with everyone at it at once: a driver that draws, on the loop's thread, as its doorbells
 * would have it; resets, as on a vCPU's thread; windows that come, type, answer or do not, and go;
 * and a client of the control channel that takes screenshots and sends keys. Under TSan it shows
 * that the devices' locks cover all of them; everywhere it shows that none waits for another.
 */
#include <endian.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_input.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/input.h"
#include "gpu/display.h"
#include "tests/support/fake_guest.h"

enum { WINDOWS = 150, SIDE = 64, PICTURE = SIDE * SIDE * 4, BUFFERS = 64 };

struct stress {
	struct fake_guest *gpu, *inputs[3];
	struct display display;
	struct loop_timer draw;
	gpa_t heap, pixels;
	atomic_bool done;
	unsigned int drawn;
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "stress_display: %s\n", what);
	abort();
}

/* The driver; with the device's lock, which a doorbell takes. */

static void publish(struct stress *s, const void *cmd, size_t len)
{
	struct fake_seg segs[2] = {fake_put(s->gpu, cmd, len),
				   fake_room(s->gpu, sizeof(struct virtio_gpu_ctrl_hdr))};

	(void)fake_publish(s->gpu, 0, segs, 2);
}

static void set_up(struct stress *s)
{
	const struct virtio_gpu_resource_create_2d create = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
		.resource_id = htole32(1),
		.format = htole32(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM),
		.width = htole32(SIDE),
		.height = htole32(SIDE),
	};
	struct {
		struct virtio_gpu_resource_attach_backing c;
		struct virtio_gpu_mem_entry entry;
	} attach = {
		{.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
		 .resource_id = htole32(1),
		 .nr_entries = htole32(1)},
		{.length = htole32(PICTURE)},
	};
	const struct virtio_gpu_set_scanout show = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_SET_SCANOUT),
		.r = {.width = htole32(SIDE), .height = htole32(SIDE)},
		.resource_id = htole32(1),
	};

	fake_release(s->gpu, s->heap);
	fake_guest_restart(s->gpu, 0);
	s->pixels = fake_alloc(s->gpu, PICTURE, 4096);
	attach.entry.addr = htole64(s->pixels);
	publish(s, &create, sizeof(create));
	publish(s, &attach, sizeof(attach));
	publish(s, &show, sizeof(show));
	fake_kick(s->gpu, 0);
}

static void flush(struct stress *s)
{
	const struct virtio_gpu_resource_flush cmd = {
		.hdr = {.type = htole32(VIRTIO_GPU_CMD_RESOURCE_FLUSH),
			.flags = htole32(VIRTIO_GPU_FLAG_FENCE),
			.fence_id = htole64(s->drawn)},
		.r = {.width = htole32(SIDE), .height = htole32(SIDE)},
		.resource_id = htole32(1),
	};
	const gpa_t mark = s->gpu->heap;

	memset(fake_ptr(s->gpu, s->pixels, PICTURE), (int)(s->drawn++ & 0xff), PICTURE);
	publish(s, &cmd, sizeof(cmd));
	fake_kick(s->gpu, 0);
	while (fake_reap(s->gpu, 0, NULL, NULL))
		;
	/* An answer that comes later is written there all the same: nobody reads it. */
	fake_release(s->gpu, mark);
}

static void draw(struct loop_timer *timer)
{
	struct stress *s = CONTAINER_OF(timer, struct stress, draw);

	pthread_mutex_lock(&s->gpu->dev.lock);
	if (!s->gpu->vdev->active)
		set_up(s);
	else
		flush(s);
	pthread_mutex_unlock(&s->gpu->dev.lock);
	loop_timer_set(&s->draw, 1);
}

static void *run_loop(void *arg)
{
	struct stress *s = arg;

	require(loop_run(s->gpu->loop) == 0, "loop_run");
	return NULL;
}

/* The others */

static void *reset_now_and_then(void *arg)
{
	struct stress *s = arg;

	while (!atomic_load(&s->done)) {
		usleep(20000);
		pthread_mutex_lock(&s->gpu->dev.lock);
		virtio_device_reset(s->gpu->vdev);
		pthread_mutex_unlock(&s->gpu->dev.lock);
	}
	return NULL;
}

static void *control(void *arg)
{
	struct stress *s = arg;
	struct gpu_figures figures;
	struct gpu_picture picture;
	uint32_t x, y;

	for (unsigned int n = 0; !atomic_load(&s->done); n++) {
		if (gpu_screenshot(s->display.gpu, n % GPU_SCANOUTS, &picture) == 0)
			close(picture.fd);
		if (gpu_point(s->display.gpu, 0, n % SIDE, 0, &x, &y) == 0)
			input_position(s->display.tablet, x, y);
		if (input_ready(s->display.keyboard) > 0)
			input_key(s->display.keyboard, 4 + n % 20, n & 1);
		gpu_get_figures(s->display.gpu, &figures);
		gpu_say(s->display.gpu, n & 1 ? "one" : "another");
		display_leds(&s->display, n & 7);
		(void)input_dropped(s->display.mouse);
		sched_yield();
	}
	return NULL;
}

static void say(int fd, const union window_message *m)
{
	(void)!window_wire_send(fd, m, -1);
}

/* What it types goes to all three devices. */
static void type(int fd, unsigned int n)
{
	say(fd, &(const union window_message){.key = {WINDOW_KEY, 4 + n % 20, 1}});
	say(fd, &(const union window_message){.pointer = {WINDOW_POINTER, 0, n % 32767, 5}});
	say(fd, &(const union window_message){.motion = {WINDOW_MOTION, 1, -1}});
	say(fd, &(const union window_message){.button = {WINDOW_BUTTON, n % 5, 1}});
	say(fd, &(const union window_message){.size = {WINDOW_SIZE, 0, 60 + n % 9, 60, 20, 20}});
	say(fd, &(const union window_message){.hidden = {WINDOW_HIDDEN, 0, n % 2}});
	say(fd, &(const union window_message){.focus = {WINDOW_FOCUS, 0}});
}

static void answer(int fd, unsigned int tries)
{
	union window_message m;

	for (int got; tries > 0; tries--) {
		if (window_wire_receive(fd, WINDOW_END_WINDOW, &m, &got) < 0) {
			usleep(200);
			continue;
		}
		if (got >= 0)
			close(got);
		if (m.type == WINDOW_FRAME)
			say(fd, &(const union window_message){
					.shown = {WINDOW_SHOWN, m.frame.id, m.frame.seq}});
	}
}

static void windows(struct stress *s)
{
	for (unsigned int n = 0; n < WINDOWS; n++) {
		int ends[2];

		require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
				   ends) == 0,
			"socketpair");
		gpu_attach_window(s->display.gpu, ends[0]);
		type(ends[1], n);
		/* Some answer, some never read, some are gone at once. */
		if (n % 3 == 0)
			answer(ends[1], 40);
		close(ends[1]);
	}
}

static void start_input(struct stress *s, int i, enum input_kind kind, struct input **out)
{
	struct virtio_device *vdev;

	s->inputs[i] = fake_guest_new();
	require(virtio_input_new(kind, NULL, NULL, &vdev, out) == 0, "virtio_input_new");
	fake_guest_start(s->inputs[i], vdev, 0);
	for (unsigned int n = 0; n < BUFFERS; n++) {
		struct fake_seg room = fake_room(s->inputs[i], sizeof(struct virtio_input_event));

		(void)fake_publish(s->inputs[i], 0, &room, 1);
	}
}

static void start(struct stress *s)
{
	struct gpu_setup setup = {.name = "box",
				  .width = SIDE,
				  .height = SIDE,
				  .input = &display_input_ops,
				  .owner = &s->display};
	struct virtio_device *vdev;

	start_input(s, 0, INPUT_KEYBOARD, &s->display.keyboard);
	start_input(s, 1, INPUT_TABLET, &s->display.tablet);
	start_input(s, 2, INPUT_MOUSE, &s->display.mouse);
	s->gpu = fake_guest_new();
	s->heap = s->gpu->heap;
	setup.mem = &s->gpu->mem;
	require(virtio_gpu_new(&setup, &vdev, &s->display.gpu) == 0, "virtio_gpu_new");
	fake_guest_start(s->gpu, vdev, 0);
	fake_guest_reset(s->gpu);
	require(loop_timer_init(&s->draw, s->gpu->loop, draw, "draw") == 0, "timer");
	loop_timer_set(&s->draw, 1);
}

int main(void)
{
	static struct stress s;
	void *(*const others[])(void *arg) = {run_loop, reset_now_and_then, control};
	pthread_t threads[ARRAY_SIZE(others)];

	start(&s);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		require(pthread_create(&threads[i], NULL, others[i], &s) == 0, "pthread_create");
	windows(&s);
	atomic_store(&s.done, true);
	loop_stop(s.gpu->loop);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		pthread_join(threads[i], NULL);
	require(s.drawn > 0, "nothing was drawn");
	loop_timer_fini(&s.draw);
	fake_guest_free(s.gpu);
	for (int i = 0; i < 3; i++)
		fake_guest_free(s.inputs[i]);
	return 0;
}
