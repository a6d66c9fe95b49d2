/* SPDX-License-Identifier: MIT */
#include "gpu/display.h"

#include "devices/input.h"

/* Buttons and wheels are of what was moved last: guests look at a pointer's events together. */
static struct input *pointing(const struct display *d)
{
	return d->captured ? d->mouse : d->tablet;
}

static void key(void *owner, uint32_t usage, bool down)
{
	const struct display *d = owner;

	input_key(d->keyboard, usage, down);
}

static void pointer(void *owner, uint32_t x, uint32_t y)
{
	struct display *d = owner;

	d->captured = false;
	input_position(d->tablet, x, y);
}

static void motion(void *owner, int32_t dx, int32_t dy)
{
	struct display *d = owner;

	d->captured = true;
	input_motion(d->mouse, dx, dy);
}

static void button(void *owner, uint32_t number, bool down)
{
	const struct display *d = owner;

	input_button(pointing(d), number, down);
}

static void wheel(void *owner, int32_t vertical, int32_t horizontal)
{
	const struct display *d = owner;

	input_wheel(pointing(d), vertical, horizontal);
}

static void focus(void *owner, bool has)
{
	const struct display *d = owner;

	if (has)
		return;
	input_release_all(d->keyboard);
	input_release_all(d->tablet);
	input_release_all(d->mouse);
}

const struct gpu_input_ops display_input_ops = {
	.key = key,
	.pointer = pointer,
	.motion = motion,
	.button = button,
	.wheel = wheel,
	.focus = focus,
};

void display_leds(void *owner, unsigned int mask)
{
	const struct display *d = owner;

	gpu_set_leds(d->gpu, mask);
}
