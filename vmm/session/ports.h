/* SPDX-License-Identifier: MIT */
/* vmm/session/ports.h - the guest's ports that are published on the host. */
#ifndef VMM_SESSION_PORTS_H
#define VMM_SESSION_PORTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/port.h"
#include "common/util.h"

struct loop;
struct ports;
struct sandbox_config;
struct session;

/*
 * DOC: a published port
 *
 * It is a listening socket of the host's, which somebody else opened, and a port of
 * the guest's. Whoever connects is accepted here, and the agent is asked to connect to
 * its own port, on its loopback first. It answers with a stream (vmm/session/exchange.h), and
 * bytes go both ways until both sides have ended; either end may end its half first. Where
 * nothing listens in the guest the client's connection is reset. No network card is needed.
 *
 * A socket for datagrams is published likewise (vmm/session/udp_peers.h).
 *
 * At most PORTS_MAX_CONNS connections are there at once; more wait in the kernel's queue. Of
 * each, at most 64 KiB wait here on the way in and what vsock keeps on the way out.
 *
 * All on the loop thread, never within a vsock callback.
 */

enum { PORTS_MAX_CONNS = 256 };

int ports_new(struct loop *loop, struct session *session, struct ports **out) MUST_CHECK;
/* Connections end. Before the session; NULL is fine. */
void ports_free(struct ports *ports);

/*
 * Publishes the guest's port `guest` at fd, which is taken over, also on failure. -EINVAL:
 * fd is no listening TCP socket and no UDP socket that takes any peer's datagrams, or guest is
 * 0; -E2BIG: there are PORTS_MAX.
 */
int ports_add(struct ports *ports, int fd, uint16_t guest) MUST_CHECK;
/* Publishes what the configuration has, whose descriptors are taken. As ports_add(). */
int ports_add_configured(struct ports *ports, struct sandbox_config *cfg) MUST_CHECK;
/* Listens there no more; connections that are there go on, peers of UDP do not. -ENOENT. */
int ports_remove(struct ports *ports, const struct port *port) MUST_CHECK;

/* The i-th; NULL: there are fewer. Borrowed until the next call that changes something. */
const struct port *ports_get(const struct ports *ports, size_t i);
/* How many connections there are, and peers of UDP ports. */
unsigned int ports_connections(const struct ports *ports);
unsigned int ports_peers(const struct ports *ports);

#endif
