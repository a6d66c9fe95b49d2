/* SPDX-License-Identifier: MIT */
/* guest-agent/desktop.h - shows one program on the display, without a session manager. */
#ifndef GUEST_AGENT_DESKTOP_H
#define GUEST_AGENT_DESKTOP_H

#include <stddef.h>

#include "common/util.h"

struct exec_plan;

/*
 * DOC: an app session
 *
 * desktop_run() is the whole of it, in the order it happens: udevd tells of the devices, the user
 * gets them, a compositor (sway, else X.org with a window manager) takes the display, a bus is
 * made, and the program starts. It runs in a child of the agent, which nothing waits for but the
 * command's end. All but udevd and this process itself is the user's.
 */

/* What a program needs to know of the session; "" is nothing. */
struct desktop_names {
	char wayland[64];
	char x11[64];
};

/*
 * Reads what the compositor's first child wrote: a line for each of the two. The user's other
 * programs could write there, too. -EAGAIN: not whole yet; -EPROTO: it is not such names.
 */
int desktop_read_names(const char *text, size_t len, struct desktop_names *out) MUST_CHECK;

/*
 * Makes the session, runs the plan's program in it and ends the session with it. Returns the exit
 * code: the program's, 128+N for signal N, or 125 after a line on standard error. Called as root,
 * as leader of a process session of its own, in which the program stays.
 */
int desktop_run(const struct exec_plan *plan);

#endif
