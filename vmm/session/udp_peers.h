/* SPDX-License-Identifier: MIT */
/* vmm/session/udp_peers.h - all who send datagrams to published ports. */
#ifndef VMM_SESSION_UDP_PEERS_H
#define VMM_SESSION_UDP_PEERS_H

#include <stdint.h>

#include "common/util.h"

struct loop;
struct session;
struct udp_peers;

/*
 * DOC: published ports of UDP
 *
 * Whoever sends a datagram to such a port is a peer: an address and a port, and the address of
 * this host that was meant. For each the agent opens a stream (guest-agent/datagrams.h), on which
 * datagrams go both ways, each behind its length. Answers go to the peer alone, from the address
 * it sent to, so the guest cannot choose whom it sends to.
 *
 * What the guest does not take is dropped: at most UDP_FRAME_MAX bytes wait for it per peer, and
 * at most what vsock keeps of a stream waits of it. A peer ends when nothing was passed for
 * UDP_IDLE_MS, when the guest ends its stream or sends a length that may not be, and, as the one
 * that was silent longest, when another one comes that would be more than UDP_PEERS_MAX.
 *
 * All on the loop thread, never within a vsock callback.
 */

enum { UDP_PEERS_MAX = 128, UDP_IDLE_MS = 120000 };

int udp_peers_new(struct loop *loop, struct session *session, struct udp_peers **out) MUST_CHECK;
/* All end. Before the session; NULL is fine. */
void udp_peers_free(struct udp_peers *all);

/* Passes on what has come to the socket, up to some number of datagrams, for the guest's port. */
void udp_peers_receive(struct udp_peers *all, int fd, uint16_t guest);
/* Before the socket is closed: its peers end. */
void udp_peers_forget(struct udp_peers *all, int fd);
/* Ends those that are idle by that time, of now_ms(). */
void udp_peers_expire(struct udp_peers *all, uint64_t now_ms);
/* How many there are; NULL: none. */
unsigned int udp_peers_count(const struct udp_peers *all);

#endif
