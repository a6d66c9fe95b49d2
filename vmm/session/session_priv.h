/* SPDX-License-Identifier: MIT */
/* vmm/session/session_priv.h - between session.c, which speaks with the agent, and command.c. */
#ifndef VMM_SESSION_SESSION_PRIV_H
#define VMM_SESSION_SESSION_PRIV_H

#include <stdbool.h>

#include "vmm/session/agent_wire.h"
#include "vmm/session/command.h"
#include "vmm/session/session.h"

struct vsock_conn;

/* ---- command.c to session.c ---- */

struct loop *session_loop(struct session *s);
struct vsock *session_vsock(struct session *s);
/* Takes cmd in and gives it its number. -ENOTCONN, -EAGAIN: SESSION_MAX_COMMANDS are there. */
int session_add(struct session *s, struct command *cmd, uint32_t *id) MUST_CHECK;
/* Not among them is fine. */
void session_remove(struct session *s, struct command *cmd);
/* A command has something to say; vsock lock not held. */
void session_speak(struct session *s);
/* A command has something to tell its owner; any time. */
void session_notify(struct session *s);

/* ---- session.c to command.c; with the vsock lock held, but for the last ---- */

/* The session's list. */
struct command *command_next(const struct command *cmd);
void command_set_next(struct command *cmd, struct command *next);

/*
 * Composes the next thing to be said about cmd in `buf`, which it may replace.
 * False: there is nothing.
 */
bool command_say(struct command *cmd, struct agent_buffer *buf);
/* STARTED, EXEC_FAILED or EXITED. False: out of order. */
bool command_hear(struct command *cmd, const struct agent_message *m);
/* The guest opened a stream for it; conn is the command's from then on. False: not wanted. */
bool command_stream(struct command *cmd, struct vsock_conn *conn, uint32_t number);
/* Ends it, as every command does once. */
void command_finish(struct command *cmd, const struct command_result *result);
/* Makes the calls to its owner that are due; the command may be gone after it. False: none was. */
bool command_tell(struct command *cmd);

#endif
