/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/net/refusal.h"

enum { IP = 14, ICMP4 = IP + 20, ICMP6 = IP + 40, TCP = 6, UDP = 17 };

static const struct net_filter internet = {
	.mode = NETWORK_INTERNET,
	.own = {.mac = {2, 0, 0, 0, 0, 1},
		.net4 = {10, 0, 2, 0},
		.guest4 = {10, 0, 2, 15},
		.gateway4 = {10, 0, 2, 2},
		.dns4 = {10, 0, 2, 3},
		.net6 = {0xfd, 0, 0, 1},
		.guest6 = {0xfd, 0, 0, 1, [15] = 0x15},
		.dns6 = {0xfd, 0, 0, 1, [15] = 3},
		.gateway6 = {0xfe, 0x80, [15] = 2}},
};

static uint8_t answer[NET_REFUSAL_MAX];

struct frame {
	uint8_t b[128];
	size_t len;
};

/* The guest's frame to dst: the head of TCP with a sequence number, or 20 bytes of `proto`. */
static struct frame to(const char *dst, uint8_t proto)
{
	struct frame f = {.len = IP + 20 + 20};
	uint8_t *p = f.b + IP;

	memcpy(f.b, (const uint8_t[]){0x52, 0x55, 10, 0, 2, 2, 2, 0, 0, 0, 0, 1, 8}, 13);
	if (inet_pton(AF_INET, dst, p + 16) == 1) {
		memcpy(p, (const uint8_t[]){0x45, 0, 0, 40, 0, 0, 0, 0, 64, proto}, 10);
		memcpy(p + 12, internet.own.guest4, 4);
		p += 20;
	} else {
		f.len += 20;
		f.b[12] = 0x86;
		f.b[13] = 0xdd;
		memcpy(p, (const uint8_t[]){0x60, 0, 0, 0, 0, 20, proto, 64}, 8);
		memcpy(p + 8, internet.own.guest6, 16);
		cr_assert_eq(inet_pton(AF_INET6, dst, p + 24), 1);
		p += 40;
	}
	memcpy(p, (const uint8_t[]){0x9c, 0x40, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 5 << 4, 2}, 14);
	if (proto == UDP)
		memcpy(p + 4, (const uint8_t[]){0, 20}, 2);
	return f;
}

static size_t refuse(const struct frame *f)
{
	cr_assert_eq(net_filter_out(&internet, f->b, f->len), NET_DROP_ADDRESS);
	memset(answer, 0xee, sizeof(answer));
	return net_refusal(&internet, f->b, f->len, answer);
}

/* The sum of what is right is all ones (RFC 1071). */
static uint32_t sum(const uint8_t *p, size_t len, uint32_t s)
{
	for (size_t i = 0; i < len; i++)
		s += (uint32_t)p[i] << (i % 2 ? 0 : 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void expect_refusal4(const struct frame *f, size_t header)
{
	size_t n = refuse(f);

	cr_assert_eq(n, ICMP4 + 8 + header + 8);
	cr_expect_eq(net_filter_in(&internet, answer, n), NET_PASS);
	cr_expect_eq(memcmp(answer, internet.own.mac, 6), 0);
	cr_expect_eq(memcmp(answer + IP + 12, internet.own.gateway4, 4), 0);
	cr_expect_eq(memcmp(answer + IP + 16, internet.own.guest4, 4), 0);
	cr_expect_eq(answer[ICMP4], 3);
	cr_expect_eq(answer[ICMP4 + 1], 13);
	cr_expect_eq(sum(answer + IP, 20, 0), 0xffff);
	cr_expect_eq(sum(answer + ICMP4, n - ICMP4, 0), 0xffff);
	cr_expect_eq(memcmp(answer + ICMP4 + 8, f->b + IP, header + 8), 0);
}

Test(net_refusal, of_ipv4_names_the_packet)
{
	struct frame f = to("192.168.7.7", TCP);

	expect_refusal4(&f, 20);
	f = to("192.168.7.7", UDP);
	expect_refusal4(&f, 20);
	f = to("127.0.0.1", TCP);
	expect_refusal4(&f, 20);
	f = to("10.0.2.2", TCP);
	expect_refusal4(&f, 20);
}

Test(net_refusal, of_ipv4_names_its_padding)
{
	struct frame f = to("192.168.7.7", TCP);

	memmove(f.b + IP + 60, f.b + IP + 20, 20);
	memset(f.b + IP + 20, 1, 40);
	f.b[IP] = 0x4f;
	f.b[IP + 3] = 80;
	f.len += 40;
	expect_refusal4(&f, 60);
}

Test(net_refusal, of_ipv6_names_the_packet)
{
	struct frame f = to("fd00:2::9", TCP);
	/* The pseudo header of RFC 8200 8.1: the addresses, the length, the protocol. */
	uint32_t pseudo;
	size_t n = refuse(&f);

	cr_assert_eq(n, ICMP6 + 8 + 48);
	cr_expect_eq(net_filter_in(&internet, answer, n), NET_PASS);
	cr_expect_eq(answer[IP] >> 4, 6);
	cr_expect_eq(answer[IP + 5], 56);
	cr_expect_eq(answer[IP + 6], 58);
	cr_expect_eq(answer[IP + 7], 255);
	cr_expect_eq(memcmp(answer + IP + 8, internet.own.gateway6, 16), 0);
	cr_expect_eq(memcmp(answer + IP + 24, internet.own.guest6, 16), 0);
	cr_expect_eq(answer[ICMP6], 1);
	cr_expect_eq(answer[ICMP6 + 1], 1);
	pseudo = sum(answer + IP + 8, 32, 56 + 58);
	cr_expect_eq(sum(answer + ICMP6, 56, pseudo), 0xffff);
	cr_expect_eq(memcmp(answer + ICMP6 + 8, f.b + IP, 48), 0);
}

Test(net_refusal, answers_echo_requests_but_no_errors)
{
	struct frame f = to("192.168.7.7", 1);

	f.b[IP + 20] = 8;
	expect_refusal4(&f, 20);
	f.b[IP + 20] = 3;
	cr_expect_eq(net_refusal(&internet, f.b, f.len, answer), 0);
	f = to("fd00:2::9", 58);
	f.b[ICMP6] = 128;
	cr_expect_gt(refuse(&f), 0);
	f.b[ICMP6] = 1;
	cr_expect_eq(net_refusal(&internet, f.b, f.len, answer), 0);
	f = to("::ffff:1.2.3.4", 47);
	cr_expect_eq(refuse(&f), 0, "GRE, past an address that comes before it");
}

Test(net_refusal, answers_nothing_to_many)
{
	struct frame f = to("224.0.0.1", UDP);

	cr_expect_eq(refuse(&f), 0);
	f = to("255.255.255.255", UDP);
	cr_expect_eq(refuse(&f), 0);
	f = to("ff02::1", UDP);
	cr_expect_eq(refuse(&f), 0);
	f = to("192.168.7.7", TCP);
	f.b[0] |= 1;
	cr_expect_eq(refuse(&f), 0);
}

Test(net_refusal, answers_nobody_else)
{
	struct frame f = to("::ffff:1.2.3.4", TCP);

	f.b[IP + 8 + 15] ^= 1;
	cr_expect_eq(refuse(&f), 0);
	f = to("192.168.7.7", TCP);
	f.b[IP + 15] ^= 1;
	cr_expect_eq(net_refusal(&internet, f.b, f.len, answer), 0);
}

Test(net_refusal, answers_nothing_that_is_cut_short)
{
	struct frame v4 = to("192.168.7.7", TCP), v6 = to("fd00:2::9", TCP);

	for (size_t n = 0; n < IP + 20 + 8; n++)
		cr_expect_eq(net_refusal(&internet, v4.b, n, answer), 0, "%zu", n);
	for (size_t n = 0; n < IP + 40 + 8; n++)
		cr_expect_eq(net_refusal(&internet, v6.b, n, answer), 0, "%zu", n);
	v4.b[IP] = 0x44;
	cr_expect_eq(net_refusal(&internet, v4.b, v4.len, answer), 0);
	v4.b[IP] = 0x4f;
	cr_expect_eq(net_refusal(&internet, v4.b, IP + 60 + 7, answer), 0);
}
