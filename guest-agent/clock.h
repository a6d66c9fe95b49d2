/* SPDX-License-Identifier: MIT */
/* guest-agent/clock.h - keeps the guest's clock at the host's time. */
#ifndef GUEST_AGENT_CLOCK_H
#define GUEST_AGENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

/*
 * DOC: how the time is asked for
 *
 * A byte asks, eight answer (SC_PORT_CLOCK). The host's time is that of some moment between
 * question and answer, so their distance bounds the error: the best of a few tries counts
 * where it is long. The clock is set by the difference, forwards or backwards, where it is
 * certainly wrong; monotonic time does not notice.
 *
 * While commands run the next question comes after a second, and after twice as long each time the
 * clock was right. An answer without a question means that the host's clock was set.
 */

/* Adds ns to the clock. */
typedef void (*clock_adjust_fn)(int64_t ns);

struct clock {
	int fd; /* -1: there is nobody to ask */
	clock_adjust_fn adjust;
	uint64_t asked; /* when, of CLOCK_MONOTONIC; 0: no question is open */
	unsigned int tries;
	uint64_t round; /* nanoseconds from question to answer, of the best try */
	int64_t offset; /* what it said */
	uint64_t last, pause; /* when the clock was looked at, how long not again */
	uint8_t answer[8];
	size_t have; /* bytes of it */
};

/* Takes fd over, which does not block. */
void clock_init(struct clock *c, int fd, clock_adjust_fn adjust);
void clock_fini(struct clock *c);

/* Does nothing while a question is open, or when there is nobody to ask. */
void clock_ask(struct clock *c);
/* Something arrived: takes it, and sets the clock if need be. False: nobody answers any more. */
bool clock_hear(struct clock *c);
/* Waits for the answer to an open question, seconds at most. */
void clock_await(struct clock *c);

/* A command begins: asks, unless that was done just now. */
void clock_wake(struct clock *c);
/* Asks if it is time to; the milliseconds until it is next, -1: never. */
int clock_turn(struct clock *c);

#endif
