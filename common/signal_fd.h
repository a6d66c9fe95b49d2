/* SPDX-License-Identifier: MIT */
/* common/signal_fd.h - signals that arrive at a descriptor. */
#ifndef COMMON_SIGNAL_FD_H
#define COMMON_SIGNAL_FD_H

#include <signal.h>

#include "common/util.h"

/*
 * Blocks the n signals in this thread, and in those it starts from here on, and opens a signalfd
 * for them, close-on-exec. `flags`: SFD_NONBLOCK or 0. before: the mask until now; may be NULL.
 * The descriptor is the caller's. -errno: they are blocked all the same.
 */
int signal_fd_open(const int *signals, size_t n, int flags, sigset_t *before, int *fd) MUST_CHECK;

#endif
