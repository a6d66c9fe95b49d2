/* SPDX-License-Identifier: MIT */
#include "guest-agent/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest-agent/service.h"
#include "guest-agent/stream.h"
#include "guest-agent/watch.h"

struct connection {
	struct connections *owner;
	uint32_t id;
	uint16_t port;
	enum service_address candidate;
	int error; /* of the last one that was tried */
	struct watch connecting; /* its fd is ours; -1: none, or the stream's */
	struct stream stream;
};

void connections_init(struct connections *c, int epfd, struct link *link,
		      const struct sc_network *network)
{
	*c = (struct connections){.epfd = epfd, .link = link, .network = network};
}

static void connection_free(struct connection *conn)
{
	if (!conn)
		return;
	watch_off(&conn->connecting);
	if (conn->connecting.fd >= 0)
		close(conn->connecting.fd);
	stream_close(&conn->stream);
	free(conn);
}

void connections_fini(struct connections *c)
{
	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++) {
		connection_free(c->list[i]);
		c->list[i] = NULL;
	}
}

static struct connection **find(struct connections *c, const struct connection *conn)
{
	unsigned int i = 0;

	while (i < CONNECTIONS_MAX && c->list[i] != conn)
		i++;
	return i < CONNECTIONS_MAX ? &c->list[i] : NULL;
}

static void forget(struct connection *conn)
{
	*find(conn->owner, conn) = NULL;
	connection_free(conn);
}

static void say_failed(struct connections *c, uint32_t id, uint16_t port, int error)
{
	int r = service_say_failed(c->link, id, port, error);

	if (r < 0 && c->error == 0)
		c->error = r;
}

static void fail(struct connection *conn, int error)
{
	say_failed(conn->owner, conn->id, conn->port, error);
	forget(conn);
}

static void stream_over(struct stream *s)
{
	forget(CONTAINER_OF(s, struct connection, stream));
}

/* The service has answered: the host gets its stream. */
static void join(struct connection *conn)
{
	struct connections *c = conn->owner;
	const int on = 1;
	int host_fd, r;

	watch_off(&conn->connecting);
	(void)setsockopt(conn->connecting.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	r = link_open_streams(c->link, conn->id, 1, &host_fd);
	if (r < 0) {
		fail(conn, r);
		return;
	}
	/* The host learns of a failure from here on by the end of the stream. */
	if (stream_start(&conn->stream, c->epfd, STREAM_SOCKET, host_fd,
			 steal_fd(&conn->connecting.fd), stream_over) < 0)
		forget(conn);
}

static void connecting_event(struct watch *w, uint32_t events);

/* 0: connected; -EINPROGRESS: it will be seen; else why not. The socket is in conn->connecting. */
static int try_one(struct connection *conn)
{
	struct sockaddr_storage addr;
	socklen_t len = service_address(conn->owner->network, conn->candidate, conn->port, &addr);
	int fd, r;

	if (len == 0)
		return conn->error;
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	watch_init(&conn->connecting, conn->owner->epfd, fd, connecting_event);
	if (connect(fd, (struct sockaddr *)&addr, len) == 0)
		return 0;
	r = -errno;
	if (r == -EINPROGRESS && watch_set(&conn->connecting, EPOLLOUT) < 0)
		r = -ENOMEM;
	return r;
}

/* Tries the address at hand and those behind it. */
static void try_rest(struct connection *conn)
{
	for (; conn->candidate < SERVICE_N_ADDRESSES; conn->candidate++) {
		int r = try_one(conn);

		if (r == -EINPROGRESS)
			return;
		if (r == 0) {
			join(conn);
			return;
		}
		conn->error = r;
		if (conn->connecting.fd >= 0)
			close(steal_fd(&conn->connecting.fd));
	}
	fail(conn, conn->error);
}

static void connecting_event(struct watch *w, uint32_t events)
{
	struct connection *conn = CONTAINER_OF(w, struct connection, connecting);
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0) {
		join(conn);
		return;
	}
	watch_off(w);
	close(steal_fd(&w->fd));
	conn->error = -error;
	conn->candidate++;
	try_rest(conn);
}

int connections_open(struct connections *c, uint32_t id, uint16_t port)
{
	struct connection **slot = find(c, NULL), *conn;

	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++)
		if (c->list[i] && c->list[i]->id == id)
			return -EEXIST;
	conn = slot ? calloc(1, sizeof(*conn)) : NULL;
	if (!conn) {
		say_failed(c, id, port, slot ? -ENOMEM : -EAGAIN);
		return 0;
	}
	conn->owner = c;
	conn->id = id;
	conn->port = port;
	conn->error = -ECONNREFUSED;
	conn->connecting.fd = -1;
	*slot = conn;
	try_rest(conn);
	return 0;
}
