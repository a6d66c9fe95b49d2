/* SPDX-License-Identifier: MIT */
/* launcher/copy/guest_run.h - a program in a running sandbox that a command of ours uses. */
#ifndef LAUNCHER_COPY_GUEST_RUN_H
#define LAUNCHER_COPY_GUEST_RUN_H

#include "library/client/client.h"

/*
 * The connection is the program's alone until guest_run_wait() has returned; when it
 * is closed earlier, the program is hung up on. Failures are logged.
 */
struct guest_run {
	struct client *client; /* borrowed */
	int64_t command;
	int said_fd; /* what it said on its stderr: the first few KiB */
};

/*
 * Starts it. fds are its stdin and stdout, -1: none; borrowed, and closed for good here
 * by the caller afterwards. argv is NULL-terminated.
 */
int guest_run_start(struct client *client, const char *const *argv, const int fds[2],
		    struct guest_run *out) MUST_CHECK;
/* Waits until it has ended; *code as of a shell. */
int guest_run_wait(struct guest_run *run, int *code) MUST_CHECK;
/* What it said first, for messages: one line of printable ASCII, "" if there were none. */
void guest_run_said(const struct guest_run *run, char *out, size_t size);
void guest_run_fini(struct guest_run *run); /* zeroed, or with said_fd -1, is fine */

#endif
