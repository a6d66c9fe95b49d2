/* SPDX-License-Identifier: MIT */
/* gpu/pace.h - decides when the next picture of a scanout is taken, and for how long a guest waits for it. */
#ifndef GPU_PACE_H
#define GPU_PACE_H

#include <stdbool.h>
#include <stdint.h>

/* All in microseconds, by any clock that only goes forward. */
enum {
	PACE_PERIOD = 16667, /* between two pictures that someone sees, or that nobody is shown */
	PACE_HIDDEN_PERIOD = 100000,
	PACE_PATIENCE = 100000, /* how long a window may take to show one */
};

enum pace_viewer { PACE_NOBODY, PACE_VISIBLE, PACE_HIDDEN };

enum pace_action {
	PACE_WAIT, /* nothing yet */
	PACE_FRAME, /* take a picture for the window */
	PACE_LET_GO, /* answer the guest although no picture was shown */
};

/* Zeroes at first. */
struct pace {
	uint64_t next; /* no picture before */
	uint64_t sent; /* while `out`: since when the guest waits for it */
	bool out; /* a picture is at the window, which has not shown it */
};

/*
 * The guest waits: what is to be done at `now`? With PACE_WAIT, *until is when to ask
 * again, if pace_shown() does not come first.
 */
enum pace_action pace_ask(struct pace *p, enum pace_viewer viewer, uint64_t now, uint64_t *until);

/* A picture went to the window. */
void pace_sent(struct pace *p, uint64_t now);

/* The window has shown it, or will show none any more. */
void pace_shown(struct pace *p);

#endif
