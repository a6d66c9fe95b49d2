/* SPDX-License-Identifier: MIT */
/* vmm/session.h - one command in the guest: the host's side of the agent's dialogue and its stdio. */
#ifndef VMM_SESSION_H
#define VMM_SESSION_H

#include <stdint.h>

#include "vmm/util.h"

struct loop;
struct sandbox_config;
struct session;
struct timeline;
struct vsock;

/*
 * DOC: states
 *
 *   WAITING -> HELLO     the agent connected; SETUP and EXEC went out
 *           -> READY     the guest is set up as asked
 *           -> STARTED   the command runs
 *           -> ENDED     its end is known; bytes of its output may still wait for the host
 *
 * ENDED can follow any state. done() is called once after it, when all output
 * that had arrived was written or its reader has gone.
 *
 * Everything the guest says is checked, and a wrong word ends the session with
 * SESSION_AGENT_FAILED. Any process in the guest may connect to our ports: a
 * second control connection, or a stream nobody asked for, is refused and
 * changes nothing. The agent opens its streams before it starts the command.
 *
 * All on the loop thread, and not from within a vsock callback. The process
 * must ignore SIGPIPE.
 */

enum session_state {
	SESSION_WAITING,
	SESSION_HELLO,
	SESSION_READY,
	SESSION_STARTED,
	SESSION_ENDED,
	SESSION_N_STATES,
};

enum session_end {
	SESSION_EXITED, /* code */
	SESSION_SIGNALED, /* signal */
	SESSION_EXEC_FAILED, /* error; text says what could not be done */
	SESSION_AGENT_FAILED, /* text: the agent gave up, or broke the protocol */
	SESSION_LOST, /* the guest went away without a word */
};

struct session_result {
	enum session_end kind;
	int code; /* 0 to 255 */
	int signal; /* 1 to 64 */
	int error; /* a Linux errno, positive */
	/* One line; printable ASCII whatever the guest sent. Empty for EXITED and SIGNALED. */
	char text[256];
};

/* On the loop thread without a lock: the session may be freed here. */
typedef void (*session_done_fn)(struct session *s, void *owner);

/*
 * Listens on the agent's ports of vs. stdio[0..2] are borrowed until
 * session_free(); their file status flags stay as they are. cfg is not kept.
 * Before the machine runs, since it opens /proc/self/fd. -E2BIG: the arguments
 * and environment do not fit into a message.
 */
int session_new(struct loop *loop, struct vsock *vs, const struct sandbox_config *cfg,
		const int stdio[3], session_done_fn done, void *owner,
		struct session **out) MUST_CHECK;
/* Before the vsock device is destroyed. NULL is fine. */
void session_free(struct session *s);

/* Kept until the command has started, then sent on; each number at most once at a time. */
void session_signal(struct session *s, int signo);
/* With a tty; the size at the start is taken from stdio[0]. */
void session_winsize(struct session *s, uint16_t rows, uint16_t columns);

enum session_state session_state(const struct session *s);
/* Each state that is reached from now on is marked there, and the guest's steps added; borrowed. */
void session_set_timeline(struct session *s, struct timeline *tl);
/* Valid from ENDED on. */
const struct session_result *session_result(const struct session *s);

#endif
