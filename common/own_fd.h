/* SPDX-License-Identifier: MIT */
/* common/own_fd.h - opens what a descriptor of this process refers to once more. */
#ifndef COMMON_OWN_FD_H
#define COMMON_OWN_FD_H

#include "common/util.h"

/*
 * DOC: held, because it cannot be had later
 *
 * /proc/self/fd is opened once and kept for the process's life: a process that is confined has no
 * /proc any more. One that forks holds it in the child only if the child was the first to ask.
 */

/* The folder's descriptor, O_PATH; it stays ours. -errno. Any thread once the first call returned. */
int own_fd_folder(void) MUST_CHECK;

/* A descriptor with an open file description of its own; the caller's to close. -errno. */
int own_fd_reopen(int fd, int flags) MUST_CHECK;

#endif
