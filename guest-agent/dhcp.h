/* SPDX-License-Identifier: MIT */
/* guest-agent/dhcp.h - reads and writes messages of DHCP (RFC 2131). */
#ifndef GUEST_AGENT_DHCP_H
#define GUEST_AGENT_DHCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

/* RFC 2132 section 9.6. */
enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
};

enum {
	DHCP_MESSAGE_MAX = 1472, /* what fits into one datagram */
	DHCP_DNS_MAX = 3, /* resolvers the C library looks at */
	DHCP_DOMAIN_MAX = 64,
	DHCP_SECONDS_MIN = 60, /* a shorter lease counts as that long */
};

/* What a server gives; addresses in the order of the wire, 0.0.0.0 where it said none. */
struct dhcp_lease {
	uint8_t address[4], mask[4], router[4];
	uint8_t server[4]; /* itself */
	uint8_t dns[DHCP_DNS_MAX][4];
	unsigned int n_dns;
	char domain[DHCP_DOMAIN_MAX]; /* letters, digits, dots and hyphens; or empty */
	uint32_t seconds;
};

/* Whose messages these are. */
struct dhcp_client {
	uint8_t mac[6];
	uint32_t xid; /* of the conversation */
};

/*
 * Writes a message to all servers: DISCOVER, or REQUEST. `lease`: NULL with DISCOVER; what was
 * offered; or, with `renew`, what the client has and wants to keep. Returns its length.
 */
size_t dhcp_write(const struct dhcp_client *c, enum dhcp_type type, const struct dhcp_lease *lease,
		  bool renew, uint8_t out[DHCP_MESSAGE_MAX]);

/*
 * Reads a server's answer to c: returns an OFFER, ACK or NAK, and *out is what it gives, but for a
 * NAK. -EPROTO: it is none, or for somebody else.
 */
int dhcp_read(const struct dhcp_client *c, const uint8_t *data, size_t len,
	      struct dhcp_lease *out) MUST_CHECK;

#endif
