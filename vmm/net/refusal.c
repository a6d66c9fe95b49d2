/* SPDX-License-Identifier: MIT */
#include "vmm/net/refusal.h"

#include <stdbool.h>
#include <string.h>

#include "vmm/net/checksum.h"

enum {
	ETHERNET_LEN = NET_FRAME_MIN,
	IPV4_LEN = 20,
	IPV6_LEN = 40,
	ICMP_LEN = 8,
	/* What of a packet's payload an error names: ports and, of TCP, the sequence number. */
	NAMED_LEN = 8,

	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ICMPV6 = 58,
};

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* An error must not answer an error: of ICMP only echo requests (8, ICMPv6 128) are answered. */
static bool is_answered(uint8_t proto, uint8_t echo, const uint8_t *payload)
{
	return proto == PROTO_TCP || proto == PROTO_UDP ||
	       ((proto == PROTO_ICMP || proto == PROTO_ICMPV6) && payload[0] == echo);
}

/* Starts a frame from where `frame` was going to the guest; its packet is all zeros. */
static uint8_t *begin(const struct net_filter *f, const uint8_t *frame, uint8_t *out)
{
	memset(out, 0, NET_REFUSAL_MAX);
	memcpy(out, f->own.mac, 6);
	memcpy(out + 6, frame, 6);
	memcpy(out + 12, frame + 12, 2);
	return out + ETHERNET_LEN;
}

static size_t refuse4(const struct net_filter *f, const uint8_t *frame, size_t len, uint8_t *out)
{
	const uint8_t *ip = frame + ETHERNET_LEN;
	size_t header, total;
	uint8_t *to;

	if (len < ETHERNET_LEN + IPV4_LEN)
		return 0;
	header = (size_t)(ip[0] & 15) * 4;
	if (header < IPV4_LEN || len < ETHERNET_LEN + header + NAMED_LEN)
		return 0;
	/* 224.0.0.0/4 and 240.0.0.0/4: multicast, broadcast. */
	if (ip[16] >= 224 || memcmp(ip + 12, f->own.guest4, 4) != 0 ||
	    !is_answered(ip[9], 8, ip + header))
		return 0;
	total = IPV4_LEN + ICMP_LEN + header + NAMED_LEN;
	to = begin(f, frame, out);
	to[0] = 0x45;
	put16(to + 2, total);
	to[8] = 64; /* TTL */
	to[9] = PROTO_ICMP;
	memcpy(to + 12, f->own.gateway4, 4);
	memcpy(to + 16, f->own.guest4, 4);
	to[IPV4_LEN] = 3; /* destination unreachable */
	to[IPV4_LEN + 1] = 13;
	memcpy(to + IPV4_LEN + ICMP_LEN, ip, header + NAMED_LEN);
	return net_checksum_fill(to, IPV4_LEN, 0, 10) && net_checksum_fill(to, total, IPV4_LEN, 2)
		       ? ETHERNET_LEN + total
		       : 0;
}

static size_t refuse6(const struct net_filter *f, const uint8_t *frame, size_t len, uint8_t *out)
{
	const uint8_t *ip = frame + ETHERNET_LEN;
	const size_t quoted = IPV6_LEN + NAMED_LEN, total = IPV6_LEN + ICMP_LEN + quoted;
	uint8_t *to;

	if (len < ETHERNET_LEN + quoted)
		return 0;
	if (ip[24] == 0xff || memcmp(ip + 8, f->own.guest6, 16) != 0 ||
	    !is_answered(ip[6], 128, ip + IPV6_LEN))
		return 0;
	to = begin(f, frame, out);
	memcpy(to + 8, f->own.gateway6, 16);
	memcpy(to + 24, f->own.guest6, 16);
	to[IPV6_LEN] = 1; /* destination unreachable */
	to[IPV6_LEN + 1] = 1;
	memcpy(to + IPV6_LEN + ICMP_LEN, ip, quoted);
	/* The pseudo header's length and protocol stand where hop limit and length will be. */
	put16(to + 4, total - IPV6_LEN);
	put16(to + 6, PROTO_ICMPV6);
	if (!net_checksum_fill(to, total, 4, IPV6_LEN + 2 - 4))
		return 0;
	to[0] = 0x60;
	to[6] = PROTO_ICMPV6;
	to[7] = 255; /* hop limit */
	return ETHERNET_LEN + total;
}

size_t net_refusal(const struct net_filter *f, const uint8_t *frame, size_t len,
		   uint8_t out[NET_REFUSAL_MAX])
{
	/* A multicast bit in the link's address: to all on the link. */
	if (len < ETHERNET_LEN || (frame[0] & 1))
		return 0;
	return frame[12] == 0x08 ? refuse4(f, frame, len, out) : refuse6(f, frame, len, out);
}
