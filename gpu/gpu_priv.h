/* SPDX-License-Identifier: MIT */
/* gpu/gpu_priv.h - what the files of gpu/ share. Everything here is called under the device's lock. */
#ifndef GPU_GPU_PRIV_H
#define GPU_GPU_PRIV_H

#include <linux/virtio_gpu.h>
#include <stdatomic.h>

#include "common/loop.h"
#include "gpu/edid.h"
#include "gpu/gpu.h"
#include "gpu/pace.h"
#include "gpu/rect.h"
#include "gpu/render.h"
#include "gpu/resources.h"

enum { GPU_Q_CONTROL, GPU_Q_CURSOR, GPU_N_QUEUES };

enum {
	GPU_QUEUE_SIZE = 256,
	GPU_CURSOR_QUEUE_SIZE = 16,
	/* A blob of GPU_MAX_BLOB in single pages: its list fills 512 pages, and there are two headers. */
	GPU_MORE_SEGS = 514 - VIRTQ_MAX_SEGS,
	GPU_MAX_CHAIN = (2 << 20) + 8192, /* bytes of such a command */
	GPU_SETTLE_MS = 100, /* a window's size is its last one after so long */
};

/* Bytes of host memory that all surfaces together may take: two pictures of 8192 x 8192. */
#define GPU_MAX_SURFACES (512ull << 20)

/* The memory a window is shown one scanout through: two buffers, used in turn. */
struct gpu_surface {
	int fd; /* -1: none */
	uint8_t *map;
	size_t len;
	uint32_t width, height, stride;
	unsigned int shown; /* the buffer with the last frame */
	bool blank; /* there was no frame yet */
	struct gpu_rect stale; /* where the other one is older than the one shown */
};

/* The pointer's picture. */
struct gpu_cursor {
	bool visible;
	uint32_t hot_x, hot_y;
	bool told; /* the guest said where the hotspot is */
	bool found; /* or it was found out */
	int32_t x, y; /* where the guest has put the picture */
	/* The last place that the window's user pointed at, in pixels; and what the guest's place makes of it. */
	bool pointed, guessed;
	int32_t pointer_x, pointer_y, guess_x, guess_y;
	uint8_t pixels[WINDOW_CURSOR_SIDE * WINDOW_CURSOR_SIDE * 4];
};

/* The guest was told of another size: whether its picture has it is looked at later. */
struct gpu_follow {
	uint64_t at; /* when, in microseconds; 0: it is not waited for */
	bool unseen; /* its driver has not asked since */
	bool pulled; /* the guest is told that no monitor is there until then */
	unsigned int pulls; /* that are over */
};

struct gpu_scanout {
	/* Width 0: unplugged. `asked` is what it will be when the window has settled. */
	struct edid_monitor monitor, asked;
	bool changing;
	struct gpu_follow follow;

	/* What is shown: NULL for nothing. */
	struct gpu_resource *res;
	uint32_t format;
	uint64_t off; /* of the first pixel */
	uint32_t stride;
	struct gpu_rect at; /* the part of the driver's frame buffer that it shows */

	struct gpu_rect dirty; /* flushed, but not copied */
	struct gpu_surface surface;
	uint32_t seq; /* of the last frame */
	struct pace pace;
	struct gpu_cursor cursor;
};

/* A command that was done, whose answer waits for a picture or for the one before it. */
struct gpu_held {
	uint16_t head;
	uint32_t written;
	uint8_t uncopied, unshown; /* scanouts that it waits for, a bit each */
	uint32_t fence; /* of the renderer's, that it waits for; 0: none */
};

/* A scanout whose picture the renderer has: it is read back into a slot, and shown from there. */
struct gpu_3d_scanout {
	struct gpu_resource *res; /* the renderer's; NULL: the scanout shows none of those */
	struct gpu_resource shadow; /* the slot, as a picture of the same size */
	struct gpu_run run;
	struct gpu_rect pending; /* flushed, but not read back */
	uint32_t read; /* number of the READ that is out; 0: none */
	struct gpu_rect reading; /* what it brings */
	uint64_t next; /* where nobody looks: not before */
};

enum { GPU_MAX_CONTEXTS = 64 };

struct gpu_3d {
	struct render render;
	bool offered; /* the driver was told of a GPU */
	bool want_reset; /* the renderer has a former driver's things still */
	uint32_t contexts[GPU_MAX_CONTEXTS]; /* the guest's numbers; 0: free */
	struct gpu_3d_scanout scanouts[GPU_SCANOUTS];
	uint32_t last_read;
	bool blocked; /* commands wait for the renderer, or for a picture */
	uint64_t stall_until; /* 0: not for a picture */
	struct loop_timer watch;
	bool watching;
	struct loop *loss_loop; /* whose loss_task is due when the renderer is lost */
	struct loop_task *loss_task; /* NULL: nobody asked, or it was posted */
};

/* What of the host's side a window has not been told; bits of gpu_window.pending. */
enum {
	GPU_TELL_SCANOUT = 1,
	GPU_TELL_OFF = 2,
	GPU_TELL_CURSOR = 4,
	GPU_TELL_CURSOR_AT = 8,
};

struct gpu_window {
	struct loop_source src; /* fd -1: no window */
	uint8_t pending[GPU_SCANOUTS];
	bool tell_hello, tell_state, tell_leds;
	bool full; /* waits for room in the socket */
	bool hidden[GPU_SCANOUTS];
};

/* A command while it is worked on. */
struct gpu_request {
	const struct virtq_chain *chain;
	union {
		struct virtio_gpu_ctrl_hdr hdr;
		struct virtio_gpu_resource_create_2d create_2d;
		struct virtio_gpu_resource_unref unref;
		struct virtio_gpu_set_scanout set_scanout;
		struct virtio_gpu_resource_flush flush;
		struct virtio_gpu_transfer_to_host_2d transfer;
		struct virtio_gpu_resource_attach_backing attach;
		struct virtio_gpu_resource_detach_backing detach;
		struct virtio_gpu_get_capset_info capset_info;
		struct virtio_gpu_cmd_get_edid edid;
		struct virtio_gpu_resource_create_blob blob;
		struct virtio_gpu_set_scanout_blob scanout_blob;
		struct virtio_gpu_update_cursor cursor;
		struct virtio_gpu_resource_create_3d create_3d;
		struct virtio_gpu_transfer_host_3d transfer_3d;
		struct virtio_gpu_ctx_create ctx_create;
		struct virtio_gpu_ctx_resource ctx_resource;
		struct virtio_gpu_cmd_submit submit;
		struct virtio_gpu_get_capset capset;
	} cmd;
	union {
		struct virtio_gpu_ctrl_hdr hdr;
		struct virtio_gpu_resp_display_info display;
		struct virtio_gpu_resp_edid edid;
		struct virtio_gpu_resp_capset_info capset_info;
		struct {
			struct virtio_gpu_ctrl_hdr hdr;
			uint8_t data[RENDER_CAPSET_MAX];
		} capset;
	} answer;
	size_t answer_len;
	uint8_t waits; /* scanouts whose next picture the answer waits for, if it is fenced */
};

struct gpu {
	struct virtio_device vdev;
	struct virtio_gpu_config config;
	const struct gpu_input_ops *input;
	void *owner;
	char name[64];
	uint64_t (*now)(void); /* microseconds; tests have a clock of their own */

	struct device *dev; /* set on attach */
	struct loop *loop;
	struct loop_timer tick, settle;
	struct loop_task task, leds_task;
	uint64_t tick_at; /* what `tick` is set to; UINT64_MAX: not */
	bool task_posted;
	bool unheld; /* a window is gone, and the listener has not heard of it */
	atomic_bool leds_posted;
	atomic_uint leds;

	struct gpu_3d three_d;
	struct gpu_resources resources;
	struct gpu_scanout scanouts[GPU_SCANOUTS];
	uint64_t surface_bytes;

	struct gpu_held held[GPU_QUEUE_SIZE]; /* a ring */
	unsigned int first_held, n_held;

	struct gpu_window window;
	int next_window; /* a socket that the loop's thread is to take; -1: none */
	char state[sizeof(((struct window_state *)0)->text)];
	struct gpu_figures figures;

	struct gpu_request request; /* scratch of one command */
	struct virtq_chain chain;
	struct iovec more[GPU_MORE_SEGS];
};

/* gpu.c */

/* Does now or later whatever is due: pictures, answers, messages. Loop thread. */
void gpu_work(struct gpu *gpu);
/* Has gpu_work() called soon, on the loop's thread. */
void gpu_wake(struct gpu *gpu);

/* Who draws, for the user. */
void gpu_renderer_text(const struct gpu *gpu, char *text, size_t size);
/* Of all features of the device, those for the driver that comes next. */
void gpu_choose_features(struct gpu *gpu);

/* commands_2d.c */

/* Carries out gpu->request.cmd and says what it is answered with. Unknown ones are ERR_UNSPEC. */
uint32_t gpu_command(struct gpu *gpu, struct gpu_request *rq);

/* commands_3d.c: does nothing, or answers with an error, where the driver has no GPU */

/* True if the driver was given a GPU, and it is there still. */
bool gpu_3d_on(const struct gpu *gpu);
uint32_t gpu_3d_command(struct gpu *gpu, struct gpu_request *rq);
/* What happens to a resource of 2D happens to the renderer's of the same number, too. */
uint32_t gpu_3d_create_2d(struct gpu *gpu, struct gpu_resource *res);
void gpu_3d_backed(struct gpu *gpu, const struct gpu_resource *res);
void gpu_3d_unbacked(struct gpu *gpu, const struct gpu_resource *res);
void gpu_3d_unref(struct gpu *gpu, const struct gpu_resource *res);
void gpu_3d_transfer_2d(struct gpu *gpu, const struct gpu_resource *res, const struct gpu_rect *r,
			uint64_t off);

/* picture_3d.c: from the renderer to scanouts, and when commands wait */

uint32_t gpu_3d_show(struct gpu *gpu, unsigned int i, struct gpu_resource *res,
		     const struct gpu_rect *at);
/* Scanout i shows nothing of the renderer's any more. */
void gpu_3d_hide(struct gpu *gpu, unsigned int i);
/* Part r of res is a new picture. */
void gpu_3d_flush(struct gpu *gpu, const struct gpu_resource *res, const struct gpu_rect *r);
/* The number that an answer which is given now has to wait for; 0: none. */
uint32_t gpu_3d_fence(struct gpu *gpu);
/* True if the next command has to wait. */
bool gpu_3d_blocked(struct gpu *gpu);
/* Does what is due; *until becomes sooner if something is due later. Loop thread. */
void gpu_3d_work(struct gpu *gpu, uint64_t now, uint64_t *until);
void gpu_3d_reset(struct gpu *gpu);
int gpu_3d_attach(struct gpu *gpu) MUST_CHECK;
void gpu_3d_destroy(struct gpu *gpu);

/* scanout.c */

void scanout_init(struct gpu_scanout *s);
void scanout_fini(struct gpu *gpu, struct gpu_scanout *s);
/* Where scanout i begins, if the monitors stand side by side. */
uint32_t scanout_left(const struct gpu *gpu, unsigned int i);
/* Shows nothing there any more. */
void scanout_off(struct gpu *gpu, unsigned int i);
/* Shows `at` of res from here on: pixels of `format`, rows of `stride` bytes, the first pixel at `off`. */
void scanout_show(struct gpu *gpu, unsigned int i, struct gpu_resource *res, uint32_t format,
		  uint64_t off, uint32_t stride, const struct gpu_rect *at);
/* The scanouts that show res, a bit each. */
uint8_t scanout_of(const struct gpu *gpu, const struct gpu_resource *res);
/* Makes a surface for the window, if there is none that fits; without one the window shows nothing. */
void scanout_present(struct gpu *gpu, unsigned int i);
void scanout_drop_surface(struct gpu *gpu, struct gpu_scanout *s);
/*
 * Copies what differs into the buffer that the window does not show, which is
 * *buffer; *damage is where, empty: nowhere. Then scanout_flip() if the window
 * was told, else scanout_keep().
 */
void scanout_copy(struct gpu *gpu, struct gpu_scanout *s, unsigned int *buffer,
		  struct gpu_rect *damage);
void scanout_flip(struct gpu_scanout *s, const struct gpu_rect *damage);
void scanout_keep(struct gpu_scanout *s, const struct gpu_rect *damage);
int scanout_picture(const struct gpu_scanout *s, struct gpu_picture *out) MUST_CHECK;

/* monitors.c */

/* What a window says its size is becomes the monitor's when it has settled. Loop thread. */
void monitor_resize(struct gpu *gpu, const struct window_size *size);
void monitors_settled(struct gpu *gpu);
/* The driver is given what monitors there are. Loop thread; gpu_work() is due. */
void monitors_seen(struct gpu *gpu);
/* The width that the guest is told; 0: no monitor. */
uint32_t monitor_width(const struct gpu_scanout *s);
/* Has a guest that did not follow look again; *until becomes sooner if that is due later. Loop thread. */
void monitors_work(struct gpu *gpu, uint64_t now, uint64_t *until);
/* The next driver sees all monitors. */
void monitors_reset(struct gpu *gpu);

/* cursor.c */

uint32_t cursor_update(struct gpu *gpu, const struct virtio_gpu_update_cursor *cmd);
uint32_t cursor_move(struct gpu *gpu, const struct virtio_gpu_update_cursor *cmd);
/* The user points at a place of scanout i. */
void cursor_pointed(struct gpu *gpu, unsigned int i, uint32_t x, uint32_t y);
void cursor_forget(struct gpu_cursor *c);
/* How a window shows it: enum window_pointer_kind. */
uint32_t cursor_kind(const struct gpu_cursor *c);

/* window.c */

void window_init(struct gpu_window *w);
bool window_there(const struct gpu *gpu);
enum pace_viewer window_viewer(const struct gpu *gpu, unsigned int i);
/* Takes the place of what was there. Loop thread. */
void window_open(struct gpu *gpu, int socket);
void window_close(struct gpu *gpu);
/* Sends what is pending, as far as there is room. Loop thread. */
void window_sync(struct gpu *gpu);
/* 0, or -EAGAIN: no room, or the window does not know the scanout yet. */
int window_frame(struct gpu *gpu, unsigned int i, unsigned int buffer,
		 const struct gpu_rect *damage) MUST_CHECK;

#endif
