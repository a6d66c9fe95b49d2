/* SPDX-License-Identifier: MIT */
/* vmm/threads.h - the threads of the VMM beside the main one and the vCPUs'. */
#ifndef VMM_THREADS_H
#define VMM_THREADS_H

#include <pthread.h>
#include <stdbool.h>

#include "common/util.h"

struct loop;

/* A loop with a thread of its own. Embedded; a zeroed one is stopped and finished already. */
struct side_loop {
	const char *name; /* of the thread, at most 15 characters */
	/* The loop's epoll failed with `error`, a positive errno, and the thread ends. On that thread. */
	void (*failed)(void *owner, const char *name, int error);
	/* The first that the thread does; it ends unless this says 0. NULL: nothing. On that thread. */
	int (*first)(struct side_loop *side);
	/* The last that the thread does when it was asked to stop; NULL: nothing. */
	void (*last)(void *owner);
	void *owner;

	struct loop *loop; /* side_loop_init() makes it */
	pthread_t thread;
	bool started;
};

/* Makes the loop; name, failed, first, last and owner are the caller's to set before. */
int side_loop_init(struct side_loop *side) MUST_CHECK;
/* From here on the loop belongs to its thread, which gets no signals. */
int side_loop_start(struct side_loop *side) MUST_CHECK;
/* Asks the thread to end and does not wait. Fine if it was never started. */
void side_loop_ask_to_stop(struct side_loop *side);
/*
 * Joins one that was asked to; see join_within() for the slices. -ETIMEDOUT: it is still at
 * work. Fine if it was never started, or joined before.
 */
int side_loop_join(struct side_loop *side, unsigned int *slices) MUST_CHECK;
/* Frees the loop of a stopped one, after all that watches something in it. */
void side_loop_fini(struct side_loop *side);

/*
 * Makes the stacks of the process's threads small from here on. The usual 8 MiB are wide
 * enough for a huge page, and a host that gives those to everyone gives 2 MiB to each thread.
 */
int threads_small_stacks(void) MUST_CHECK;

#endif
