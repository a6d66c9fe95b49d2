/* SPDX-License-Identifier: MIT */
#include "guest-agent/datagrams.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest-agent/service.h"
#include "guest-agent/watch.h"

enum { LENGTH_BYTES = 2, FRAME_MAX = LENGTH_BYTES + SC_DATAGRAM_MAX };

struct datagram_peer {
	struct datagrams *owner;
	uint32_t id;
	uint16_t port;
	enum service_address address; /* the one that service.fd is connected to, or will be */
	struct watch host, service; /* their fds are ours; service.fd may be -1 */
	size_t in_len, out_start, out_len;
	uint8_t in[FRAME_MAX]; /* from the host: the begin of one frame, or a few frames */
	uint8_t out[FRAME_MAX]; /* to the host: what is left of one frame */
};

void datagrams_init(struct datagrams *d, int epfd, struct link *link,
		    const struct sc_network *network)
{
	*d = (struct datagrams){.epfd = epfd, .link = link, .network = network};
}

static void close_watched(struct watch *w)
{
	watch_off(w);
	if (w->fd >= 0)
		close(steal_fd(&w->fd));
}

static void peer_free(struct datagram_peer *p)
{
	if (!p)
		return;
	close_watched(&p->host);
	close_watched(&p->service);
	free(p);
}

void datagrams_fini(struct datagrams *d)
{
	for (unsigned int i = 0; i < DATAGRAM_PEERS_MAX; i++) {
		peer_free(d->list[i]);
		d->list[i] = NULL;
	}
}

static struct datagram_peer **find(struct datagrams *d, const struct datagram_peer *p)
{
	unsigned int i = 0;

	while (i < DATAGRAM_PEERS_MAX && d->list[i] != p)
		i++;
	return i < DATAGRAM_PEERS_MAX ? &d->list[i] : NULL;
}

static void forget(struct datagram_peer *p)
{
	*find(p->owner, p) = NULL;
	peer_free(p);
}

/* Answers are read only while none waits for the host. False: p is gone. */
static bool wait_for_more(struct datagram_peer *p)
{
	const bool waits = p->out_len > 0;
	int r = watch_set(&p->host, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);

	if (r == 0 && p->service.fd >= 0)
		r = watch_set(&p->service, waits ? 0 : EPOLLIN);
	if (r == 0)
		return true;
	forget(p);
	return false;
}

/* What is left of an answer. -errno: the host has gone. */
static int flush(struct datagram_peer *p)
{
	ssize_t n = send(p->host.fd, p->out + p->out_start, p->out_len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	p->out_start += (size_t)n;
	p->out_len -= (size_t)n;
	return 0;
}

/* True if nobody takes datagrams at the address; the socket knows it no more then. */
static bool was_refused(struct datagram_peer *p)
{
	int error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(p->service.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error != 0;
}

static void next_address(struct datagram_peer *p)
{
	close_watched(&p->service);
	p->address = (p->address + 1) % SERVICE_N_ADDRESSES;
}

static void service_event(struct watch *w, uint32_t events)
{
	struct datagram_peer *p = CONTAINER_OF(w, struct datagram_peer, service);
	ssize_t n;

	if ((events & EPOLLERR) && was_refused(p)) {
		next_address(p);
		return;
	}
	if (p->out_len > 0)
		return;
	n = recv(w->fd, p->out + LENGTH_BYTES, SC_DATAGRAM_MAX, MSG_TRUNC);
	/* One of IPv6 can be larger than the host could pass on. */
	if (n < 0 || n > SC_DATAGRAM_MAX)
		return;
	p->out[0] = (uint8_t)n;
	p->out[1] = (uint8_t)((size_t)n >> 8);
	p->out_start = 0;
	p->out_len = LENGTH_BYTES + (size_t)n;
	if (flush(p) < 0)
		forget(p);
	else
		(void)wait_for_more(p);
}

static int open_service(struct datagram_peer *p)
{
	struct sockaddr_storage addr;
	socklen_t len = service_address(p->owner->network, p->address, p->port, &addr);
	AUTO_CLOSE int fd =
		len > 0 ? socket(addr.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) : -1;
	int r;

	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, len) < 0)
		return -EADDRNOTAVAIL;
	watch_init(&p->service, p->owner->epfd, fd, service_event);
	r = watch_set(&p->service, p->out_len > 0 ? 0 : EPOLLIN);
	if (r == 0)
		(void)steal_fd(&fd);
	else
		p->service.fd = -1;
	return r;
}

/* False: refused, or one before it was. On the loopback a refusal is there once it is sent. */
static bool send_one(struct datagram_peer *p, const uint8_t *data, size_t len)
{
	if (p->service.fd < 0 && open_service(p) < 0)
		return false;
	if (send(p->service.fd, data, len, MSG_NOSIGNAL) < 0)
		return errno != ECONNREFUSED;
	return !was_refused(p);
}

/* To whatever address takes it. */
static void pass(struct datagram_peer *p, const uint8_t *data, size_t len)
{
	for (unsigned int i = 0; i < SERVICE_N_ADDRESSES; i++) {
		if (send_one(p, data, len))
			return;
		next_address(p);
	}
}

/* The frames that are whole. False: no such length may be. */
static bool pass_frames(struct datagram_peer *p)
{
	size_t at = 0;

	while (p->in_len - at >= LENGTH_BYTES) {
		const uint8_t *frame = p->in + at;
		const size_t len = (size_t)frame[0] | (size_t)frame[1] << 8;

		if (len > SC_DATAGRAM_MAX)
			return false;
		if (p->in_len - at - LENGTH_BYTES < len)
			break;
		pass(p, frame + LENGTH_BYTES, len);
		at += LENGTH_BYTES + len;
	}
	p->in_len -= at;
	memmove(p->in, p->in + at, p->in_len);
	return true;
}

/* False: the host has ended it. */
static bool take(struct datagram_peer *p)
{
	ssize_t n = recv(p->host.fd, p->in + p->in_len, sizeof(p->in) - p->in_len, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	p->in_len += (size_t)n;
	return n > 0 && pass_frames(p);
}

static void host_event(struct watch *w, uint32_t events)
{
	struct datagram_peer *p = CONTAINER_OF(w, struct datagram_peer, host);
	bool there = (events & EPOLLERR) == 0;

	if (there && (events & EPOLLOUT))
		there = flush(p) == 0;
	if (there && (events & (EPOLLIN | EPOLLHUP)))
		there = take(p);
	if (there)
		(void)wait_for_more(p);
	else
		forget(p);
}

static void fail(struct datagrams *d, uint32_t id, uint16_t port, int error)
{
	int r = service_say_failed(d->link, id, port, error);

	if (r < 0 && d->error == 0)
		d->error = r;
}

/* The host learns of a failure after the stream is there by its end. */
static int join(struct datagram_peer *p)
{
	int fd, r = link_open_streams(p->owner->link, p->id, 1, &fd);

	if (r < 0)
		return r;
	watch_init(&p->host, p->owner->epfd, fd, host_event);
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		forget(p);
	else
		(void)wait_for_more(p);
	return 0;
}

int datagrams_open(struct datagrams *d, uint32_t id, uint16_t port)
{
	struct datagram_peer **slot = find(d, NULL), *p;
	int r;

	for (unsigned int i = 0; i < DATAGRAM_PEERS_MAX; i++)
		if (d->list[i] && d->list[i]->id == id)
			return -EEXIST;
	p = slot ? calloc(1, sizeof(*p)) : NULL;
	if (!p) {
		fail(d, id, port, slot ? -ENOMEM : -EAGAIN);
		return 0;
	}
	p->owner = d;
	p->id = id;
	p->port = port;
	p->host.fd = p->service.fd = -1;
	*slot = p;
	r = join(p);
	if (r < 0) {
		fail(d, id, port, r);
		forget(p);
	}
	return 0;
}
