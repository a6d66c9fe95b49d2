/* SPDX-License-Identifier: MIT */
/* common/job.h - this process as a job of a shell: in the foreground or not, stopped, continued. */
#ifndef COMMON_JOB_H
#define COMMON_JOB_H

#include <stdbool.h>

/*
 * Whether terminal fd is a process's to read now: its job is in the foreground there, or the
 * terminal is not the one it is controlled by. stat_fd is that process's /proc/PID/stat, as whoever
 * is confined sees none; 0: this process. A process that has gone has nothing to read.
 */
bool job_has_terminal(int fd, int stat_fd);

/*
 * Stops this process as SIGTSTP does when nobody handles it; returns when it was continued, or
 * at once if there is no shell that could do so. Handlers and masks are as before.
 */
void job_stop(void);

#endif
