/* SPDX-License-Identifier: MIT */
/* vmm/net/refusal.h - tells the guest at once that it does not reach where it sends to. */
#ifndef VMM_NET_REFUSAL_H
#define VMM_NET_REFUSAL_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/net/filter.h"

/* Headers of Ethernet, IPv4 and ICMP, then the packet's own header, at its longest, and 8 bytes. */
enum { NET_REFUSAL_MAX = 14 + 20 + 8 + 60 + 8 };

/*
 * Writes the gateway's answer to a frame of len bytes that net_filter_out() gave
 * NET_DROP_ADDRESS: "communication administratively prohibited" (RFC 1812 5.2.7.1,
 * RFC 4443 3.1), so that a program need not wait for a time limit. The answer's
 * length; 0 if the frame gets none, since it is to many (RFC 1122 3.2.2), not of
 * the guest's address, or neither TCP, UDP nor an echo request. Pure; any thread.
 */
size_t net_refusal(const struct net_filter *f, const uint8_t *frame, size_t len,
		   uint8_t out[NET_REFUSAL_MAX]);

#endif
