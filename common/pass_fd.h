/* SPDX-License-Identifier: MIT */
/* common/pass_fd.h - a descriptor on its way from one process to another. */
#ifndef COMMON_PASS_FD_H
#define COMMON_PASS_FD_H

#include "common/util.h"

/* Sends one byte with the descriptor, which stays the caller's, through a UNIX socket. -errno. */
int pass_fd(int sock, int fd) MUST_CHECK;

/*
 * Waits for what pass_fd() sends; the descriptor is the caller's. -ENOTSUP: the other end has
 * hung up, or sent something else.
 */
int take_fd(int sock) MUST_CHECK;

#endif
