/* SPDX-License-Identifier: MIT */
#include "tests/unit/gpu/gpu_guest.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake_guest *guest;
struct gpu *gpu;
uint64_t the_time;
char heard[4096];

static uint64_t now(void)
{
	return the_time;
}

static void hear(const char *fmt, ...) PRINTF_LIKE(1, 2);
static void hear(const char *fmt, ...)
{
	const size_t at = strlen(heard);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(heard + at, sizeof(heard) - at, fmt, ap);
	va_end(ap);
}

static void on_key(void *owner, uint32_t usage, bool down)
{
	(void)owner;
	hear("key %u %d\n", usage, down);
}

static void on_pointer(void *owner, uint32_t x, uint32_t y)
{
	(void)owner;
	hear("pointer %u %u\n", x, y);
}

static void on_motion(void *owner, int32_t dx, int32_t dy)
{
	(void)owner;
	hear("motion %d %d\n", dx, dy);
}

static void on_button(void *owner, uint32_t button, bool down)
{
	(void)owner;
	hear("button %u %d\n", button, down);
}

static void on_wheel(void *owner, int32_t vertical, int32_t horizontal)
{
	(void)owner;
	hear("wheel %d %d\n", vertical, horizontal);
}

static void on_focus(void *owner, bool has)
{
	(void)owner;
	hear("focus %d\n", has);
}

static const struct gpu_input_ops input_ops = {
	.key = on_key,
	.pointer = on_pointer,
	.motion = on_motion,
	.button = on_button,
	.wheel = on_wheel,
	.focus = on_focus,
};

void gpu_guest_start(void)
{
	struct virtio_device *vdev;
	struct gpu_setup setup = {
		.name = "box\n", .width = 1920, .height = 1080, .input = &input_ops};

	guest = fake_guest_new();
	setup.mem = &guest->mem;
	cr_assert_eq(virtio_gpu_new(&setup, &vdev, &gpu), 0);
	the_time = 1000000;
	gpu->now = now;
	fake_guest_start(guest, vdev, ALL_FEATURES);
}

void gpu_guest_stop(void)
{
	fake_guest_free(guest);
}

uint32_t ask(const void *cmd, size_t len)
{
	struct virtio_gpu_ctrl_hdr answer = {0};

	cr_assert_eq(fake_request(guest, 0, cmd, len, &answer, sizeof(answer)), sizeof(answer));
	cr_assert_eq(answer.flags, 0);
	return le32toh(answer.type);
}

long ask_fenced(const void *cmd, size_t len, struct virtio_gpu_ctrl_hdr *answer)
{
	union {
		struct virtio_gpu_ctrl_hdr hdr;
		uint8_t bytes[256];
	} copy;

	cr_assert_leq(len, sizeof(copy));
	memcpy(copy.bytes, cmd, len);
	copy.hdr.flags = htole32(VIRTIO_GPU_FLAG_FENCE);
	copy.hdr.fence_id = htole64(FENCE_ID);
	return fake_request(guest, 0, &copy, len, answer, sizeof(*answer));
}

bool answered(void)
{
	fake_guest_settle(guest);
	return fake_reap(guest, 0, NULL, NULL);
}

static struct virtio_gpu_ctrl_hdr hdr(uint32_t type)
{
	return (struct virtio_gpu_ctrl_hdr){.type = htole32(type)};
}

static struct virtio_gpu_rect rect(struct gpu_rect r)
{
	return (struct virtio_gpu_rect){htole32(r.x), htole32(r.y), htole32(r.width),
					htole32(r.height)};
}

struct virtio_gpu_resource_create_2d create_2d(uint32_t id, uint32_t format, uint32_t width,
					       uint32_t height)
{
	return (struct virtio_gpu_resource_create_2d){
		.hdr = hdr(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
		.resource_id = htole32(id),
		.format = htole32(format),
		.width = htole32(width),
		.height = htole32(height),
	};
}

struct virtio_gpu_resource_unref unref(uint32_t id)
{
	return (struct virtio_gpu_resource_unref){
		.hdr = hdr(VIRTIO_GPU_CMD_RESOURCE_UNREF),
		.resource_id = htole32(id),
	};
}

struct virtio_gpu_set_scanout set_scanout(uint32_t scanout, uint32_t id, struct gpu_rect r)
{
	return (struct virtio_gpu_set_scanout){
		.hdr = hdr(VIRTIO_GPU_CMD_SET_SCANOUT),
		.r = rect(r),
		.scanout_id = htole32(scanout),
		.resource_id = htole32(id),
	};
}

struct virtio_gpu_resource_flush flush(uint32_t id, struct gpu_rect r)
{
	return (struct virtio_gpu_resource_flush){
		.hdr = hdr(VIRTIO_GPU_CMD_RESOURCE_FLUSH),
		.r = rect(r),
		.resource_id = htole32(id),
	};
}

struct virtio_gpu_transfer_to_host_2d transfer(uint32_t id, struct gpu_rect r, uint64_t off)
{
	return (struct virtio_gpu_transfer_to_host_2d){
		.hdr = hdr(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D),
		.r = rect(r),
		.offset = htole64(off),
		.resource_id = htole32(id),
	};
}

struct virtio_gpu_resource_detach_backing detach(uint32_t id)
{
	return (struct virtio_gpu_resource_detach_backing){
		.hdr = hdr(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
		.resource_id = htole32(id),
	};
}

static uint32_t ask_with_entry(const void *cmd, size_t len, gpa_t addr, uint32_t size)
{
	const struct virtio_gpu_mem_entry entry = {.addr = htole64(addr), .length = htole32(size)};
	uint8_t bytes[128];

	memcpy(bytes, cmd, len);
	memcpy(bytes + len, &entry, sizeof(entry));
	return ask(bytes, len + sizeof(entry));
}

uint32_t attach(uint32_t id, gpa_t addr, uint32_t len)
{
	const struct virtio_gpu_resource_attach_backing c = {
		.hdr = hdr(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
		.resource_id = htole32(id),
		.nr_entries = htole32(1),
	};

	return ask_with_entry(&c, sizeof(c), addr, len);
}

uint32_t create_blob(uint32_t id, gpa_t addr, uint32_t len)
{
	const struct virtio_gpu_resource_create_blob c = {
		.hdr = hdr(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
		.resource_id = htole32(id),
		.blob_mem = htole32(VIRTIO_GPU_BLOB_MEM_GUEST),
		.size = htole64(len),
		.nr_entries = htole32(1),
	};

	return ask_with_entry(&c, sizeof(c), addr, len);
}

struct gpu_rect whole_picture(void)
{
	return (struct gpu_rect){0, 0, WIDTH, HEIGHT};
}

uint32_t *show_picture(uint32_t id)
{
	const struct virtio_gpu_resource_create_2d c = create_2d(id, BGRX, WIDTH, HEIGHT);
	const struct virtio_gpu_set_scanout s = set_scanout(0, id, whole_picture());
	const gpa_t pixels = fake_alloc(guest, PICTURE, 4096);

	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_assert_eq(attach(id, pixels, PICTURE), OK);
	cr_assert_eq(ask(&s, sizeof(s)), OK);
	return fake_ptr(guest, pixels, PICTURE);
}

long flush_fenced(uint32_t id, struct gpu_rect r)
{
	const struct virtio_gpu_resource_flush f = flush(id, r);
	struct virtio_gpu_ctrl_hdr answer;

	return ask_fenced(&f, sizeof(f), &answer);
}

int open_window(void)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	gpu_attach_window(gpu, ends[0]);
	fake_guest_settle(guest);
	return ends[1];
}

union window_message next_message(int window, int *fd)
{
	union window_message m = {0};
	int came = -1;

	cr_assert_eq(window_wire_receive(window, WINDOW_END_WINDOW, &m, &came), 0);
	if (fd)
		*fd = came;
	else if (came >= 0)
		close(came);
	return m;
}

union window_message message_of(int window, uint32_t type, int *fd)
{
	union window_message m;

	do {
		int came = -1;

		m = next_message(window, &came);
		if (m.type == type && fd)
			*fd = came;
		else if (came >= 0)
			close(came);
	} while (m.type != type);
	return m;
}

bool silent(int window)
{
	union window_message m;
	int fd;

	fake_guest_settle(guest);
	return window_wire_receive(window, WINDOW_END_WINDOW, &m, &fd) == -EAGAIN;
}

void say(int window, const union window_message *m)
{
	cr_assert_eq(window_wire_send(window, m, -1), 0);
	fake_guest_settle(guest);
}

void say_shown(int window, const struct window_frame *frame)
{
	const union window_message m = {
		.shown = {.type = WINDOW_SHOWN, .id = frame->id, .seq = frame->seq},
	};

	say(window, &m);
}

void settle_size(void)
{
	/* The timer is the loop's: what it does is done here. */
	loop_timer_set(&gpu->settle, 0);
	gpu->settle.fn(&gpu->settle);
}

struct virtio_gpu_resp_display_info display_info(void)
{
	const struct virtio_gpu_ctrl_hdr c = {.type = htole32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO)};
	struct virtio_gpu_resp_display_info info;

	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), &info, sizeof(info)), sizeof(info));
	return info;
}
