/* SPDX-License-Identifier: MIT */
/* vmm/foreground.h - the terminal of `run`, which is the guest's while our job is in the foreground. */
#ifndef VMM_FOREGROUND_H
#define VMM_FOREGROUND_H

#include "common/loop.h"
#include "common/terminal.h"

struct command;

/*
 * DOC: a sandbox as a job
 *
 * In the foreground the terminal is raw, and what is typed goes to the guest's terminal. In the
 * background it is the shell's: it is neither read nor set, and what the command writes
 * appears. A stop restores the terminal and stops the process, and the whole guest with it.
 * Afterwards, and when something is typed, it is looked whether the foreground is ours.
 *
 * Embedded; zeroed has no terminal. All on the loop thread.
 */
struct foreground {
	struct terminal terminal; /* STDIN_FILENO */
	struct loop_source keys;
	struct command *command; /* has a tty; NULL: the terminal is left alone */
};

/* Takes the terminal for cmd, which has a tty and is borrowed until foreground_fini(). Logs. */
int foreground_init(struct foreground *f, struct loop *loop, struct command *cmd) MUST_CHECK;
/* SIGTSTP; returns when the process was continued. Needs no terminal. */
void foreground_stop(struct foreground *f);
/* SIGCONT: perhaps in the foreground again. */
void foreground_continue(struct foreground *f);
/* SIGWINCH. */
void foreground_resize(const struct foreground *f);
/* Before the command goes. The terminal is as it was. */
void foreground_fini(struct foreground *f);

#endif
