/* SPDX-License-Identifier: MIT */
/* gpu/display.h - a guest's screen, keyboard and pointers as one thing: what a window's user sees and does. */
#ifndef GPU_DISPLAY_H
#define GPU_DISPLAY_H

#include <stdbool.h>

#include "gpu/gpu.h"

struct input;

/* The devices of a machine, which owns them; all there before display_input_ops are called. */
struct display {
	struct gpu *gpu;
	struct input *keyboard, *tablet, *mouse;
	bool captured; /* the user moved the mouse last, not the tablet; the loop's thread */
};

/*
 * Passes what a window's user does on to the devices, and the keyboard's lights to the
 * window. The owner of both is a struct display.
 */
extern const struct gpu_input_ops display_input_ops;
void display_leds(void *owner, unsigned int mask);

#endif
