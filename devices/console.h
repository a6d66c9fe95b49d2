/* SPDX-License-Identifier: MIT */
/* devices/console.h - virtio-console (VIRTIO 1.2 section 5.3): one port, hvc0 in the guest. */
#ifndef DEVICES_CONSOLE_H
#define DEVICES_CONSOLE_H

#include <stdint.h>

#include "devices/virtio/virtio.h"

struct console; /* the device's host side; dies with the device */

enum {
	CONSOLE_INPUT_MAX = 4096, /* bytes that wait for the guest to take them */
	CONSOLE_OUTPUT_CHUNK = 4096, /* the most one output() gets */
	CONSOLE_OUTPUT_BUDGET = 65536, /* bytes before the loop's other sources have a turn */
};

/* Both on the loop's thread, under the device lock: no console_*() call from inside. */
struct console_ops {
	/*
	 * The guest wrote buf[0, len), 1 to CONSOLE_OUTPUT_CHUNK bytes. Must not
	 * block: what cannot be taken now is the owner's to drop. The guest
	 * decides how much comes.
	 */
	void (*output)(void *owner, const void *buf, size_t len);
	/* Optional. After a short console_input(): there is room again. */
	void (*input_room)(void *owner);
};

/* The device for the machine, and the handle for whoever listens and types. */
int virtio_console_new(struct virtio_device **out_device, struct console **out) MUST_CHECK;

/* Who listens, from before the guest runs until the device is gone; output is dropped without. */
void console_set_ops(struct console *console, const struct console_ops *ops, void *owner);

/*
 * Bytes typed at the console; returns how many were taken, fewer than len when
 * CONSOLE_INPUT_MAX wait already. A reset of the device drops what waits. Loop
 * thread, after the device was attached; takes the device lock.
 */
size_t console_input(struct console *console, const void *buf, size_t len);

/* Tells the guest the size of the window, in characters. As console_input(). */
void console_resize(struct console *console, uint16_t cols, uint16_t rows);

#endif
