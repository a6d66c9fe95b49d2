/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/net/addresses.h"

/* A host with one interface in a.b.c.d/bits. */
static struct net_filter host_in(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t bits)
{
	struct net_filter host = {.n_host = 1};

	net_map4((const uint8_t[]){a, b, c, d}, host.host[0].addr);
	host.host[0].bits = (uint8_t)(96 + bits);
	return host;
}

Test(net_addresses, the_usual_ones)
{
	struct net_filter host = host_in(192, 168, 1, 2, 24);
	struct net_addresses a, b;

	cr_assert_eq(net_addresses_choose(&host, &a), 0);
	cr_assert_eq(net_addresses_choose(&host, &b), 0);
	cr_expect_eq(memcmp(a.guest4, (const uint8_t[]){10, 0, 2, 15}, 4), 0);
	cr_expect_eq(memcmp(a.gateway4, (const uint8_t[]){10, 0, 2, 2}, 4), 0);
	cr_expect_eq(memcmp(a.dns4, (const uint8_t[]){10, 0, 2, 3}, 4), 0);
	cr_expect_eq(a.mac[0] & 3, 2, "locally administered, of one card");
	cr_expect_neq(memcmp(a.mac, b.mac, sizeof(a.mac)), 0, "each sandbox has its own");
}

Test(net_addresses, the_hosts_own_network_is_avoided)
{
	struct net_filter inside = host_in(10, 0, 2, 77, 24), small = host_in(10, 0, 2, 1, 32);
	struct net_filter large = host_in(10, 9, 9, 9, 8);
	struct net_addresses a;

	cr_assert_eq(net_addresses_choose(&inside, &a), 0);
	cr_expect_eq(a.net4[2], 3);
	cr_assert_eq(net_addresses_choose(&small, &a), 0);
	cr_expect_eq(a.net4[2], 3);
	cr_assert_eq(net_addresses_choose(&large, &a), 0);
	cr_expect_eq(a.net4[2], 2);
}

Test(net_addresses, the_resolvers_file)
{
	static const char conf[] = "# of the host\nnameserver 127.0.0.53\noptions edns0 trust-ad\n"
				   "search lan home\nsearching x\nsortlist 1.2.3.4";
	struct net_filter host = {.n_host = 0};
	struct net_addresses a;
	char *text;

	cr_assert_eq(net_addresses_choose(&host, &a), 0);
	text = net_resolv_conf(&a, conf);
	cr_expect_str_eq(text, "nameserver 10.0.2.3\nnameserver fd00:5ca5::3\n"
			       "options edns0 trust-ad\nsearch lan home\n");
	free(text);
	text = net_resolv_conf(&a, "");
	cr_expect_str_eq(text, "nameserver 10.0.2.3\nnameserver fd00:5ca5::3\n");
	free(text);
}
