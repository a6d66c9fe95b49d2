/* SPDX-License-Identifier: MIT */
/* common/loop.h - an event loop over epoll. One thread runs it. */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct loop;
struct loop_source;

/* Runs on the loop's thread, never re-entrantly. `events` is the EPOLL* mask. */
typedef void (*loop_fn)(struct loop_source *src, uint32_t events);

/*
 * A watched fd. Embed one per fd in the owning object and get back to the
 * owner with CONTAINER_OF(); the loop borrows the fd and the memory until
 * loop_remove() returns. A source may be removed, and its memory freed, from
 * any callback of the same loop, also while an event for it is pending.
 */
struct loop_source {
	int fd;
	loop_fn fn;
	const char *name; /* for traces; string literal */
	struct loop *loop; /* NULL while not watched */
};

int loop_new(struct loop **out) MUST_CHECK;
void loop_free(struct loop *loop); /* NULL is fine */

/* Loop thread, or before loop_run(). -EPERM: the fd (a regular file) cannot be watched. */
int loop_add(struct loop *loop, struct loop_source *src, uint32_t events) MUST_CHECK;
/* Changes the mask of a watched source. */
int loop_modify(struct loop_source *src, uint32_t events) MUST_CHECK;
/* Does nothing if src is not watched. */
void loop_remove(struct loop_source *src);

/*
 * Dispatches until loop_stop(), which ends one run, also when it comes before
 * the run; 0, or -errno if epoll itself failed.
 */
int loop_run(struct loop *loop) MUST_CHECK;
/* Safe from any thread and from a signal handler. */
void loop_stop(struct loop *loop);

/*
 * Something to be done on the loop's thread. Embedded; the loop borrows it from
 * loop_post() until fn is called, or the loop is freed.
 */
struct loop_task;
typedef void (*loop_task_fn)(struct loop_task *task);

struct loop_task {
	loop_task_fn fn;
	struct loop_task *next; /* the loop's */
};

/* In the order of the calls. Any thread. Not again before fn was called. */
void loop_post(struct loop *loop, struct loop_task *task);

/*
 * True if loop_stop() or a posted task waits for the loop's thread: a callback that
 * could go on for long is to return. Any thread.
 */
bool loop_is_wanted(const struct loop *loop);

/*
 * A one-shot timer on CLOCK_MONOTONIC. Embedded, like a source; its fd exists
 * from loop_timer_init() to loop_timer_fini().
 */
struct loop_timer;
typedef void (*loop_timer_fn)(struct loop_timer *timer);

struct loop_timer {
	struct loop_source src;
	loop_timer_fn fn;
};

int loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_timer_fn fn,
		    const char *name) MUST_CHECK;
/* Fires once, `ms` milliseconds from now; 0 disarms. */
void loop_timer_set(struct loop_timer *timer, uint64_t ms);
/* A zeroed timer that was never initialised is fine. */
void loop_timer_fini(struct loop_timer *timer);

/*
 * For a timer of a second or more that need not be exact: `ms`, give or take half
 * a second, so that it ends on a whole second of CLOCK_MONOTONIC. The clock is the
 * host's: what waits in several sandboxes fires in one wake-up of the CPU.
 */
uint64_t loop_coarse_ms(uint64_t ms);

#endif
