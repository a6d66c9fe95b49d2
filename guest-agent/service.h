/* SPDX-License-Identifier: MIT */
/* guest-agent/service.h - where a service of the guest's may be, whose port is published. */
#ifndef GUEST_AGENT_SERVICE_H
#define GUEST_AGENT_SERVICE_H

#include <stdint.h>
#include <sys/socket.h>

#include "common/agent_protocol.h"
#include "common/util.h"
#include "guest-agent/link.h"

/* The addresses a service may listen at, in the order they are tried. */
enum service_address {
	SERVICE_LOOPBACK4,
	SERVICE_LOOPBACK6,
	SERVICE_OWN4,
	SERVICE_OWN6,
	SERVICE_N_ADDRESSES
};

/*
 * Puts the address and the port into *out and returns its length. 0: the guest has no such
 * address. network NULL: the guest has only its loopback.
 */
socklen_t service_address(const struct sc_network *network, enum service_address which,
			  uint16_t port, struct sockaddr_storage *out);

/* Tells the host that its CONNECT has failed; error is a negative errno. As link_send(). */
int service_say_failed(struct link *link, uint32_t id, uint16_t port, int error) MUST_CHECK;

#endif
