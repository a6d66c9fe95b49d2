/* SPDX-License-Identifier: MIT */
/* vmm/config/network.h - which network a sandbox has, and who is who in it. */
#ifndef VMM_CONFIG_NETWORK_H
#define VMM_CONFIG_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

enum network_mode {
	NETWORK_NONE,
	NETWORK_INTERNET, /* public addresses only */
	NETWORK_USER, /* what the user reaches, but for the host itself by loopback */
	NETWORK_TAP, /* whatever is behind a tap of the host's */
	NETWORK_LIBVIRT, /* a tap in the bridge of one of libvirt's networks */
};

/* The network process is behind the card, with its filter; else there is a tap. */
static inline bool network_has_process(enum network_mode mode)
{
	return mode == NETWORK_INTERNET || mode == NETWORK_USER;
}

/* The addresses of the little network between guest and process; network byte order. */
struct net_addresses {
	uint8_t mac[6]; /* the guest's */
	uint8_t net4[4]; /* a /24, with guest, gateway and DNS in it */
	uint8_t guest4[4], gateway4[4], dns4[4];
	uint8_t net6[16]; /* a /64, with guest and DNS in it */
	uint8_t guest6[16], dns6[16];
	uint8_t gateway6[16]; /* link-local */
};

#endif
