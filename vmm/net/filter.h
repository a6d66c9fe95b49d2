/* SPDX-License-Identifier: MIT */
/* vmm/net/filter.h - decides for each frame between guest and network process whether it passes. */
#ifndef VMM_NET_FILTER_H
#define VMM_NET_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/config/network.h"

/*
 * DOC: what the filter is for
 *
 * The network process opens host sockets for what a guest sends, so whatever it
 * would connect to for the guest, the user could connect to. This filter is what
 * keeps a guest from the host's loopback, from the LAN (NETWORK_INTERNET), and
 * from frames that make the code behind it take payload for ports: fragments,
 * extension headers, lengths that lie. It is a pure function of one frame and of
 * plain data: no state of connections, no names, no I/O. It fails closed.
 *
 * Any thread, as long as the filter does not change meanwhile.
 */

enum {
	NET_FRAME_MIN = 14,
	/* An Ethernet header and the longest IP packet: a guest hands over TCP unsegmented. */
	NET_FRAME_MAX = 14 + 65535,
	NET_MAX_PREFIXES = 64,
};

/* A prefix of IPv6 addresses; one of IPv4 is written as ::ffff:0:0/96 and the rest. */
struct net_prefix {
	uint8_t addr[16];
	uint8_t bits; /* 0 to 128 */
};

struct net_filter {
	enum network_mode mode;
	struct net_addresses own;
	/* Where the host's own interfaces are now. NETWORK_INTERNET reaches none of it. */
	struct net_prefix host[NET_MAX_PREFIXES];
	size_t n_host;
	bool host_unknown; /* they could not be read, or are too many: nothing passes but DNS */
};

/* Why a frame does not pass. */
enum net_verdict {
	NET_PASS,
	NET_DROP_LENGTH, /* of the frame, or one inside it that lies */
	NET_DROP_TYPE, /* neither ARP, IPv4 nor IPv6, or none of what the filter knows inside */
	NET_DROP_SOURCE, /* not the guest's, or not who may speak to it */
	NET_DROP_FRAGMENT, /* a fragment, an option that routes, an extension header */
	NET_DROP_URGENT, /* TCP's urgent data, which libslirp 4.7 reads past its end (CVE-2026-9539) */
	NET_DROP_ADDRESS, /* where the mode does not reach */
	NET_N_VERDICTS,
};

/* A frame of len bytes from the guest. */
enum net_verdict net_filter_out(const struct net_filter *f, const uint8_t *frame, size_t len);
/* A frame of len bytes for the guest. */
enum net_verdict net_filter_in(const struct net_filter *f, const uint8_t *frame, size_t len);

/* True if addr is in p. */
bool net_prefix_has(const struct net_prefix *p, const uint8_t addr[16]);
/* Writes an IPv4 address as the IPv6 one that net_prefix and the filter compare. */
void net_map4(const uint8_t addr4[4], uint8_t out[16]);

#endif
