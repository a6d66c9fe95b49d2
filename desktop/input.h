/* SPDX-License-Identifier: MIT */
/* desktop/input.h - tells the sandbox what the user does in a window. */
#ifndef DESKTOP_INPUT_H
#define DESKTOP_INPUT_H

#include "desktop/link.h"
#include "desktop/window.h"

enum { INPUT_USAGES = 256 };

/* Zeroed: nothing is held. */
struct input {
	bool captured; /* pointer and keyboard belong to the guest; it cannot take them by itself */
	bool held[INPUT_USAGES]; /* keys the guest was told are down */
};

/* The keys of the window itself, all with Ctrl and Alt held. */
enum host_key { HOST_KEY_NONE, HOST_KEY_GRAB, HOST_KEY_FULL_SCREEN, HOST_KEY_MONITOR };

enum host_key input_host_key(const SDL_KeyboardEvent *e);

void input_key(struct input *in, struct link *l, const SDL_KeyboardEvent *e);
void input_motion(const struct input *in, struct link *l, const struct window *w,
		  const SDL_MouseMotionEvent *e);
void input_button(const struct input *in, struct link *l, const struct window *w,
		  const SDL_MouseButtonEvent *e);
void input_wheel(struct link *l, const SDL_MouseWheelEvent *e);
/* Without it nothing is held any more, and the pointer is free. */
void input_focus(struct input *in, struct link *l, const struct window *w, bool has);
void input_capture(struct input *in, const struct window *w, bool captured);

#endif
