/* SPDX-License-Identifier: MIT */
/* devices/input.h - virtio-input (VIRTIO 1.2 section 5.8): a keyboard, a tablet, a mouse. */
#ifndef DEVICES_INPUT_H
#define DEVICES_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtio.h"

/*
 * DOC: batches
 *
 * What belongs together (a position, a key) goes to the guest as one batch of events that ends with
 * SYN. A batch for which the guest has not laid out enough buffers is dropped whole and counted,
 * so that no guest sees half of a movement. What must not be lost is that a key or button came up:
 * such releases are remembered by key, go first, and the guest is asked for buffers. A press that
 * was dropped has no release. Without a driver nothing is remembered or counted.
 *
 * As long as no release waits the guest need not kick: an event costs no exit.
 */

struct input; /* the device's host side; dies with the device */

enum input_kind {
	INPUT_KEYBOARD, /* all of input_keys[], three lights; repeats by itself, in the guest */
	INPUT_TABLET, /* absolute, with buttons and wheels */
	INPUT_MOUSE, /* relative, the same */
};

enum {
	INPUT_POSITION_MAX = 32767, /* of the tablet, both axes */
	INPUT_BUTTONS = 5, /* left, middle, right, side, extra */
	INPUT_NOTCH = 120, /* a wheel's unit is this part of a notch */
	INPUT_MOTION_MAX = 1 << 16, /* in one call, either way; also of wheels */
};

/*
 * Optional. The guest set the keyboard's lights: bit 0 Num, 1 Caps, 2 Scroll Lock. On the loop's
 * thread under the device lock: no input_*() call from inside.
 */
typedef void (*input_leds_fn)(void *owner, unsigned int mask);

/* The device for the machine, and the handle for what the user does. `leds` may be NULL. */
int virtio_input_new(enum input_kind kind, input_leds_fn leds, void *owner,
		     struct virtio_device **out_device, struct input **out) MUST_CHECK;

/*
 * What the user does, to a device of a kind that can do it. Any thread, after the device was
 * attached; each takes the device lock. What is out of range is cut to it.
 */
/* A key by its HID usage (page 7). One that is down already, or has no code, is ignored. */
void input_key(struct input *input, unsigned int usage, bool down);
void input_button(struct input *input, unsigned int button, bool down);
/* Everything that is down comes up. */
void input_release_all(struct input *input);
/* The tablet's position, 0 to INPUT_POSITION_MAX. */
void input_position(struct input *input, unsigned int x, unsigned int y);
void input_motion(struct input *input, int dx, int dy);
/* In parts of a notch; up and right are positive. Whole notches are told beside, as Linux does. */
void input_wheel(struct input *input, int vertical, int horizontal);

/* Whether any one batch would be taken now: 1 yes, 0 not before the guest lays out buffers; -ENODEV: it has no driver. */
int input_ready(struct input *input) MUST_CHECK;

/* Batches that were dropped since the device was made. */
uint64_t input_dropped(struct input *input);

#endif
