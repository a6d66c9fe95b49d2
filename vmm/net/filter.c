/* SPDX-License-Identifier: MIT */
#include "vmm/net/filter.h"

#include <string.h>

#include "common/util.h"

enum {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_IPV6 = 0x86dd,

	PROTO_ICMP = 1,
	PROTO_TCP = 6,
	PROTO_UDP = 17,
	PROTO_ICMPV6 = 58,

	ARP_LEN = 28,
	IPV4_LEN = 20,
	IPV6_LEN = 40,
	TCP_LEN = 20,
	UDP_LEN = 8,
	ICMP_LEN = 8,

	TCP_URG = 0x20,
	DNS_PORT = 53,
	MAPPED_BITS = 96,
};

/* The packet inside a frame: addresses as IPv6 has them, and what they carry. */
struct packet {
	uint8_t src[16], dst[16];
	bool v4;
	bool fragment; /* not the first one: payload has no header */
	uint8_t proto;
	const uint8_t *payload;
	size_t len;
};

#define P4(a, b, c, d, n)                                                                 \
	{                                                                                 \
		{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}, MAPPED_BITS + (n) \
	}
#define P6(bits, ...)               \
	{                           \
		{__VA_ARGS__}, bits \
	}

/* Reached in no mode. */
static const struct net_prefix never[] = {
	P4(0, 0, 0, 0, 8), /* "this network", RFC 1122 3.2.1.3; connect() takes it for loopback */
	P4(127, 0, 0, 0, 8), /* loopback */
	P4(224, 0, 0, 0, 4), /* multicast, RFC 5771 */
	P4(240, 0, 0, 0, 4), /* reserved, RFC 1112 4, and broadcast */
	/* ::/8 holds ::, ::1, IPv4-compatible and IPv4-mapped addresses, RFC 4291 2.5. */
	P6(8, 0), P6(9, 0xfe), /* reserved, RFC 4291 2.4: what comes before link-local */
	P6(10, 0xfe, 0xc0), /* site-local, deprecated, RFC 3879 */
	P6(8, 0xff), /* multicast */
};

/* Those at its end that are for IPv6: ::/8 holds the mapped form, in which IPv4 is compared here. */
enum { NEVER6 = 4, NEVER4 = ARRAY_SIZE(never) - NEVER6 };

/* IPv4 addresses that are not public. */
static const struct net_prefix not_public4[] = {
	P4(10, 0, 0, 0, 8), /* private, RFC 1918 */
	P4(100, 64, 0, 0, 10), /* carriers' NAT, RFC 6598 */
	P4(169, 254, 0, 0, 16), /* link-local, RFC 3927; clouds keep metadata there */
	P4(172, 16, 0, 0, 12), /* private */
	P4(192, 0, 0, 0, 24), /* protocol assignments, RFC 6890 */
	P4(192, 0, 2, 0, 24), /* documentation, RFC 5737 */
	P4(192, 88, 99, 0, 24), /* 6to4 relays, RFC 7526 */
	P4(192, 168, 0, 0, 16), /* private */
	P4(198, 18, 0, 0, 15), /* benchmarks, RFC 2544 */
	P4(198, 51, 100, 0, 24), /* documentation */
	P4(203, 0, 113, 0, 24), /* documentation */
};

static const struct net_prefix public6 = P6(3, 0x20); /* global unicast, RFC 4291 2.5.4 */
/* NAT64, RFC 6052: the IPv4 address is in its last four bytes. */
static const struct net_prefix nat64 = P6(96, 0, 0x64, 0xff, 0x9b);

/* Within global unicast, and still no public address. */
static const struct net_prefix not_public6[] = {
	P6(23, 0x20, 0x01), /* protocol assignments with Teredo, RFC 2928, 4380 */
	P6(32, 0x20, 0x01, 0x0d, 0xb8), /* documentation, RFC 3849 */
	P6(16, 0x20, 0x02), /* 6to4: an IPv4 address inside, RFC 3056 */
	P6(20, 0x3f, 0xff), /* documentation, RFC 9637 */
};

void net_map4(const uint8_t addr4[4], uint8_t out[16])
{
	memset(out, 0, 10);
	memset(out + 10, 0xff, 2);
	memcpy(out + 12, addr4, 4);
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

bool net_prefix_has(const struct net_prefix *p, const uint8_t addr[16])
{
	const size_t bytes = p->bits / 8, rest = p->bits % 8;

	if (memcmp(p->addr, addr, bytes) != 0)
		return false;
	return rest == 0 || ((p->addr[bytes] ^ addr[bytes]) >> (8 - rest)) == 0;
}

static bool in_any(const struct net_prefix *p, size_t n, const uint8_t addr[16])
{
	for (size_t i = 0; i < n; i++)
		if (net_prefix_has(&p[i], addr))
			return true;
	return false;
}

static bool is_mapped(const uint8_t addr[16])
{
	static const struct net_prefix mapped = P4(0, 0, 0, 0, 0);

	return net_prefix_has(&mapped, addr);
}

static bool is_addr4(const uint8_t addr[16], const uint8_t addr4[4])
{
	return is_mapped(addr) && memcmp(addr + 12, addr4, 4) == 0;
}

static bool is_link_local(const uint8_t addr[16])
{
	static const struct net_prefix link_local = P6(10, 0xfe, 0x80);

	return net_prefix_has(&link_local, addr);
}

static bool is_dns(const struct net_filter *f, const uint8_t addr[16])
{
	return is_addr4(addr, f->own.dns4) || memcmp(addr, f->own.dns6, 16) == 0;
}

/* Public, as far as its family goes. */
static bool is_public(const uint8_t addr[16])
{
	uint8_t inner[16];

	if (is_mapped(addr))
		return !in_any(not_public4, ARRAY_SIZE(not_public4), addr);
	if (net_prefix_has(&nat64, addr)) {
		net_map4(addr + 12, inner);
		return !in_any(never, NEVER4, inner) &&
		       !in_any(not_public4, ARRAY_SIZE(not_public4), inner);
	}
	return net_prefix_has(&public6, addr) &&
	       !in_any(not_public6, ARRAY_SIZE(not_public6), addr);
}

/* In the little network itself: only gateway and DNS are there, and both are asked for by name. */
static bool is_inside(const struct net_filter *f, const uint8_t addr[16])
{
	struct net_prefix net = {.bits = MAPPED_BITS + 24};

	net_map4(f->own.net4, net.addr);
	if (net_prefix_has(&net, addr))
		return true;
	memcpy(net.addr, f->own.net6, sizeof(net.addr));
	net.bits = 64;
	return net_prefix_has(&net, addr);
}

static bool is_never(const uint8_t addr[16])
{
	if (is_mapped(addr))
		return in_any(never, NEVER4, addr);
	/* NAT64 lies in ::/8 and is looked into by is_public(). */
	return in_any(never, ARRAY_SIZE(never), addr) && !net_prefix_has(&nat64, addr);
}

/* Whether the guest may speak with a host out there. */
static bool may_reach(const struct net_filter *f, const uint8_t addr[16])
{
	if (f->host_unknown || is_never(addr) || is_link_local(addr) || is_inside(f, addr))
		return false;
	if (net_prefix_has(&nat64, addr) && !is_public(addr))
		return false;
	if (f->mode == NETWORK_USER)
		return true;
	return is_public(addr) && !in_any(f->host, f->n_host, addr);
}

static enum net_verdict check_arp(const uint8_t *arp, size_t len)
{
	/* Ethernet and IPv4, request or reply (RFC 826). */
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0};

	if (len < ARP_LEN)
		return NET_DROP_LENGTH;
	if (memcmp(arp, head, sizeof(head)) != 0 || (arp[7] != 1 && arp[7] != 2))
		return NET_DROP_TYPE;
	return NET_PASS;
}

/* The IPv4 packet at p; out is whole only with NET_PASS. */
static enum net_verdict take_ipv4(const uint8_t *p, size_t len, struct packet *out)
{
	size_t header, total;

	if (len < IPV4_LEN || p[0] >> 4 != 4)
		return NET_DROP_LENGTH;
	header = (size_t)(p[0] & 15) * 4;
	total = get16(p + 2);
	if (header < IPV4_LEN || total < header || total > len)
		return NET_DROP_LENGTH;
	/* Of all options only padding is let through: the others route, or are for routers. */
	for (size_t i = IPV4_LEN; i < header; i++)
		if (p[i] > 1)
			return NET_DROP_FRAGMENT;
	net_map4(p + 12, out->src);
	net_map4(p + 16, out->dst);
	out->v4 = true;
	out->fragment = (get16(p + 6) & 0x3fff) != 0;
	out->proto = p[9];
	out->payload = p + header;
	out->len = total - header;
	return NET_PASS;
}

static enum net_verdict take_ipv6(const uint8_t *p, size_t len, struct packet *out)
{
	if (len < IPV6_LEN || p[0] >> 4 != 6)
		return NET_DROP_LENGTH;
	out->len = get16(p + 4);
	if (out->len == 0 || out->len > len - IPV6_LEN)
		return NET_DROP_LENGTH;
	memcpy(out->src, p + 8, 16);
	memcpy(out->dst, p + 24, 16);
	/* A socket of IPv6 would reach IPv4 by these, past what is said about IPv4 here. */
	if (is_mapped(out->src) || is_mapped(out->dst))
		return NET_DROP_ADDRESS;
	out->v4 = false;
	out->fragment = false;
	out->proto = p[6];
	out->payload = p + IPV6_LEN;
	return NET_PASS;
}

static enum net_verdict check_tcp(const struct packet *p)
{
	size_t header;

	if (p->len < TCP_LEN)
		return NET_DROP_LENGTH;
	header = (size_t)(p->payload[12] >> 4) * 4;
	if (header < TCP_LEN || header > p->len)
		return NET_DROP_LENGTH;
	return (p->payload[13] & TCP_URG) != 0 ? NET_DROP_URGENT : NET_PASS;
}

static enum net_verdict check_udp(const struct packet *p)
{
	size_t len;

	if (p->len < UDP_LEN)
		return NET_DROP_LENGTH;
	len = get16(p->payload + 4);
	return len < UDP_LEN || len > p->len ? NET_DROP_LENGTH : NET_PASS;
}

/* Neighbour discovery (RFC 4861): 133 asks for routers, 135 and 136 for and about neighbours. */
static bool is_neighbour_discovery(const struct packet *p)
{
	const uint8_t type = p->payload[0];

	return p->proto == PROTO_ICMPV6 && (type == 133 || type == 135 || type == 136);
}

static bool is_echo(const struct packet *p)
{
	const uint8_t type = p->payload[0];

	return p->proto == PROTO_ICMP ? type == 8 || type == 0 : type == 128 || type == 129;
}

/* What an unfragmented packet of either direction carries is whole, and of a kind that is known. */
static enum net_verdict check_payload(const struct packet *p)
{
	if (p->proto == PROTO_TCP)
		return check_tcp(p);
	if (p->proto == PROTO_UDP)
		return check_udp(p);
	if (p->proto == (p->v4 ? PROTO_ICMP : PROTO_ICMPV6))
		return p->len < ICMP_LEN ? NET_DROP_LENGTH : NET_PASS;
	/* Extension headers have numbers of protocols, too. */
	return p->v4 ? NET_DROP_TYPE : NET_DROP_FRAGMENT;
}

static enum net_verdict check_icmp_out(const struct packet *p)
{
	static const struct net_prefix link_multicast = P6(16, 0xff, 0x02);

	if (is_neighbour_discovery(p))
		return is_link_local(p->dst) || net_prefix_has(&link_multicast, p->dst)
			       ? NET_PASS
			       : NET_DROP_ADDRESS;
	return is_echo(p) ? NET_PASS : NET_DROP_TYPE;
}

static bool is_guest(const struct net_filter *f, const struct packet *p)
{
	static const uint8_t nobody[16];

	if (p->v4)
		return is_addr4(p->src, f->own.guest4);
	if (memcmp(p->src, f->own.guest6, 16) == 0)
		return true;
	/* Neighbour discovery alone speaks from link-local addresses, or from none. */
	return p->proto == PROTO_ICMPV6 && is_neighbour_discovery(p) &&
	       (is_link_local(p->src) || memcmp(p->src, nobody, 16) == 0);
}

static bool may_send(const struct net_filter *f, const struct packet *p)
{
	const bool ports = p->proto == PROTO_TCP || p->proto == PROTO_UDP;

	if (p->proto == PROTO_ICMPV6 && is_neighbour_discovery(p))
		return true;
	if (is_dns(f, p->dst))
		return ports && get16(p->payload + 2) == DNS_PORT;
	if (is_addr4(p->dst, f->own.gateway4))
		return !ports;
	return may_reach(f, p->dst);
}

static enum net_verdict check_out(const struct net_filter *f, const struct packet *p)
{
	enum net_verdict v;

	if (p->fragment)
		return NET_DROP_FRAGMENT;
	v = check_payload(p);
	if (v == NET_PASS && p->proto != PROTO_TCP && p->proto != PROTO_UDP)
		v = check_icmp_out(p);
	if (v != NET_PASS)
		return v;
	if (!is_guest(f, p))
		return NET_DROP_SOURCE;
	return may_send(f, p) ? NET_PASS : NET_DROP_ADDRESS;
}

static enum net_verdict check_in(const struct net_filter *f, const struct packet *p)
{
	enum net_verdict v = p->fragment ? NET_PASS : check_payload(p);

	if (v != NET_PASS)
		return v;
	if (is_addr4(p->src, f->own.gateway4) || is_dns(f, p->src) || may_reach(f, p->src))
		return NET_PASS;
	/* The gateway's answers about itself; no routes: the guest's are fixed. */
	return p->proto == PROTO_ICMPV6 && p->payload[0] != 134 && is_link_local(p->src)
		       ? NET_PASS
		       : NET_DROP_SOURCE;
}

enum net_verdict net_filter_out(const struct net_filter *f, const uint8_t *frame, size_t len)
{
	static const uint8_t nobody[4];
	const uint8_t *p = frame + NET_FRAME_MIN;
	struct packet packet;
	enum net_verdict v;

	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
		return NET_DROP_LENGTH;
	if (memcmp(frame + 6, f->own.mac, 6) != 0)
		return NET_DROP_SOURCE;
	len -= NET_FRAME_MIN;
	switch (get16(frame + 12)) {
	case ETHERTYPE_ARP:
		v = check_arp(p, len);
		if (v != NET_PASS)
			return v;
		return memcmp(p + 8, f->own.mac, 6) == 0 &&
				       (memcmp(p + 14, f->own.guest4, 4) == 0 ||
					memcmp(p + 14, nobody, 4) == 0)
			       ? NET_PASS
			       : NET_DROP_SOURCE;
	case ETHERTYPE_IPV4:
		v = take_ipv4(p, len, &packet);
		break;
	case ETHERTYPE_IPV6:
		v = take_ipv6(p, len, &packet);
		break;
	default:
		return NET_DROP_TYPE;
	}
	return v == NET_PASS ? check_out(f, &packet) : v;
}

enum net_verdict net_filter_in(const struct net_filter *f, const uint8_t *frame, size_t len)
{
	const uint8_t *p = frame + NET_FRAME_MIN;
	struct packet packet;
	enum net_verdict v;

	if (len < NET_FRAME_MIN || len > NET_FRAME_MAX)
		return NET_DROP_LENGTH;
	len -= NET_FRAME_MIN;
	switch (get16(frame + 12)) {
	case ETHERTYPE_ARP:
		return check_arp(p, len);
	case ETHERTYPE_IPV4:
		v = take_ipv4(p, len, &packet);
		break;
	case ETHERTYPE_IPV6:
		v = take_ipv6(p, len, &packet);
		break;
	default:
		return NET_DROP_TYPE;
	}
	return v == NET_PASS ? check_in(f, &packet) : v;
}
