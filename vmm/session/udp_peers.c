/* SPDX-License-Identifier: MIT */
#include "vmm/session/udp_peers.h"

#include <errno.h>

#include "common/clock.h"
#include "common/loop.h"
#include "vmm/session/udp_peer.h"

enum {
	TURN = 32, /* datagrams that are taken before others have their turn */
	LOOK_MS = 10000, /* for idle ones, while there are any */
};

struct udp_peers {
	struct loop *loop;
	struct session *session;
	struct udp_peer *list; /* the one that was used last is first */
	unsigned int n;
	struct loop_timer look;
	uint8_t in[UDP_FRAME_MAX], answer[UDP_FRAME_MAX];
};

static void look(struct loop_timer *timer)
{
	struct udp_peers *all = CONTAINER_OF(timer, struct udp_peers, look);

	udp_peers_expire(all, now_ms());
	if (all->n > 0)
		loop_timer_set(timer, loop_coarse_ms(LOOK_MS));
}

int udp_peers_new(struct loop *loop, struct session *session, struct udp_peers **out)
{
	struct udp_peers *all = calloc(1, sizeof(*all));
	int r;

	if (!all)
		return -ENOMEM;
	all->loop = loop;
	all->session = session;
	r = loop_timer_init(&all->look, loop, look, "udp peers");
	if (r < 0)
		udp_peers_free(all);
	else
		*out = all;
	return r;
}

/* Ends the one that *at leads to. */
static void end(struct udp_peers *all, struct udp_peer **at)
{
	struct udp_peer *peer = *at;

	*at = *udp_peer_next(peer);
	udp_peer_free(peer);
	all->n--;
}

void udp_peers_free(struct udp_peers *all)
{
	if (!all)
		return;
	while (all->list)
		end(all, &all->list);
	loop_timer_fini(&all->look);
	free(all);
}

static void peer_ended(struct udp_peer *peer, void *owner)
{
	struct udp_peers *all = owner;
	struct udp_peer **at = &all->list;

	while (*at != peer)
		at = udp_peer_next(*at);
	end(all, at);
}

void udp_peers_forget(struct udp_peers *all, int fd)
{
	struct udp_peer **at = &all->list;

	while (*at) {
		if (udp_peer_fd(*at) == fd)
			end(all, at);
		else
			at = udp_peer_next(*at);
	}
}

void udp_peers_expire(struct udp_peers *all, uint64_t now)
{
	struct udp_peer **at = &all->list;

	while (*at) {
		if (now - udp_peer_used_ms(*at) >= UDP_IDLE_MS)
			end(all, at);
		else
			at = udp_peer_next(*at);
	}
}

/* An answer does not move a peer to the front, but counts here. */
static void end_oldest(struct udp_peers *all)
{
	struct udp_peer **oldest = &all->list;

	for (struct udp_peer **at = oldest; *at; at = udp_peer_next(*at))
		if (udp_peer_used_ms(*at) <= udp_peer_used_ms(*oldest))
			oldest = at;
	end(all, oldest);
}

static struct udp_peer *add(struct udp_peers *all, int fd, uint16_t guest,
			    const struct udp_ends *ends)
{
	const struct udp_peer_setup setup = {
		.session = all->session,
		.fd = fd,
		.guest = guest,
		.ends = *ends,
		.answer = all->answer,
		.ended = peer_ended,
		.owner = all,
	};
	struct udp_peer *peer;

	if (all->n == UDP_PEERS_MAX)
		end_oldest(all);
	if (udp_peer_new(&setup, &peer) < 0)
		return NULL;
	if (all->n++ == 0)
		loop_timer_set(&all->look, loop_coarse_ms(LOOK_MS));
	*udp_peer_next(peer) = all->list;
	all->list = peer;
	return peer;
}

/* The peer, which is the list's first from then on; NULL: there is none, nor can be. */
static struct udp_peer *find(struct udp_peers *all, int fd, uint16_t guest,
			     const struct udp_ends *ends)
{
	struct udp_peer **at = &all->list, *peer;

	while (*at && !udp_peer_is(*at, fd, ends))
		at = udp_peer_next(*at);
	peer = *at;
	if (!peer)
		return add(all, fd, guest, ends);
	*at = *udp_peer_next(peer);
	*udp_peer_next(peer) = all->list;
	all->list = peer;
	return peer;
}

void udp_peers_receive(struct udp_peers *all, int fd, uint16_t guest)
{
	for (unsigned int i = 0; i < TURN; i++) {
		struct udp_peer *peer;
		struct udp_ends ends;
		size_t len;
		int r = udp_receive(fd, all->in, &len, &ends);

		if (r == -EMSGSIZE)
			continue;
		if (r < 0)
			return;
		peer = find(all, fd, guest, &ends);
		if (peer)
			udp_peer_pass(peer, all->in, len);
	}
}

unsigned int udp_peers_count(const struct udp_peers *all)
{
	return all ? all->n : 0;
}
