/* SPDX-License-Identifier: MIT */
#include "vmm/net/addresses.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"
#include "vmm/net/hostaddr.h"
#include "vmm/net/libvirt.h"
#include "vmm/net/tap.h"

enum { FIRST_NET = 2, LAST_NET = 9, LINES_MAX = 4096 };

static bool host_is_in(const struct net_filter *host, const uint8_t net4[4])
{
	uint8_t addr[16];

	net_map4(net4, addr);
	for (size_t i = 0; i < host->n_host; i++) {
		/* Whichever of the two is the larger network. */
		struct net_prefix p = host->host[i];

		if (p.bits > 96 + 24)
			p.bits = 96 + 24;
		if (p.bits >= 96 && net_prefix_has(&p, addr))
			return true;
	}
	return false;
}

/* Not a group's, and not one of a manufacturer (IEEE 802). */
static int choose_mac(uint8_t mac[6])
{
	if (getrandom(mac, 6, 0) != 6)
		return -EAGAIN;
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 2);
	return 0;
}

int net_addresses_choose(const struct net_filter *host, struct net_addresses *out)
{
	struct net_addresses a = {.net4 = {10, 0, FIRST_NET, 0}};

	if (choose_mac(a.mac) < 0)
		return -EAGAIN;
	while (a.net4[2] < LAST_NET && host_is_in(host, a.net4))
		a.net4[2]++;
	/* A host that is in all of 10/8 has most likely none of its machines in the usual one. */
	if (host_is_in(host, a.net4))
		a.net4[2] = FIRST_NET;
	memcpy(a.guest4, a.net4, 4);
	memcpy(a.gateway4, a.net4, 4);
	memcpy(a.dns4, a.net4, 4);
	a.guest4[3] = 15;
	a.gateway4[3] = 2;
	a.dns4[3] = 3;
	/* Unique local addresses (RFC 4193): with them IPv4 goes first where there are both (RFC 6724). */
	inet_pton(AF_INET6, "fd00:5ca5::", a.net6);
	memcpy(a.guest6, a.net6, 16);
	memcpy(a.dns6, a.net6, 16);
	a.guest6[15] = 0x15;
	a.dns6[15] = 3;
	inet_pton(AF_INET6, "fe80::2", a.gateway6);
	*out = a;
	return 0;
}

/* A line that says how names are looked up, not where. */
static bool is_kept(const char *line, size_t len)
{
	static const char *const words[] = {"search", "domain", "options"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t n = strlen(words[i]);

		if (len > n && strncmp(line, words[i], n) == 0 &&
		    (line[n] == ' ' || line[n] == '\t'))
			return true;
	}
	return false;
}

char *net_resolv_conf(const struct net_addresses *own, const char *host_conf)
{
	char dns4[INET_ADDRSTRLEN], dns6[INET6_ADDRSTRLEN];
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	inet_ntop(AF_INET, own->dns4, dns4, sizeof(dns4));
	inet_ntop(AF_INET6, own->dns6, dns6, sizeof(dns6));
	fprintf(f, "nameserver %s\nnameserver %s\n", dns4, dns6);
	for (const char *line = host_conf; line && *line;) {
		size_t len = strcspn(line, "\n");

		if (is_kept(line, len) && ftell(f) + (long)len < LINES_MAX)
			fprintf(f, "%.*s\n", (int)len, line);
		line += len + (line[len] == '\n');
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* The beginning of the host's file, as a string; empty where there is none. */
static void read_host_conf(char out[LINES_MAX])
{
	FILE *f = fopen("/etc/resolv.conf", "re");
	size_t n = 0;

	if (f) {
		n = fread(out, 1, LINES_MAX - 1, f);
		fclose(f);
	}
	out[n] = '\0';
}

static int cannot_choose(int error)
{
	log_error("cannot choose the addresses of the sandbox's network: %s", strerror(-error));
	return error;
}

/* Addresses are given by whoever does so there. */
static int configure_tap(struct sandbox_config *cfg)
{
	const char *name = cfg->network + strcspn(cfg->network, "=:") + 1;
	int r = choose_mac(cfg->addresses.mac);

	if (r < 0)
		return cannot_choose(r);
	return cfg->network_mode == NETWORK_TAP ? tap_open(name, &cfg->tap)
						: libvirt_open(name, &cfg->tap);
}

int net_configure(struct sandbox_config *cfg)
{
	struct net_filter host = {.n_host = 0};
	char conf[LINES_MAX];
	int r;

	if (cfg->network_mode == NETWORK_NONE)
		return 0;
	if (!network_has_process(cfg->network_mode))
		return configure_tap(cfg);
	hostaddr_read(&host);
	r = net_addresses_choose(&host, &cfg->addresses);
	if (r < 0)
		return cannot_choose(r);
	read_host_conf(conf);
	cfg->resolv_conf = net_resolv_conf(&cfg->addresses, conf);
	return cfg->resolv_conf ? 0 : -ENOMEM;
}
