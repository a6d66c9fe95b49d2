/* SPDX-License-Identifier: MIT */
/* guest-agent/link.h - the connections to the host. */
#ifndef GUEST_AGENT_LINK_H
#define GUEST_AGENT_LINK_H

#include <stdint.h>

#include "common/agent_protocol.h"
#include "common/util.h"
#include "guest-agent/wire.h"

/*
 * How a connection is begun: vsock in a sandbox, a socketpair in a test. Returns a
 * socket (close-on-exec, non-blocking or not) that is connected or about to be, or -errno.
 */
struct link;
typedef int (*link_connect_fn)(struct link *l, unsigned int port);

struct link {
	link_connect_fn connect;
	unsigned int port; /* of ours, the last one that was taken; 0: none yet */
	int control; /* the control connection, blocking */

	/* The message that is being received. */
	uint8_t header[sizeof(struct sc_header)];
	size_t have; /* bytes of header and body */
	struct sc_header parsed;
	uint8_t *body;
};

/* Connects the control connection. */
int link_init(struct link *l, link_connect_fn connect) MUST_CHECK;
void link_fini(struct link *l);

/*
 * Reads what is there, without waiting. 1: a whole message; *body is malloc'ed
 * and the caller's, NULL if empty. 0: not yet whole. -EPIPE: the host has gone;
 * -EPROTO, -ENOMEM and others: no use going on.
 */
int link_receive(struct link *l, struct sc_header *header, uint8_t **body) MUST_CHECK;

/* Waits for room: messages to the host are few and short, and it always reads them. */
int link_send(struct link *l, const struct wire_message *m) MUST_CHECK;

/*
 * Connections for a command's first n stdio streams, with their hellos sent. All
 * are begun before one is waited for: a round trip to the host, not n. On failure
 * none is left.
 */
int link_open_streams(struct link *l, uint32_t id, unsigned int n, int fds[]) MUST_CHECK;

/* One more connection to a port of the host's, which does not block. -errno. */
int link_open(struct link *l, unsigned int port) MUST_CHECK;

/* AF_VSOCK to the host, from a port of root's. Waits a moment for the device if its driver just came. */
int link_connect_vsock(struct link *l, unsigned int port);

#endif
