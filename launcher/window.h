/* SPDX-License-Identifier: MIT */
/* launcher/window.h - opens the window of a sandbox. */
#ifndef LAUNCHER_WINDOW_H
#define LAUNCHER_WINDOW_H

#include "common/util.h"

/* This process becomes the window of sandbox `name`; returns only if it cannot, after a line. */
void window_become(const char *name);

/*
 * Starts a process that becomes the window of the sandbox whose name window_tell() tells it; it ends
 * with this process if that is never called. Sets *fd, the caller's, or -1 where there is no
 * screen: a line says so then, and it is no failure. Logs.
 */
int window_prepare(int *fd) MUST_CHECK;

/* A launch_ready_fn, whose owner is an int that window_prepare() has set; it closes that. */
void window_tell(const char *name, void *fd);

#endif
