/* SPDX-License-Identifier: MIT */
#include "desktop/input.h"

#include <string.h>

enum { NOTCH = 120, WHEEL_MAX = 12000 };

enum host_key input_host_key(const SDL_KeyboardEvent *e)
{
	if (!(e->keysym.mod & KMOD_CTRL) || !(e->keysym.mod & KMOD_ALT))
		return HOST_KEY_NONE;
	/* By place, as all keys: G is where it is on a US board, whatever the layout. */
	switch (e->keysym.scancode) {
	case SDL_SCANCODE_G:
		return HOST_KEY_GRAB;
	case SDL_SCANCODE_F:
		return HOST_KEY_FULL_SCREEN;
	case SDL_SCANCODE_M:
		return HOST_KEY_MONITOR;
	default:
		return HOST_KEY_NONE;
	}
}

/* SDL's scan codes are the USB usages of page 7 as far as that has any; the guest repeats by itself. */
void input_key(struct input *in, struct link *l, const SDL_KeyboardEvent *e)
{
	const unsigned int usage = e->keysym.scancode;
	const bool down = e->type == SDL_KEYDOWN;
	const union window_message m = {
		.key = {.type = WINDOW_KEY, .usage = usage, .down = down},
	};

	if (usage >= INPUT_USAGES || e->repeat || in->held[usage] == down)
		return;
	if (link_send(l, &m) || !down)
		in->held[usage] = down;
}

static void point(struct link *l, const struct window *w, int x, int y)
{
	union window_message m = {.pointer = {.type = WINDOW_POINTER, .id = w->id}};

	window_to_pixels(w, &x, &y);
	m.pointer.x = canvas_fraction(x, w->box.x, w->box.width);
	m.pointer.y = canvas_fraction(y, w->box.y, w->box.height);
	(void)link_send(l, &m);
}

static int cut(int v, int max)
{
	return v < -max ? -max : v > max ? max : v;
}

void input_motion(const struct input *in, struct link *l, const struct window *w,
		  const SDL_MouseMotionEvent *e)
{
	const union window_message m = {
		.motion = {.type = WINDOW_MOTION,
			   .dx = cut(e->xrel, WINDOW_MAX_SIDE),
			   .dy = cut(e->yrel, WINDOW_MAX_SIDE)},
	};

	if (in->captured)
		(void)link_send(l, &m);
	else
		point(l, w, e->x, e->y);
}

void input_button(const struct input *in, struct link *l, const struct window *w,
		  const SDL_MouseButtonEvent *e)
{
	const union window_message m = {
		.button = {.type = WINDOW_BUTTON,
			   .button = e->button - 1U,
			   .down = e->type == SDL_MOUSEBUTTONDOWN},
	};

	if (e->button < SDL_BUTTON_LEFT || e->button > SDL_BUTTON_X2)
		return;
	/* A click after a time outside may come without a movement before it. */
	if (!in->captured)
		point(l, w, e->x, e->y);
	(void)link_send(l, &m);
}

static int notches(float turned)
{
	const float parts = turned * NOTCH;

	return cut((int)(parts < 0 ? parts - 0.5F : parts + 0.5F), WHEEL_MAX);
}

void input_wheel(struct link *l, const SDL_MouseWheelEvent *e)
{
	const union window_message m = {
		.wheel = {.type = WINDOW_WHEEL,
			  .vertical = notches(e->preciseY),
			  .horizontal = notches(e->preciseX)},
	};

	(void)link_send(l, &m);
}

void input_focus(struct input *in, struct link *l, const struct window *w, bool has)
{
	const union window_message m = {.focus = {.type = WINDOW_FOCUS, .has = has}};

	memset(in->held, 0, sizeof(in->held));
	if (!has && in->captured)
		input_capture(in, w, false);
	(void)link_send(l, &m);
}

void input_capture(struct input *in, const struct window *w, bool captured)
{
	in->captured = captured;
	SDL_SetWindowKeyboardGrab(w->sdl, captured);
	SDL_SetRelativeMouseMode(captured);
}
