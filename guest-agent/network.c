/* SPDX-License-Identifier: MIT */
#include "guest-agent/network.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest-agent/files.h"
#include "guest-agent/lease.h"

enum {
	MAX_CARDS = 16,
	/* A command is to find the network up; without a server it is not to wait for ever. */
	LEASE_WAIT_MS = 10 * 1000,
};

/* As <linux/ipv6.h> has it, which does not go together with the C library's headers. */
struct in6_request {
	struct in6_addr addr;
	uint32_t bits;
	int index;
};

/* The card with the host's MAC address, whatever the kernel calls it; 0 or -ENODEV. */
static int find_card(int fd, const uint8_t mac[6], struct ifreq *out)
{
	/* Numbers are given in turn, and nobody has taken cards away yet. */
	for (int index = 1; index <= MAX_CARDS; index++) {
		struct ifreq ifr = {.ifr_ifindex = index};

		if (ioctl(fd, SIOCGIFNAME, &ifr) == 0 && ioctl(fd, SIOCGIFHWADDR, &ifr) == 0 &&
		    memcmp(ifr.ifr_hwaddr.sa_data, mac, 6) == 0) {
			memcpy(out->ifr_name, ifr.ifr_name, sizeof(out->ifr_name));
			return 0;
		}
	}
	return -ENODEV;
}

static void put_addr4(struct sockaddr *sa, const uint8_t addr[4])
{
	struct sockaddr_in in = {.sin_family = AF_INET};

	memcpy(&in.sin_addr, addr, sizeof(in.sin_addr));
	memcpy(sa, &in, sizeof(in));
}

/* Before the card is up: addresses count at once, and nobody on the wire adds any. */
static void calm_ipv6(const char *card)
{
	static const char *const keys[] = {"accept_dad", "accept_ra", "router_solicitations"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		struct text path = {.len = 0};
		int fd;

		text_add(&path, "/proc/sys/net/ipv6/conf/");
		text_add(&path, card);
		text_add(&path, "/");
		text_add(&path, keys[i]);
		fd = open(path.buf, O_WRONLY | O_CLOEXEC);
		/* A kernel without IPv6 has none of it. */
		if (fd < 0)
			return;
		(void)!write_all(fd, "0", 1);
		close(fd);
	}
}

static const uint8_t nobody4[4];

static int card_up(int fd, struct ifreq *ifr)
{
	ifr->ifr_flags = IFF_UP | IFF_RUNNING;
	return ioctl(fd, SIOCSIFFLAGS, ifr) < 0 ? -errno : 0;
}

/* gateway 0.0.0.0: there is none. */
static int set_ipv4(int fd, struct ifreq *ifr, const uint8_t addr[4], const uint8_t mask[4],
		    const uint8_t gateway[4])
{
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = ifr->ifr_name};
	int r;

	put_addr4(&ifr->ifr_addr, addr);
	if (ioctl(fd, SIOCSIFADDR, ifr) < 0)
		return -errno;
	put_addr4(&ifr->ifr_netmask, mask);
	if (ioctl(fd, SIOCSIFNETMASK, ifr) < 0)
		return -errno;
	r = card_up(fd, ifr);
	if (r < 0 || memcmp(gateway, nobody4, 4) == 0)
		return r;
	put_addr4(&route.rt_dst, nobody4);
	put_addr4(&route.rt_genmask, nobody4);
	put_addr4(&route.rt_gateway, gateway);
	return ioctl(fd, SIOCADDRT, &route) < 0 ? -errno : 0;
}

/* The kernel's number of the card; 0, which it refuses, if it has none. */
static int card_index(int fd, const char *card)
{
	struct ifreq ifr = {.ifr_ifindex = 0};

	memcpy(ifr.ifr_name, card, strlen(card) + 1);
	return ioctl(fd, SIOCGIFINDEX, &ifr) < 0 ? 0 : ifr.ifr_ifindex;
}

static int set_ipv6(const char *card, const struct sc_network *net)
{
	AUTO_CLOSE int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct in6_request addr = {.bits = 64};
	struct in6_rtmsg route = {.rtmsg_metric = 1, .rtmsg_flags = RTF_UP | RTF_GATEWAY};

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	addr.index = route.rtmsg_ifindex = card_index(fd, card);
	memcpy(&addr.addr, net->guest6, sizeof(addr.addr));
	memcpy(&route.rtmsg_gateway, net->gateway6, sizeof(route.rtmsg_gateway));
	return ioctl(fd, SIOCSIFADDR, &addr) < 0 || ioctl(fd, SIOCADDRT, &route) < 0 ? -errno : 0;
}

static int set_resolvers(const struct dhcp_lease *lease)
{
	struct text conf = {.len = 0};

	for (unsigned int i = 0; i < lease->n_dns; i++) {
		text_add(&conf, "nameserver ");
		for (unsigned int j = 0; j < 4; j++) {
			text_add_u32(&conf, lease->dns[i][j]);
			text_add(&conf, j < 3 ? "." : "\n");
		}
	}
	if (lease->domain[0]) {
		text_add(&conf, "search ");
		text_add(&conf, lease->domain);
		text_add(&conf, "\n");
	}
	return file_replace("/etc/resolv.conf", conf.buf);
}

static int apply_lease(const char *card, const struct dhcp_lease *lease)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_ifindex = 0};
	int r;

	memcpy(ifr.ifr_name, card, strlen(card) + 1);
	put_addr4(&ifr.ifr_addr, nobody4);
	if (!lease)
		return ioctl(fd, SIOCSIFADDR, &ifr) < 0 ? -errno : 0;
	r = set_ipv4(fd, &ifr, lease->address, lease->mask, lease->router);
	return r < 0 ? r : set_resolvers(lease);
}

static int set_fixed(int fd, struct ifreq *ifr, const struct sc_network *net)
{
	static const uint8_t mask[4] = {255, 255, 255, 0};
	int r;

	calm_ipv6(ifr->ifr_name);
	r = set_ipv4(fd, ifr, net->guest4, mask, net->gateway4);
	return r < 0 ? r : set_ipv6(ifr->ifr_name, net);
}

int network_up(struct sc_network *net, struct text *why)
{
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_ifindex = 0};
	int r = fd < 0 ? -errno : find_card(fd, net->mac, &ifr);

	if (r < 0)
		return text_fail(why, r, "find the network card", NULL);
	if (memcmp(net->guest4, nobody4, 4) != 0)
		r = set_fixed(fd, &ifr, net);
	else if ((r = card_up(fd, &ifr)) == 0)
		r = lease_keep(ifr.ifr_name, net->mac, apply_lease, LEASE_WAIT_MS, net->guest4);
	return r < 0 ? text_fail(why, r, "set the addresses of", ifr.ifr_name) : 0;
}
