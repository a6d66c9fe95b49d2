/* SPDX-License-Identifier: MIT */
/* guest-agent/datagrams.h - the guest's end of published ports of UDP. */
#ifndef GUEST_AGENT_DATAGRAMS_H
#define GUEST_AGENT_DATAGRAMS_H

#include <stdint.h>

#include "common/agent_protocol.h"
#include "common/util.h"
#include "guest-agent/link.h"

/* More than the host has at once: it may ask for a new one before we see that an old one ended. */
enum { DATAGRAM_PEERS_MAX = 192 };

struct datagram_peer;

/*
 * DOC: datagrams to a published port
 *
 * Each peer of the host's socket has a stream to the host and a socket of its own here, which is
 * connected to the service: so the service tells peers apart, and its answers find back. At which
 * address the service is, shows when a datagram is refused: it is sent to the next one then. A
 * service that comes later, or elsewhere, is found by the datagrams that follow.
 *
 * While the host takes no answers, none are read of the socket, whose kernel drops the rest.
 * The host ends a peer by closing its stream.
 */
struct datagrams {
	int epfd;
	struct link *link;
	const struct sc_network *network; /* NULL: the guest has none, only its loopback */
	struct datagram_peer *list[DATAGRAM_PEERS_MAX];
	int error; /* first failure to tell the host something; nothing matters after it */
};

/* All borrowed. */
void datagrams_init(struct datagrams *d, int epfd, struct link *link,
		    const struct sc_network *network);
void datagrams_fini(struct datagrams *d);

/*
 * Opens a stream to the host for datagrams to that port and their answers, or reports
 * CONNECT_FAILED. -EEXIST: the id is in use; no other error is returned: they are the host's to
 * hear.
 */
int datagrams_open(struct datagrams *d, uint32_t id, uint16_t port) MUST_CHECK;

#endif
