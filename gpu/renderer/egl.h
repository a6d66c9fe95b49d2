/* SPDX-License-Identifier: MIT */
/* gpu/renderer/egl.h - chooses a GPU of the host and makes GL contexts on it. */
#ifndef GPU_RENDERER_EGL_H
#define GPU_RENDERER_EGL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/util.h"

/*
 * Opens the first device that renders by hardware; with `software` one that does not
 * will do. `driver` is what GL calls it, cut to fit and printable. -ENODEV: there is
 * none, and why[] says in a few words what there is.
 */
int egl_open(bool software, char *driver, size_t driver_size, char *why,
	     size_t why_size) MUST_CHECK;

/* A core context of that version, sharing with the current one if `shared`; NULL: not to be had. */
void *egl_context_new(int major, int minor, bool shared);
void egl_context_free(void *context);
/* Makes it the current one of this thread; NULL: none. */
int egl_context_use(void *context);

#endif
