/* SPDX-License-Identifier: MIT */
/* common/port.h - a port of the host that leads to one of a guest's: its words and its socket. */
#ifndef COMMON_PORT_H
#define COMMON_PORT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

enum {
	PORTS_MAX = 64, /* that one sandbox publishes */
	PORT_WHY_MAX = 200, /* of a line that says what went wrong */
	PORT_NAME_MAX = INET6_ADDRSTRLEN + sizeof("[]:65535/udp"),
};

/* Published: who connects, or sends a datagram, to address:host comes to the guest's port. */
struct port {
	int family; /* AF_INET or AF_INET6 */
	bool udp; /* else TCP */
	uint8_t address[16]; /* of this host, in the order of the wire */
	uint16_t host; /* 0: any that is free */
	uint16_t guest; /* 0: not said, where only the host's matters */
};

/*
 * Reads "[ADDR:]HOST:GUEST" or, with guest false, "[ADDR:]HOST", both with "/udp" behind them
 * if that is meant. ADDR is 127.0.0.1 if left out, and in brackets if it is one of IPv6. -EINVAL.
 */
int port_parse(const char *text, bool guest, struct port *out) MUST_CHECK;

/*
 * A socket that listens there, or is there for datagrams, and does not block. On failure `why`,
 * of PORT_WHY_MAX bytes, has a line.
 */
int port_listen(const struct port *port, int *fd, char *why) MUST_CHECK;

/*
 * Where a socket that may be anything listens, or takes any peer's datagrams; -EINVAL: it does
 * neither by TCP or UDP. guest is 0.
 */
int port_of_socket(int fd, struct port *out) MUST_CHECK;

/* The address alone, and "address:host" as it stands in a URL, "/udp" behind it for UDP. */
void port_address(const struct port *port, char out[INET6_ADDRSTRLEN]);
void port_name(const struct port *port, char out[PORT_NAME_MAX]);

#endif
