/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "vmm/net/hostaddr.h"

static struct sockaddr_in in4(const char *text)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};

	cr_assert_eq(inet_pton(AF_INET, text, &sa.sin_addr), 1);
	return sa;
}

static struct sockaddr_in6 in6(const char *text)
{
	struct sockaddr_in6 sa = {.sin6_family = AF_INET6};

	cr_assert_eq(inet_pton(AF_INET6, text, &sa.sin6_addr), 1);
	return sa;
}

Test(net_hostaddr, prefixes_of_both_families_and_the_far_end_of_a_tunnel)
{
	struct sockaddr_in a = in4("192.168.7.9"), m = in4("255.255.252.0"), far = in4("100.1.2.3");
	struct sockaddr_in6 a6 = in6("2600:1::5"), m6 = in6("ffff:ffff:ffff:ff00::");
	struct sockaddr other = {.sa_family = AF_PACKET};
	struct ifaddrs list[] = {
		{.ifa_addr = (struct sockaddr *)&a,
		 .ifa_netmask = (struct sockaddr *)&m,
		 .ifa_flags = IFF_POINTOPOINT,
		 .ifa_dstaddr = (struct sockaddr *)&far},
		{.ifa_addr = (struct sockaddr *)&a6, .ifa_netmask = (struct sockaddr *)&m6},
		{.ifa_addr = &other},
		{.ifa_addr = NULL},
		{.ifa_addr = (struct sockaddr *)&a},
	};
	struct net_filter f = {.host_unknown = true};

	for (size_t i = 0; i + 1 < ARRAY_SIZE(list); i++)
		list[i].ifa_next = &list[i + 1];
	hostaddr_take(list, &f);
	cr_assert_eq(f.n_host, 4);
	cr_expect(!f.host_unknown);
	cr_expect_eq(f.host[0].bits, 96 + 22);
	cr_expect_eq(f.host[0].addr[15], 9);
	cr_expect_eq(f.host[1].bits, 128);
	cr_expect_eq(f.host[1].addr[12], 100);
	cr_expect_eq(f.host[2].bits, 56);
	cr_expect_eq(f.host[3].bits, 128, "without a mask it is the address alone");
}

Test(net_hostaddr, more_than_can_be_held_is_unknown)
{
	struct sockaddr_in a = in4("192.168.7.9");
	struct ifaddrs list[NET_MAX_PREFIXES + 1];
	struct net_filter f = {.n_host = 0};

	memset(list, 0, sizeof(list));
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		list[i].ifa_addr = (struct sockaddr *)&a;
		list[i].ifa_next = i + 1 < ARRAY_SIZE(list) ? &list[i + 1] : NULL;
	}
	hostaddr_take(list, &f);
	cr_expect(f.host_unknown);
	hostaddr_take(NULL, &f);
	cr_expect(!f.host_unknown);
	cr_expect_eq(f.n_host, 0);
}

Test(net_hostaddr, this_host_has_its_loopback)
{
	struct net_filter f = {.n_host = 0};
	uint8_t lo[16];
	bool found = false;

	net_map4((const uint8_t[]){127, 0, 0, 1}, lo);
	hostaddr_read(&f);
	for (size_t i = 0; i < f.n_host; i++)
		found |= memcmp(f.host[i].addr, lo, 16) == 0 && f.host[i].bits == 96 + 8;
	cr_expect(found);
}
