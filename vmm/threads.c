/* SPDX-License-Identifier: MIT */
#include "vmm/threads.h"

#include <signal.h>
#include <sys/prctl.h>

#include "common/join.h"
#include "common/loop.h"

enum { THREAD_STACK = 512 << 10 };

static void *side_thread(void *arg)
{
	struct side_loop *side = arg;
	int r;

	(void)prctl(PR_SET_NAME, side->name);
	if (side->first && side->first(side) < 0)
		return NULL;
	r = loop_run(side->loop);
	if (r < 0)
		side->failed(side->owner, side->name, -r);
	else if (side->last)
		side->last(side->owner);
	return NULL;
}

int side_loop_init(struct side_loop *side)
{
	return loop_new(&side->loop);
}

int side_loop_start(struct side_loop *side)
{
	sigset_t all, old;
	int r;

	/* Signals are the main loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&side->thread, NULL, side_thread, side);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return -r;
	side->started = true;
	return 0;
}

void side_loop_ask_to_stop(struct side_loop *side)
{
	if (side->started)
		loop_stop(side->loop);
}

int side_loop_join(struct side_loop *side, unsigned int *slices)
{
	int r = side->started ? join_within(side->thread, slices) : 0;

	if (r == 0)
		side->started = false;
	return r;
}

void side_loop_fini(struct side_loop *side)
{
	loop_free(side->loop);
	side->loop = NULL;
}

int threads_small_stacks(void)
{
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r != 0)
		return -r;
	r = pthread_attr_setstacksize(&attr, THREAD_STACK);
	if (r == 0)
		r = pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
	return -r;
}
