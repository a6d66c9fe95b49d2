/* SPDX-License-Identifier: MIT */
/*
 * tests/support/fake_handles.h - a console, a keeper of memory and a battery without a guest. To be
 * compiled in, so that its functions stand for those of the devices.
 */
#ifndef TESTS_SUPPORT_FAKE_HANDLES_H
#define TESTS_SUPPORT_FAKE_HANDLES_H

#include <stddef.h>
#include <stdint.h>

#include "balloon/keeper.h"
#include "devices/console.h"

struct console {
	const struct console_ops *ops;
	void *owner;
	size_t room; /* how much more of what is typed it takes */
	char typed[256]; /* the first of it */
	size_t typed_len;
	uint16_t rows, columns;
};

struct fake_keeper {
	struct balloon_observer obs;
	uint64_t resident;
	keeper_figures_fn asked; /* NULL: nobody waits */
	void *asker;
	keeper_pressure_fn pressure;
	void *pressure_owner;
};

void fake_console_output(struct console *console, const void *buf, size_t len);
void fake_console_room(struct console *console);

/* Answers the one who waits, if there is one. */
void fake_keeper_answer(struct fake_keeper *k, const struct figures *figures);
void fake_keeper_pressure(struct fake_keeper *k, bool squeezing);

/* battery_json() of any device: mains, no battery. */

#endif
