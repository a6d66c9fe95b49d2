/* SPDX-License-Identifier: MIT */
/* common/job.h - this process as a job of a shell: in the foreground or not, stopped, continued. */
#ifndef COMMON_JOB_H
#define COMMON_JOB_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether terminal fd is `pid`'s to read now: its job is in the foreground there, or the
 * terminal is not the one it is controlled by. 0: this process; another one that has gone has
 * nothing to read.
 */
bool job_has_terminal(int fd, pid_t pid);

/*
 * Stops this process as SIGTSTP does when nobody handles it; returns when it was continued, or
 * at once if there is no shell that could do so. Handlers and masks are as before.
 */
void job_stop(void);

#endif
