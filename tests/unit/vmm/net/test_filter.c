/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "common/util.h"
#include "vmm/net/filter.h"

static struct net_filter filter(enum network_mode mode)
{
	struct net_filter f = {
		.mode = mode,
		.own = {.mac = {2, 0, 0, 0, 0, 1},
			.net4 = {10, 0, 2, 0},
			.guest4 = {10, 0, 2, 15},
			.gateway4 = {10, 0, 2, 2},
			.dns4 = {10, 0, 2, 3}},
		.n_host = 2,
	};

	inet_pton(AF_INET6, "fd00:5ca5::", f.own.net6);
	inet_pton(AF_INET6, "fd00:5ca5::15", f.own.guest6);
	inet_pton(AF_INET6, "fd00:5ca5::3", f.own.dns6);
	/* The host has 8.20.0.7/16 and 2600:1::5/64. */
	net_map4((const uint8_t[]){8, 20, 0, 7}, f.host[0].addr);
	f.host[0].bits = 96 + 16;
	inet_pton(AF_INET6, "2600:1::5", f.host[1].addr);
	f.host[1].bits = 64;
	return f;
}

/* A frame being built: what a test changes lies at known offsets. */
struct frame {
	uint8_t b[256];
	size_t len;
};

enum { IP = 14, TRANSPORT4 = 34, TRANSPORT6 = 54 };

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static struct frame ethernet(uint16_t type, size_t payload)
{
	struct frame f = {.len = 14 + payload};

	memcpy(f.b, (const uint8_t[]){0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1}, 12);
	put16(f.b + 12, type);
	return f;
}

/* The head of TCP, UDP or an echo request to `port`. */
static void transport(uint8_t *p, uint8_t proto, uint16_t port, size_t len)
{
	if (proto == 6 || proto == 17) {
		put16(p, 40000);
		put16(p + 2, port);
	}
	if (proto == 6)
		p[12] = 5 << 4;
	if (proto == 17)
		put16(p + 4, len);
	if (proto == 1)
		p[0] = 8;
	if (proto == 58)
		p[0] = 128;
}

static struct frame packet(const char *src, const char *dst, uint8_t proto, uint16_t port)
{
	const bool v6 = strchr(dst, ':') != NULL;
	struct frame f = ethernet(v6 ? 0x86dd : 0x0800, (v6 ? 40 : 20) + 20);

	if (v6) {
		f.b[IP] = 0x60;
		put16(f.b + IP + 4, 20);
		f.b[IP + 6] = proto;
		cr_assert_eq(inet_pton(AF_INET6, src, f.b + IP + 8), 1);
		cr_assert_eq(inet_pton(AF_INET6, dst, f.b + IP + 24), 1);
	} else {
		f.b[IP] = 0x45;
		put16(f.b + IP + 2, 40);
		f.b[IP + 9] = proto;
		cr_assert_eq(inet_pton(AF_INET, src, f.b + IP + 12), 1);
		cr_assert_eq(inet_pton(AF_INET, dst, f.b + IP + 16), 1);
	}
	transport(f.b + (v6 ? TRANSPORT6 : TRANSPORT4), proto, port, 20);
	return f;
}

static const char *guest(const char *peer)
{
	return strchr(peer, ':') ? "fd00:5ca5::15" : "10.0.2.15";
}

static enum net_verdict out(enum network_mode mode, const struct frame *f)
{
	struct net_filter filters = filter(mode);

	return net_filter_out(&filters, f->b, f->len);
}

static enum net_verdict out_tcp(enum network_mode mode, const char *dst)
{
	struct frame f = packet(guest(dst), dst, 6, 443);

	return out(mode, &f);
}

static enum net_verdict in(enum network_mode mode, const struct frame *f)
{
	struct net_filter filters = filter(mode);

	return net_filter_in(&filters, f->b, f->len);
}

/* From whom to whom, what reaches it: as docs/network.md has it. */
static const struct {
	const char *dst;
	enum net_verdict internet, user;
} destinations[] = {
	{"9.9.9.9", NET_PASS, NET_PASS},
	{"1.1.1.1", NET_PASS, NET_PASS},
	{"9.255.255.255", NET_PASS, NET_PASS},
	{"11.0.0.0", NET_PASS, NET_PASS},
	{"126.255.255.255", NET_PASS, NET_PASS},
	{"128.0.0.1", NET_PASS, NET_PASS},
	{"172.15.255.255", NET_PASS, NET_PASS},
	{"172.32.0.0", NET_PASS, NET_PASS},
	{"192.167.255.255", NET_PASS, NET_PASS},
	{"192.169.0.0", NET_PASS, NET_PASS},
	{"198.17.255.255", NET_PASS, NET_PASS},
	{"198.20.0.0", NET_PASS, NET_PASS},
	{"100.63.255.255", NET_PASS, NET_PASS},
	{"100.128.0.0", NET_PASS, NET_PASS},
	{"223.255.255.255", NET_PASS, NET_PASS},
	{"2606:4700::1111", NET_PASS, NET_PASS},
	{"2003::1", NET_PASS, NET_PASS},
	{"3ffe::1", NET_PASS, NET_PASS},
	{"64:ff9b::9.9.9.9", NET_PASS, NET_PASS},
	/* The LAN. */
	{"10.1.2.3", NET_DROP_ADDRESS, NET_PASS},
	{"10.255.255.255", NET_DROP_ADDRESS, NET_PASS},
	{"100.64.0.0", NET_DROP_ADDRESS, NET_PASS},
	{"100.127.255.255", NET_DROP_ADDRESS, NET_PASS},
	{"169.254.169.254", NET_DROP_ADDRESS, NET_PASS},
	{"172.16.0.0", NET_DROP_ADDRESS, NET_PASS},
	{"172.31.255.255", NET_DROP_ADDRESS, NET_PASS},
	{"192.0.0.1", NET_DROP_ADDRESS, NET_PASS},
	{"192.0.2.1", NET_DROP_ADDRESS, NET_PASS},
	{"192.88.99.1", NET_DROP_ADDRESS, NET_PASS},
	{"192.168.0.0", NET_DROP_ADDRESS, NET_PASS},
	{"192.168.255.255", NET_DROP_ADDRESS, NET_PASS},
	{"198.18.0.0", NET_DROP_ADDRESS, NET_PASS},
	{"198.19.255.255", NET_DROP_ADDRESS, NET_PASS},
	{"198.51.100.7", NET_DROP_ADDRESS, NET_PASS},
	{"203.0.113.7", NET_DROP_ADDRESS, NET_PASS},
	{"fd12::1", NET_DROP_ADDRESS, NET_PASS},
	{"2001:1::1", NET_DROP_ADDRESS, NET_PASS},
	{"2001:db8::1", NET_DROP_ADDRESS, NET_PASS},
	{"2002:c0a8:0101::1", NET_DROP_ADDRESS, NET_PASS},
	{"3fff:fff::1", NET_DROP_ADDRESS, NET_PASS},
	{"4000::1", NET_DROP_ADDRESS, NET_PASS},
	/* The host's own prefixes. */
	{"8.20.0.7", NET_DROP_ADDRESS, NET_PASS},
	{"8.20.255.255", NET_DROP_ADDRESS, NET_PASS},
	{"8.21.0.0", NET_PASS, NET_PASS},
	{"2600:1::99", NET_DROP_ADDRESS, NET_PASS},
	{"2600:1:0:1::99", NET_PASS, NET_PASS},
	/* Never. */
	{"0.0.0.0", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"0.255.255.255", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"127.0.0.1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"127.0.0.53", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"127.255.255.255", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"224.0.0.1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"239.255.255.250", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"240.0.0.1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"255.255.255.255", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"::", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"::1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"::127.0.0.1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"::ffff:127.0.0.1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"::ffff:9.9.9.9", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"ff02::1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"ff0e::1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"fe80::2", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"fe7a:64::1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"feff::1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"64:ff9b::127.0.0.1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"64:ff9b::192.168.1.1", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	/* The little network: nobody is there but the gateway and the DNS, for what they are for. */
	{"10.0.2.2", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"10.0.2.3", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"10.0.2.99", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"fd00:5ca5::3", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
	{"fd00:5ca5::99", NET_DROP_ADDRESS, NET_DROP_ADDRESS},
};

Test(net_filter, each_mode_reaches_what_it_says)
{
	for (size_t i = 0; i < ARRAY_SIZE(destinations); i++) {
		cr_expect_eq(out_tcp(NETWORK_INTERNET, destinations[i].dst),
			     destinations[i].internet, "internet %s", destinations[i].dst);
		cr_expect_eq(out_tcp(NETWORK_USER, destinations[i].dst), destinations[i].user,
			     "user %s", destinations[i].dst);
	}
}

Test(net_filter, udp_and_echo_reach_the_same)
{
	for (size_t i = 0; i < ARRAY_SIZE(destinations); i++) {
		const char *dst = destinations[i].dst;
		struct frame udp = packet(guest(dst), dst, 17, 443);
		struct frame echo = packet(guest(dst), dst, strchr(dst, ':') ? 58 : 1, 0);

		cr_expect_eq(out(NETWORK_INTERNET, &udp), destinations[i].internet, "%s", dst);
		if (strcmp(dst, "10.0.2.2") != 0)
			cr_expect_eq(out(NETWORK_INTERNET, &echo), destinations[i].internet, "%s",
				     dst);
	}
}

Test(net_filter, dns_by_its_port_and_the_gateway_by_ping)
{
	struct frame tcp = packet("10.0.2.15", "10.0.2.3", 6, 53);
	struct frame udp6 = packet("fd00:5ca5::15", "fd00:5ca5::3", 17, 53);
	struct frame ping = packet("10.0.2.15", "10.0.2.2", 1, 0);

	cr_expect_eq(out(NETWORK_INTERNET, &tcp), NET_PASS);
	cr_expect_eq(out(NETWORK_INTERNET, &udp6), NET_PASS);
	cr_expect_eq(out(NETWORK_INTERNET, &ping), NET_PASS);
}

Test(net_filter, without_knowing_the_host_only_dns_passes)
{
	struct net_filter f = filter(NETWORK_INTERNET);
	struct frame dns = packet("10.0.2.15", "10.0.2.3", 17, 53);
	struct frame web = packet("10.0.2.15", "9.9.9.9", 6, 443);

	f.host_unknown = true;
	cr_expect_eq(net_filter_out(&f, dns.b, dns.len), NET_PASS);
	cr_expect_eq(net_filter_out(&f, web.b, web.len), NET_DROP_ADDRESS);
}

Test(net_filter, only_the_guest_speaks)
{
	static const char *const wrong[] = {"10.0.2.16", "9.9.9.9", "0.0.0.0", "127.0.0.1",
					    "10.0.2.2"};
	struct frame f = packet("fe80::1", "2606:4700::1111", 6, 443);

	cr_expect_eq(out(NETWORK_USER, &f), NET_DROP_SOURCE);
	f = packet("::1", "2606:4700::1111", 6, 443);
	cr_expect_eq(out(NETWORK_USER, &f), NET_DROP_SOURCE);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		f = packet(wrong[i], "9.9.9.9", 6, 443);
		cr_expect_eq(out(NETWORK_USER, &f), NET_DROP_SOURCE, "%s", wrong[i]);
	}
	f = packet("10.0.2.15", "9.9.9.9", 6, 443);
	f.b[11] = 2; /* another MAC address */
	cr_expect_eq(out(NETWORK_USER, &f), NET_DROP_SOURCE);
}

/* A byte of a good frame, changed, and what comes of it. */
struct change {
	size_t at;
	uint8_t value;
	enum net_verdict verdict;
};

static void try_changes(const struct frame *good, const struct change *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct frame f = *good;

		f.b[c[i].at] = c[i].value;
		cr_expect_eq(out(NETWORK_USER, &f), c[i].verdict, "byte %zu is %u", c[i].at,
			     c[i].value);
	}
}

Test(net_filter, ipv4_headers_that_lie)
{
	static const struct change changes[] = {
		{12, 0x81, NET_DROP_TYPE}, /* a VLAN */
		{IP, 0x65, NET_DROP_LENGTH},
		{IP, 0x40, NET_DROP_LENGTH},
		{IP, 0x44, NET_DROP_LENGTH},
		{IP, 0x4f, NET_DROP_LENGTH}, /* the header is longer than the packet */
		{IP + 3, 0, NET_DROP_LENGTH},
		{IP + 3, 19, NET_DROP_LENGTH},
		{IP + 3, 41, NET_DROP_LENGTH},
		{IP + 2, 1, NET_DROP_LENGTH},
		{IP + 6, 0x20, NET_DROP_FRAGMENT}, /* more fragments */
		{IP + 7, 1, NET_DROP_FRAGMENT}, /* an offset */
		{IP + 6, 0x40, NET_PASS}, /* do not fragment */
		{IP + 9, 2, NET_DROP_TYPE}, /* IGMP */
		{IP + 9, 4, NET_DROP_TYPE}, /* a tunnel */
		{IP + 9, 41, NET_DROP_TYPE},
		{IP + 9, 58, NET_DROP_TYPE},
		{IP + 9, 132, NET_DROP_TYPE},
		{TRANSPORT4 + 12, 4 << 4, NET_DROP_LENGTH}, /* TCP's own header */
		{TRANSPORT4 + 12, 6 << 4, NET_DROP_LENGTH},
		{TRANSPORT4 + 13, 0x20, NET_DROP_URGENT},
		{TRANSPORT4 + 13, 0x3f, NET_DROP_URGENT},
		{TRANSPORT4 + 13, 0x1f, NET_PASS},
	};
	struct frame tcp = packet("10.0.2.15", "9.9.9.9", 6, 443);

	try_changes(&tcp, changes, ARRAY_SIZE(changes));
}

Test(net_filter, udp_lengths_that_lie)
{
	static const struct change changes[] = {
		{TRANSPORT4 + 5, 7, NET_DROP_LENGTH},
		{TRANSPORT4 + 5, 21, NET_DROP_LENGTH},
		{TRANSPORT4 + 5, 8, NET_PASS},
	};
	struct frame udp = packet("10.0.2.15", "9.9.9.9", 17, 443);

	try_changes(&udp, changes, ARRAY_SIZE(changes));
}

Test(net_filter, ipv6_headers_that_lie)
{
	static const struct change changes[] = {
		{IP, 0x50, NET_DROP_LENGTH},
		{IP + 5, 0, NET_DROP_LENGTH}, /* a jumbo packet says 0 */
		{IP + 5, 21, NET_DROP_LENGTH},
		{IP + 6, 0, NET_DROP_FRAGMENT}, /* hop-by-hop options */
		{IP + 6, 43, NET_DROP_FRAGMENT}, /* routing */
		{IP + 6, 44, NET_DROP_FRAGMENT},
		{IP + 6, 50, NET_DROP_FRAGMENT},
		{IP + 6, 60, NET_DROP_FRAGMENT}, /* destination options */
		{IP + 6, 1, NET_DROP_FRAGMENT}, /* ICMP of IPv4 */
	};
	struct frame tcp = packet("fd00:5ca5::15", "2606:4700::1111", 6, 443);

	try_changes(&tcp, changes, ARRAY_SIZE(changes));
}

Test(net_filter, options_of_ipv4_are_padding_only)
{
	/* Loose and strict source route, record route, router alert. */
	static const uint8_t options[] = {131, 137, 7, 148};
	struct frame f = packet("10.0.2.15", "9.9.9.9", 6, 443);

	memmove(f.b + TRANSPORT4 + 4, f.b + TRANSPORT4, 20);
	memset(f.b + TRANSPORT4, 1, 4);
	f.b[IP] = 0x46;
	f.b[IP + 3] = 44;
	f.len += 4;
	cr_expect_eq(out(NETWORK_INTERNET, &f), NET_PASS);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		f.b[TRANSPORT4] = options[i];
		cr_expect_eq(out(NETWORK_INTERNET, &f), NET_DROP_FRAGMENT);
	}
}

Test(net_filter, every_shorter_frame_is_dropped)
{
	const struct frame good[] = {
		packet("10.0.2.15", "9.9.9.9", 6, 443),
		packet("fd00:5ca5::15", "2606:4700::1111", 6, 443),
	};
	struct net_filter f = filter(NETWORK_INTERNET);

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		for (size_t len = 0; len < good[i].len; len++)
			cr_expect_eq(net_filter_out(&f, good[i].b, len), NET_DROP_LENGTH, "%zu",
				     len);
}

Test(net_filter, longer_frames_than_ip_has_are_dropped)
{
	static uint8_t frame[NET_FRAME_MAX + 1];
	struct net_filter f = filter(NETWORK_INTERNET);
	struct frame good = packet("10.0.2.15", "9.9.9.9", 6, 443);

	memcpy(frame, good.b, good.len);
	cr_expect_eq(net_filter_out(&f, frame, NET_FRAME_MAX), NET_PASS);
	cr_expect_eq(net_filter_out(&f, frame, NET_FRAME_MAX + 1), NET_DROP_LENGTH);
	cr_expect_eq(net_filter_in(&f, frame, NET_FRAME_MAX + 1), NET_DROP_LENGTH);
}

static struct frame arp(const uint8_t sender[4])
{
	struct frame f = ethernet(0x0806, 28);

	memcpy(f.b + IP, (const uint8_t[]){0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1}, 14);
	memcpy(f.b + IP + 14, sender, 4);
	return f;
}

Test(net_filter, arp_is_the_guests_own)
{
	static const struct change changes[] = {
		{IP + 1, 2, NET_DROP_TYPE},    {IP + 2, 0x86, NET_DROP_TYPE},
		{IP + 4, 8, NET_DROP_TYPE},    {IP + 7, 3, NET_DROP_TYPE},
		{IP + 7, 2, NET_PASS},	       {IP + 13, 2, NET_DROP_SOURCE},
		{IP + 17, 2, NET_DROP_SOURCE},
	};
	struct frame own = arp((const uint8_t[]){10, 0, 2, 15});
	struct frame probe = arp((const uint8_t[]){0, 0, 0, 0});

	cr_expect_eq(out(NETWORK_INTERNET, &own), NET_PASS);
	cr_expect_eq(out(NETWORK_INTERNET, &probe), NET_PASS);
	try_changes(&own, changes, ARRAY_SIZE(changes));
	own.len = 41;
	cr_expect_eq(out(NETWORK_INTERNET, &own), NET_DROP_LENGTH);
}

Test(net_filter, neighbour_discovery_stays_on_the_link)
{
	struct frame f = packet("fe80::1", "ff02::1:ff00:2", 58, 0);

	for (unsigned int type = 0; type < 256; type++) {
		f.b[TRANSPORT6] = (uint8_t)type;
		cr_expect_eq(out(NETWORK_INTERNET, &f) == NET_PASS,
			     type == 133 || type == 135 || type == 136, "%u", type);
	}
	f = packet("fd00:5ca5::15", "2606:4700::1111", 58, 0);
	f.b[TRANSPORT6] = 135;
	cr_expect_eq(out(NETWORK_INTERNET, &f), NET_DROP_ADDRESS);
}

Test(net_filter, icmp_is_echo_alone)
{
	struct frame f = packet("10.0.2.15", "9.9.9.9", 1, 0);

	for (unsigned int type = 0; type < 256; type++) {
		f.b[TRANSPORT4] = (uint8_t)type;
		cr_expect_eq(out(NETWORK_INTERNET, &f) == NET_PASS, type == 0 || type == 8, "%u",
			     type);
	}
}

Test(net_filter, only_who_may_be_asked_answers)
{
	static const struct {
		const char *src;
		enum net_verdict internet;
	} sources[] = {
		{"9.9.9.9", NET_PASS},		{"10.0.2.2", NET_PASS},
		{"10.0.2.3", NET_PASS},		{"192.168.1.1", NET_DROP_SOURCE},
		{"127.0.0.1", NET_DROP_SOURCE}, {"8.20.0.7", NET_DROP_SOURCE},
		{"2606:4700::1", NET_PASS},	{"fd00:5ca5::3", NET_PASS},
		{"::1", NET_DROP_SOURCE},	{"2600:1::99", NET_DROP_SOURCE},
	};

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct frame f = packet(sources[i].src, guest(sources[i].src), 17, 9);

		cr_expect_eq(in(NETWORK_INTERNET, &f), sources[i].internet, "%s", sources[i].src);
	}
}

Test(net_filter, the_guest_is_told_no_routes)
{
	struct frame f = packet("fe80::2", "ff02::1", 58, 0);

	f.b[TRANSPORT6] = 134; /* a router's advertisement */
	cr_expect_eq(in(NETWORK_USER, &f), NET_DROP_SOURCE);
	f.b[TRANSPORT6] = 136;
	cr_expect_eq(in(NETWORK_USER, &f), NET_PASS);
}

Test(net_filter, fragments_reach_the_guest)
{
	struct frame f = packet("9.9.9.9", "10.0.2.15", 17, 9);

	/* libslirp cuts long datagrams; the second piece begins with anything. */
	f.b[IP + 7] = 185;
	memset(f.b + TRANSPORT4, 0xff, 20);
	cr_expect_eq(in(NETWORK_INTERNET, &f), NET_PASS);
	f = packet("192.168.1.1", "10.0.2.15", 17, 9);
	f.b[IP + 7] = 185;
	cr_expect_eq(in(NETWORK_INTERNET, &f), NET_DROP_SOURCE);
}
