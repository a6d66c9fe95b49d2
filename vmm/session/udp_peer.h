/* SPDX-License-Identifier: MIT */
/* vmm/session/udp_peer.h - one peer of a published port of UDP. */
#ifndef VMM_SESSION_UDP_PEER_H
#define VMM_SESSION_UDP_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/agent_protocol.h"
#include "common/util.h"

struct session;
struct udp_peer;

enum {
	UDP_LENGTH_BYTES = 2, /* before a datagram in a stream */
	UDP_FRAME_MAX = UDP_LENGTH_BYTES + SC_DATAGRAM_MAX,
};

/* Whose datagrams they are: what an answer goes to, and comes from. Zeroed but for what is used. */
struct udp_ends {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} peer;
	socklen_t peer_len;
	uint8_t local
		[16]; /* address of this host, which the peer sent to; of IPv4 the first four */
};

/*
 * Reads one datagram into frame, behind its length; the socket reports where it was sent to
 * (udp_receive_begin()). Its bytes are *len, those of the frame. -EAGAIN: there is none;
 * -EMSGSIZE: one is gone that is too long; -errno.
 */
int udp_receive(int fd, uint8_t frame[UDP_FRAME_MAX], size_t *len,
		struct udp_ends *ends) MUST_CHECK;
int udp_receive_begin(int fd) MUST_CHECK;

/* It is over, and may be freed here. On the loop thread without a lock. */
typedef void (*udp_peer_fn)(struct udp_peer *peer, void *owner);

struct udp_peer_setup {
	struct session *session;
	int fd; /* borrowed: answers are sent by it */
	uint16_t guest; /* the port */
	struct udp_ends ends;
	uint8_t *answer; /* borrowed: UDP_FRAME_MAX bytes in which no peer keeps anything */
	udp_peer_fn ended;
	void *owner;
};

/* Asks the agent for a stream. -ENOTCONN: the session has ended. */
int udp_peer_new(const struct udp_peer_setup *setup, struct udp_peer **out) MUST_CHECK;
/* NULL is fine. */
void udp_peer_free(struct udp_peer *peer);

/*
 * Gives the guest a datagram behind its length. It is dropped if the guest has not taken those
 * before it: of these UDP_FRAME_MAX bytes wait at most.
 */
void udp_peer_pass(struct udp_peer *peer, const uint8_t *frame, size_t len);

/* True if it is this one that such a datagram belongs to. */
bool udp_peer_is(const struct udp_peer *peer, int fd, const struct udp_ends *ends);
/* The socket, and when a datagram was passed last in either direction, by now_ms(). */
int udp_peer_fd(const struct udp_peer *peer);
uint64_t udp_peer_used_ms(const struct udp_peer *peer);

/* The owner's list of them. */
struct udp_peer **udp_peer_next(struct udp_peer *peer);

#endif
