/* SPDX-License-Identifier: MIT */
/* vmm/net/hostaddr.h - the prefixes that the host's own interfaces are in. */
#ifndef VMM_NET_HOSTADDR_H
#define VMM_NET_HOSTADDR_H

#include "common/util.h"
#include "vmm/net/filter.h"

struct ifaddrs;

/*
 * A descriptor that is readable when an address of the host comes or goes. The
 * caller's to close; what it says is of no interest but for hostaddr_drain().
 */
int hostaddr_watch(int *fd) MUST_CHECK;
void hostaddr_drain(int fd);

/* Reads them into f->host, now. What cannot be read or held makes f->host_unknown true. */
void hostaddr_read(struct net_filter *f);

/* The same for a list from getifaddrs(). */
void hostaddr_take(const struct ifaddrs *list, struct net_filter *f);

#endif
