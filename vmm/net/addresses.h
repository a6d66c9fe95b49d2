/* SPDX-License-Identifier: MIT */
/* vmm/net/addresses.h - chooses who is who in a sandbox's network, and what its resolver is told. */
#ifndef VMM_NET_ADDRESSES_H
#define VMM_NET_ADDRESSES_H

#include "common/util.h"
#include "vmm/config/config.h"
#include "vmm/net/filter.h"

/*
 * A MAC address of its own for each sandbox, and 10.0.2.0/24, or the first of
 * 10.0.3.0/24 to 10.0.9.0/24 that no interface of the host is in: `host` has
 * those; where it is in all of them 10.0.2.0/24 as well. -EAGAIN: no random numbers.
 */
int net_addresses_choose(const struct net_filter *host, struct net_addresses *out) MUST_CHECK;

/*
 * The guest's /etc/resolv.conf, malloc'ed: the two addresses of the resolver, and
 * of `host_conf`, the host's own file, what is not about servers. NULL: no memory.
 */
char *net_resolv_conf(const struct net_addresses *own, const char *host_conf);

/*
 * Fills in what a configuration with a network lacks: addresses, the resolver's file, and the
 * tap. Reads this host's interfaces and /etc/resolv.conf; may start processes. Logs on failure.
 */
int net_configure(struct sandbox_config *cfg) MUST_CHECK;

#endif
