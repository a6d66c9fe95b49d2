/* SPDX-License-Identifier: MIT */
/* gpu/renderer/virgl.h - the one caller of virglrenderer. One thread; one renderer a process. */
#ifndef GPU_RENDERER_VIRGL_H
#define GPU_RENDERER_VIRGL_H

#include <stdbool.h>
#include <stdint.h>

#include "gpu/render_wire.h"

struct virgl_memory {
	uint8_t *ram, *area; /* mapped for good */
	uint64_t ram_size;
};

/*
 * Starts virglrenderer on what egl_open() found, renders a picture to see that it can, and
 * fills the capsets in. -ENODEV: it cannot, and hello->why says how far it came.
 */
int virgl_open(const struct virgl_memory *memory, struct render_hello *hello) MUST_CHECK;
void virgl_close(void);

/* Carries a message out. -EINVAL: virglrenderer, or we, do not take it; nothing else happens. */
int virgl_do(const struct render_message *m) MUST_CHECK;

/* Readable when virgl_poll() has something to say; -1: it has to be asked now and then. */
int virgl_poll_fd(void);
/* True if there is news: all fences up to *n are done. */
bool virgl_poll(uint32_t *n);
/* There are fences that are not done. */
bool virgl_waits(void);
/* After RESET: the last fence that was asked for before. */
uint32_t virgl_forgotten(void);

#endif
