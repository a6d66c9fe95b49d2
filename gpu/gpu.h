/* SPDX-License-Identifier: MIT */
/* gpu/gpu.h - shows what the guest draws: virtio-gpu in 2D (VIRTIO 1.2 section 5.7). */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/window_wire.h"
#include "devices/board/guest_mem.h"
#include "devices/virtio/virtio.h"

/*
 * DOC: how a picture gets out
 *
 * The guest draws in its own pages and says when a picture is done (a flush).
 * Without a window nothing is copied. With one, the device copies what differs
 * from the last picture into memory that it shares with the window
 * (common/window_wire.h), and answers the flush when the window has shown it;
 * that is the guest's frame clock. Where no window answers, a clock does: 60
 * times a second where nobody looks, 10 times where the window is hidden or
 * does not answer. docs/display.md says more.
 *
 * The device runs on the loop it is attached to, whose thread should serve
 * nothing that is urgent: a picture of 8192 x 8192 takes it tenths of a second.
 * The gpu_*() functions may be called from any thread once the device is attached;
 * they take the device's lock.
 */

struct gpu; /* the device's host side; dies with the device */

enum { GPU_SCANOUTS = WINDOW_SCANOUTS };

/*
 * What a window's user does. Called on the loop's thread without the device's
 * lock. Ranges are those of common/window_wire.h.
 */
struct gpu_input_ops {
	void (*key)(void *owner, uint32_t usage, bool down);
	/* x and y are fractions of all monitors together, side by side from the first on. */
	void (*pointer)(void *owner, uint32_t x, uint32_t y);
	void (*motion)(void *owner, int32_t dx, int32_t dy);
	void (*button)(void *owner, uint32_t button, bool down);
	void (*wheel)(void *owner, int32_t vertical, int32_t horizontal);
	/* false: no key or button is held any more; also when the window is gone. */
	void (*focus)(void *owner, bool has);
};

/* How to have the host's GPU render for the guest. */
struct gpu_host {
	const char *program; /* NULL: sandcastle-gpu, beside our own program or in the PATH */
	int ram_fd; /* the file of guest RAM; borrowed for the call */
	const uint8_t *ram; /* its mapping; borrowed for the device's life */
	uint64_t ram_size;
	bool forced; /* whatever the host has: software, too */
};

struct gpu_setup {
	const struct guest_mem *mem; /* borrowed for the device's life */
	const char *name; /* of the sandbox, for the window's title; copied */
	uint32_t width,
		height; /* of the first monitor, 1 to WINDOW_MAX_SIDE; there are no others yet */
	const struct gpu_input_ops *input; /* all of them; NULL: nobody listens */
	void *owner;
};

int virtio_gpu_new(const struct gpu_setup *setup, struct virtio_device **out_device,
		   struct gpu **out) MUST_CHECK;

/*
 * Gives the guest the host's GPU, if there is one: gpu_host_has_one() looks for a device
 * that may be opened and says why[] there is none; gpu_render_start() starts a process that
 * looks for it, gpu_render_wait() waits for what it found, at most limit_ms. Both before the
 * loop and the guest run. Nothing of that failing is a failure of the device: it draws in
 * software then, and gpu_get_figures() says why. gpu_render_wait() says 0: it is there, -ENODEV:
 * there is none to be had, -EIO: it crashed or hung when it was tried.
 */
bool gpu_host_has_one(char *why, size_t size);
void gpu_render_start(struct gpu *gpu, const struct gpu_host *host);
int gpu_render_wait(struct gpu *gpu, unsigned int limit_ms);
/* The process; 0: there is none. */
pid_t gpu_render_pid(const struct gpu *gpu);
/*
 * All of that without a guest, for who wants to know: 0 or as gpu_render_wait(); says[] is the
 * driver's name, or why not.
 */
int gpu_render_try(unsigned int limit_ms, char *says, size_t size) MUST_CHECK;
/* Nothing was tried; `why` is for the user. */
void gpu_render_none(struct gpu *gpu, const char *why);

/*
 * Has `task` done on `loop` when a GPU that the guest was given is lost, once. The guest's
 * driver does not find out by itself. Before the guest runs; both are borrowed.
 */
void gpu_on_loss(struct gpu *gpu, struct loop *loop, struct loop_task *task);

/*
 * Shows the sandbox in the window at the other end of `socket`, which is taken
 * over and closed when the window goes. A window that was there before is sent away.
 */
void gpu_attach_window(struct gpu *gpu, int socket);

/*
 * Where pixel x, y of what monitor `scanout` shows lies, as gpu_input_ops.pointer() has it; the
 * user counts as pointing there. -EINVAL: no such number; -ENODATA: the guest shows nothing there;
 * -ERANGE: the picture is smaller. Outputs are untouched on failure.
 */
int gpu_point(struct gpu *gpu, unsigned int scanout, uint32_t x, uint32_t y, uint32_t *out_x,
	      uint32_t *out_y) MUST_CHECK;

/* What the guest is at, as a line for the window until the guest draws; a copy is kept, cut to fit. */
void gpu_say(struct gpu *gpu, const char *text);

/* The keyboard's lights, as WINDOW_LEDS has them. Takes no lock. */
void gpu_set_leds(struct gpu *gpu, uint32_t mask);

/* A picture in a sealed memfd that nobody can change; pixels are blue, green, red and a byte without meaning. */
struct gpu_picture {
	int fd; /* the caller's */
	uint32_t width, height;
	uint32_t stride; /* bytes */
};

/*
 * What monitor `scanout` shows now, without the pointer; a window is not needed.
 * -EINVAL: there is no such number; -ENODATA: the guest shows nothing there.
 */
int gpu_screenshot(struct gpu *gpu, unsigned int scanout, struct gpu_picture *out) MUST_CHECK;

/* Counted since the device was made. */
struct gpu_figures {
	uint64_t flushes; /* pictures that the guest declared done */
	uint64_t frames; /* of them, those that went to a window */
	uint64_t copied; /* bytes of pixels */
	uint64_t dropped; /* frames that the window had no room for */
	uint64_t errors; /* commands that were answered with an error */
	bool window; /* there is one now */
	char renderer[160]; /* who draws: "software" or "virgl (...)" */
	char why[192]; /* software: why not the GPU */
	uint64_t gpu_bytes; /* that the guest has of the GPU's memory, by our count */
	uint64_t gpu_errors; /* commands that virglrenderer refused */
	struct {
		uint32_t width, height; /* of the picture; 0: none */
	} scanouts[GPU_SCANOUTS];
};

void gpu_get_figures(struct gpu *gpu, struct gpu_figures *out);

#endif
