/* SPDX-License-Identifier: MIT */
/* vmm/start_line.h - no thread of the machine works before all of them are confined. */
#ifndef VMM_START_LINE_H
#define VMM_START_LINE_H

#include <pthread.h>
#include <stdbool.h>

#include "vmm/confine/policy.h"

/* Embedded; start_line_init(). */
struct start_line {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pid_t renderer; /* as policy_load() has it */
	unsigned int arrived;
	int error; /* the first one's that could not be confined */
	bool open;
};

void start_line_init(struct start_line *l, pid_t renderer);
/* On each thread: confines it, and waits for the others. -errno: it is to end. */
int start_line_arrive(struct start_line *l, enum policy_role role) MUST_CHECK;
/*
 * On the thread that has started `n` of them: waits for all, confines itself and lets them go. With
 * `error` it lets them go to their end, and returns it. -errno: none may work.
 */
int start_line_open(struct start_line *l, unsigned int n, enum policy_role role,
		    int error) MUST_CHECK;

#endif
