/* SPDX-License-Identifier: MIT */
/* common/join.h - waits for threads that may never end. */
#ifndef COMMON_JOIN_H
#define COMMON_JOIN_H

#include <pthread.h>
#include <time.h>

#include "common/util.h"

/*
 * How long one slice of waiting is. On a host with much more to do than CPUs each takes
 * longer than that, and so do all of them together: a thread is slow there, not stuck.
 */
enum { JOIN_SLICE_MS = 50 };

/*
 * Joins `thread` if it ends within *slices slices, and takes what was used from *slices, so
 * that several threads can share them; one that has ended already needs none. -ETIMEDOUT:
 * it is still there, and may be joined later.
 */
int join_within(pthread_t thread, unsigned int *slices) MUST_CHECK;

/* When a slice that begins now is over, by CLOCK_MONOTONIC. */
struct timespec join_slice_from_now(void);

#endif
