/* SPDX-License-Identifier: MIT */
/* guest-agent/connect.h - the guest's end of connections to its published ports. */
#ifndef GUEST_AGENT_CONNECT_H
#define GUEST_AGENT_CONNECT_H

#include <stdint.h>

#include "common/agent_protocol.h"
#include "common/util.h"
#include "guest-agent/link.h"

enum { CONNECTIONS_MAX = 256 };

struct connection;

struct connections {
	int epfd;
	struct link *link;
	const struct sc_network *network; /* NULL: the guest has none, only its loopback */
	struct connection *list[CONNECTIONS_MAX];
	int error; /* first failure to tell the host something; nothing matters after it */
};

/* All borrowed. */
void connections_init(struct connections *c, int epfd, struct link *link,
		      const struct sc_network *network);
void connections_fini(struct connections *c);

/*
 * Connects to the port by 127.0.0.1, else ::1, else the card's own addresses, and joins that
 * with a stream to the host; or reports CONNECT_FAILED. -EEXIST: the id is in use; no other
 * error is returned: they are the host's to hear.
 */
int connections_open(struct connections *c, uint32_t id, uint16_t port) MUST_CHECK;

#endif
