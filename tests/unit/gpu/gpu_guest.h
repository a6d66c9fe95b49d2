/* SPDX-License-Identifier: MIT */
/* tests/unit/gpu/gpu_guest.h - a driver of virtio-gpu with a clock of its own, and a window. */
#ifndef TESTS_UNIT_GPU_GPU_GUEST_H
#define TESTS_UNIT_GPU_GPU_GUEST_H

#include "gpu/gpu_priv.h"
#include "tests/support/fake_guest.h"

enum {
	OK = VIRTIO_GPU_RESP_OK_NODATA,
	UNSPEC = VIRTIO_GPU_RESP_ERR_UNSPEC,
	NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
	NO_SCANOUT = VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
	NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	WRONG = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
	BGRX = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
	/* What the pictures of most tests are: one page a row. */
	WIDTH = 1024,
	HEIGHT = 64,
	PICTURE = WIDTH * HEIGHT * 4,
};

#define ALL_FEATURES (1ull << VIRTIO_GPU_F_EDID | 1ull << VIRTIO_GPU_F_RESOURCE_BLOB | 1ull << 28)
#define FENCE_ID     0x123456789abcdefull

extern struct fake_guest *guest;
extern struct gpu *gpu;
/* What gpu->now says; microseconds. */
extern uint64_t the_time;
/* What the input ops were called with, as text. */
extern char heard[4096];

void gpu_guest_start(void);
void gpu_guest_stop(void);

/* Sends a command of len bytes in one buffer; the answer's type. */
uint32_t ask(const void *cmd, size_t len);
/* The same with a fence, and the answer's header; -1: it is held. */
long ask_fenced(const void *cmd, size_t len, struct virtio_gpu_ctrl_hdr *answer);
/* Takes an answer that was held; false: there is none. */
bool answered(void);

struct virtio_gpu_resource_create_2d create_2d(uint32_t id, uint32_t format, uint32_t width,
					       uint32_t height);
struct virtio_gpu_resource_unref unref(uint32_t id);
struct virtio_gpu_set_scanout set_scanout(uint32_t scanout, uint32_t id, struct gpu_rect r);
struct virtio_gpu_resource_flush flush(uint32_t id, struct gpu_rect r);
struct virtio_gpu_transfer_to_host_2d transfer(uint32_t id, struct gpu_rect r, uint64_t off);
struct virtio_gpu_resource_detach_backing detach(uint32_t id);

/* Both with a backing of one range. */
uint32_t attach(uint32_t id, gpa_t addr, uint32_t len);
uint32_t create_blob(uint32_t id, gpa_t addr, uint32_t len);

/* Picture `id` of WIDTH x HEIGHT with a backing of its own, shown on scanout 0; its pixels. */
uint32_t *show_picture(uint32_t id);
struct gpu_rect whole_picture(void);
long flush_fenced(uint32_t id, struct gpu_rect r);

/* A window: attaches it, and returns its end. */
int open_window(void);
/* The next message; fails the test if there is none. *fd may be NULL if none comes with it. */
union window_message next_message(int window, int *fd);
/* Reads messages up to one of this type. */
union window_message message_of(int window, uint32_t type, int *fd);
bool silent(int window);
void say(int window, const union window_message *m);
void say_shown(int window, const struct window_frame *frame);
/* The window's size has been the same for long enough. */
void settle_size(void);
/* What the driver is told of the monitors. */
struct virtio_gpu_resp_display_info display_info(void);

#endif
