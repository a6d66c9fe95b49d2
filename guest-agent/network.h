/* SPDX-License-Identifier: MIT */
/* guest-agent/network.h - gives the guest's network card its addresses, before the first command. */
#ifndef GUEST_AGENT_NETWORK_H
#define GUEST_AGENT_NETWORK_H

#include "common/agent_protocol.h"
#include "common/util.h"
#include "guest-agent/text.h"

/*
 * Gives the card with net->mac its addresses and routes; nothing is asked for on
 * the wire, and nothing waits. Where net->guest4 is 0.0.0.0 they are somebody else's to give,
 * by DHCP (lease.h): guest4 is what was given within ten seconds, or stays. -errno, and *why
 * says what failed.
 */
int network_up(struct sc_network *net, struct text *why) MUST_CHECK;

#endif
