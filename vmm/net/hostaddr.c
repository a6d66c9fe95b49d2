/* SPDX-License-Identifier: MIT */
#include "vmm/net/hostaddr.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int hostaddr_watch(int *fd)
{
	const struct sockaddr_nl local = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int s = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (s < 0)
		return -errno;
	if (bind(s, (const struct sockaddr *)&local, sizeof(local)) < 0) {
		int r = -errno;

		close(s);
		return r;
	}
	*fd = s;
	return 0;
}

void hostaddr_drain(int fd)
{
	char message[4096];

	/* ENOBUFS says that messages were lost, and that is a change as well. */
	while (recv(fd, message, sizeof(message), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		errno = 0;
}

/* The address in sa, as the filter compares it; false: of another family. */
static bool take_address(const struct sockaddr *sa, uint8_t out[16])
{
	if (sa && sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		net_map4((const uint8_t *)&in.sin_addr, out);
		return true;
	}
	if (sa && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(out, &in6.sin6_addr, 16);
		return true;
	}
	return false;
}

static uint8_t count_bits(const uint8_t mask[16])
{
	unsigned int n = 0;

	while (n < 128 && (mask[n / 8] >> (7 - n % 8) & 1))
		n++;
	return (uint8_t)n;
}

static void add_prefix(struct net_filter *f, const struct net_prefix *p)
{
	if (f->n_host == NET_MAX_PREFIXES)
		f->host_unknown = true;
	else
		f->host[f->n_host++] = *p;
}

void hostaddr_take(const struct ifaddrs *list, struct net_filter *f)
{
	f->n_host = 0;
	f->host_unknown = false;
	for (; list; list = list->ifa_next) {
		struct net_prefix p;
		uint8_t mask[16];

		if (!take_address(list->ifa_addr, p.addr))
			continue;
		p.bits = 128;
		if (take_address(list->ifa_netmask, mask)) {
			/* An IPv4 mask comes as ::ffff:a.b.c.d, whose first bits are not ones. */
			memset(mask, 0xff, list->ifa_addr->sa_family == AF_INET ? 12 : 0);
			p.bits = count_bits(mask);
		}
		add_prefix(f, &p);
		/* The other end of a tunnel is no address of ours, but as near. */
		if ((list->ifa_flags & IFF_POINTOPOINT) != 0 &&
		    take_address(list->ifa_dstaddr, p.addr)) {
			p.bits = 128;
			add_prefix(f, &p);
		}
	}
}

void hostaddr_read(struct net_filter *f)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0) {
		f->n_host = 0;
		f->host_unknown = true;
		return;
	}
	hostaddr_take(list, f);
	freeifaddrs(list);
}
