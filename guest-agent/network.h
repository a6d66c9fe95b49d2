/* SPDX-License-Identifier: MIT */
/* guest-agent/network.h - gives the guest's network card its addresses, before the first command. */
#ifndef GUEST_AGENT_NETWORK_H
#define GUEST_AGENT_NETWORK_H

#include "common/agent_protocol.h"
#include "common/util.h"
#include "guest-agent/text.h"

/*
 * Gives the card with net->mac its addresses and routes; nothing is asked for on
 * the wire, and nothing waits. -errno, and *why says what failed.
 */
int network_up(const struct sc_network *net, struct text *why) MUST_CHECK;

#endif
