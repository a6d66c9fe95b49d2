/* SPDX-License-Identifier: MIT */
/* library/client/client.h - a client's end of the control channel (docs/control.md). Silent. */
#ifndef LIBRARY_CLIENT_CLIENT_H
#define LIBRARY_CLIENT_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/control_bytes.h"
#include "common/util.h"

/* One connection. One thread at a time. */
struct client;

/*
 * Connects to the sandbox whose folder `dir_fd` is (rundir_open(), borrowed) and
 * reads its hello. -ECONNREFUSED or -ENOENT: it has ended; -EPROTONOSUPPORT: it speaks
 * another version of the protocol; -EPROTO: what is there is no sandbox.
 */
int client_new(int dir_fd, struct client **out) MUST_CHECK;
/*
 * The two halves of it, for who asks several: the first does not wait (-EAGAIN:
 * too many do already), requests may be sent after it; the second has to come before
 * anything else is received, and waits at most timeout_ms (-ETIMEDOUT).
 */
int client_connect(int dir_fd, struct client **out) MUST_CHECK;
int client_greet(struct client *c, int timeout_ms) MUST_CHECK;
void client_free(struct client *c); /* NULL is fine */

/* Returns the descriptor to poll for POLLIN; it stays the client's. */
int client_fd(const struct client *c);
/* What the hello said; borrowed until client_free(). */
const char *client_name(const struct client *c);
int client_pid(const struct client *c);

/*
 * A pidfd of the process that listens, the caller's to close; it is the sandbox's if its
 * folder is still taken (rundir_open()) when this has returned, for a number is not given
 * twice while its process lives. -EPERM: it is somebody else's; -ESRCH: it cannot be seen from
 * here.
 */
int client_process(const struct client *c) MUST_CHECK;

/*
 * Sends `request`, an object with "op" and the op's members, to which "type" and
 * "id" are added; taken over, also on failure. fds are borrowed. *id counts from
 * 1. -E2BIG: longer than CONTROL_FILE_MAX; -EPIPE: the sandbox has ended.
 */
int client_send(struct client *c, json_t *request, const int *fds, size_t n_fds,
		int64_t *id) MUST_CHECK;

/*
 * The next message; waits for it at most timeout_ms (-1: for ever), -EAGAIN when
 * none came. -EPIPE: the sandbox has hung up; -EPROTO.
 */
int client_receive(struct client *c, int timeout_ms, json_t **out) MUST_CHECK;

/*
 * Sends and waits for the reply, which is *reply also when it is a refusal
 * (-EREMOTEIO). Events that come before it are kept for client_receive().
 */
int client_call(struct client *c, json_t *request, const int *fds, size_t n_fds,
		json_t **reply) MUST_CHECK;

/*
 * The descriptor that came with the last message that was received, the caller's from now on; -1:
 * none did. One that nobody takes is closed with the next message.
 */
int client_take_fd(struct client *c);

#endif
