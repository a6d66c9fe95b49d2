/* SPDX-License-Identifier: MIT */
/* vmm/signal_inbox.h - signals, heard by the main loop, and what ends the process if it does not hear. */
#ifndef VMM_SIGNAL_INBOX_H
#define VMM_SIGNAL_INBOX_H

#include <stdbool.h>

#include "common/util.h"

struct loop;
struct terminal;

/* On the loop's thread, for each of SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGPWR, SIGTSTP, SIGCONT. */
typedef void (*signal_fn)(void *owner, int signo);

/*
 * Takes these signals of the process over, for the calling thread, which will run the loop;
 * they wait until signal_inbox_let_in(). One sandbox a process. Threads made from here on are to
 * block them. -errno: everything is as before.
 */
int signal_inbox_init(struct loop *loop, const struct terminal *terminal, signal_fn fn,
		      void *owner) MUST_CHECK;
/*
 * While they are let in, a signal that asks to end and is not heard by the loop ends the
 * process by itself after some seconds, and soon when one comes again.
 */
void signal_inbox_let_in(bool in);
/* Everything is as it was before signal_inbox_init(). Fine if that was never called, or failed. */
void signal_inbox_fini(void);

#endif
