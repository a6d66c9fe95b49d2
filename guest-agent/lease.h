/* SPDX-License-Identifier: MIT */
/* guest-agent/lease.h - gets a card's address by DHCP, and keeps it. */
#ifndef GUEST_AGENT_LEASE_H
#define GUEST_AGENT_LEASE_H

#include "common/util.h"
#include "guest-agent/dhcp.h"

/* Gives the card what the lease says, or takes the address away again (NULL). -errno. */
typedef int (*lease_apply_fn)(const char *card, const struct dhcp_lease *lease);

/*
 * Begins to ask on the card, which is up, in a process of its own that keeps the lease for as long
 * as the guest runs, and waits at most wait_ms for the first one. *address is what it gave,
 * untouched if it has given none so far. -errno: there is no such process.
 */
int lease_keep(const char *card, const uint8_t mac[6], lease_apply_fn apply, int wait_ms,
	       uint8_t address[4]) MUST_CHECK;

#endif
