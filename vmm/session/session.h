/* SPDX-License-Identifier: MIT */
/* vmm/session/session.h - the host's side of the dialogue with the guest's agent. */
#ifndef VMM_SESSION_SESSION_H
#define VMM_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct loop;
struct loop_task;
struct sandbox_config;
struct session;
struct timeline;
struct vsock;

/*
 * DOC: states
 *
 *   WAITING -> HELLO     the agent connected; RESUME, SETUP and what commands there are went out
 *           -> READY     the guest is set up as asked
 *
 *           -> ENDED     the agent gave up, or is gone; so are all exchanges (vmm/session/exchange.h)
 *
 * With session_park() and session_adopt() HELLO has a pause in it: RESUME and what follows wait for
 * session_resume(). ENDED can follow any state. Commands (vmm/session/command.h) may be made in any
 * but that.
 *
 * Everything the guest says is checked, and a wrong word ends the session. Programs of
 * the guest's root may connect to our ports, those of others are refused by the port they
 * come from: a second control connection, or a stream nobody asked for, changes nothing.
 * The agent opens a command's streams before it starts the command.
 *
 * All on the loop thread, and not from within a vsock callback. The process
 * must ignore SIGPIPE.
 */

enum session_state {
	SESSION_WAITING,
	SESSION_HELLO,
	SESSION_READY,
	SESSION_ENDED,
	SESSION_N_STATES,
};

enum { SESSION_MAX_COMMANDS = 256 };

/* On the loop thread without a lock; the session may not be freed here. */
struct session_ops {
	void (*ready)(struct session *s, void *owner);
	/* After session_park(): the guest does nothing now, and waits for session_resume(). */
	void (*parked)(struct session *s, void *owner);
	/* After the commands' ended(). `why` is one line of printable ASCII, "" if the guest is lost. */
	void (*ended)(struct session *s, const char *why, void *owner);
};

/*
 * Listens on the agent's ports of vs. cfg is not kept. -E2BIG: its maps do not
 * fit into a message.
 */
int session_new(struct loop *loop, struct vsock *vs, const struct sandbox_config *cfg,
		const struct session_ops *ops, void *owner, struct session **out) MUST_CHECK;
/* Before the vsock device is destroyed, after its commands. NULL is fine. */
void session_free(struct session *s);

/* Before the guest runs: it is to park when it has said hello. */
void session_park(struct session *s);
/* Before the guest runs: it goes on from a state in which it is parked. -ENOENT: it is not. */
int session_adopt(struct session *s) MUST_CHECK;
/* A parked guest learns whose it is. Loop thread. */
void session_resume(struct session *s);

/* Asks the guest to kill what runs in it, write back what it owes the host, and power off. */
void session_shutdown(struct session *s);

/*
 * To be posted when the host's GPU is lost: has the guest's driver look anew at what its display
 * can do. The session's, and not to be posted after session_free().
 */
struct loop_task *session_graphics_lost(struct session *s);

enum session_state session_state(const struct session *s);
/* The IPv4 address the guest says its card has, 127.0.0.1 as 0x7f000001; 0: none, or not yet. */
uint32_t session_address(const struct session *s);
/* Each state that is reached from now on is marked there, and the guest's steps added; borrowed. */
void session_set_timeline(struct session *s, struct timeline *tl);

#endif
