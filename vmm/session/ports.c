/* SPDX-License-Identifier: MIT */
#include "vmm/session/ports.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/loop.h"
#include "vmm/config/config.h"
#include "vmm/session/port_conn.h"
#include "vmm/session/udp_peer.h"
#include "vmm/session/udp_peers.h"

/* When accepting failed it is tried again after that time. */
enum { RETRY_MS = 1000 };

struct published {
	struct loop_source src; /* its fd is ours */
	struct ports *owner;
	struct published *next;
	struct port port;
};

struct ports {
	struct loop *loop;
	struct session *session;
	struct published *list; /* oldest first */
	size_t n;
	struct port_conn *conns;
	unsigned int n_conns;
	struct udp_peers *peers; /* NULL: no port of UDP was published */
	bool paused; /* nobody is accepted for now */
	struct loop_timer retry;
};

/* The kernel keeps who comes meanwhile. */
static void pause_accepting(struct ports *p)
{
	p->paused = true;
	for (struct published *pub = p->list; pub; pub = pub->next)
		if (!pub->port.udp)
			loop_remove(&pub->src);
}

static void resume_accepting(struct ports *p)
{
	int r = 0;

	if (!p->paused)
		return;
	p->paused = false;
	for (struct published *pub = p->list; pub && r == 0; pub = pub->next)
		if (!pub->src.loop)
			r = loop_add(p->loop, &pub->src, EPOLLIN);
	if (r == 0)
		return;
	pause_accepting(p);
	loop_timer_set(&p->retry, RETRY_MS);
}

static void retry(struct loop_timer *timer)
{
	resume_accepting(CONTAINER_OF(timer, struct ports, retry));
}

static void conn_ended(struct port_conn *conn, void *owner)
{
	struct ports *p = owner;
	struct port_conn **at = &p->conns;

	while (*at != conn)
		at = port_conn_next(*at);
	*at = *port_conn_next(conn);
	port_conn_free(conn);
	p->n_conns--;
	resume_accepting(p);
}

static void accepted(struct ports *p, int fd, uint16_t guest)
{
	const int on = 1;
	struct port_conn *conn;

	/* A request and its answer are often one small packet each. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (port_conn_new(p->session, fd, guest, conn_ended, p, &conn) < 0)
		return;
	*port_conn_next(conn) = p->conns;
	p->conns = conn;
	if (++p->n_conns == PORTS_MAX_CONNS)
		pause_accepting(p);
}

static void client_came(struct loop_source *src, uint32_t events)
{
	struct published *pub = CONTAINER_OF(src, struct published, src);
	struct ports *p = pub->owner;
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		accepted(p, fd, pub->port.guest);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		/* No descriptor, or no memory. The client keeps the socket readable. */
		pause_accepting(p);
		loop_timer_set(&p->retry, RETRY_MS);
	}
}

static void datagrams_came(struct loop_source *src, uint32_t events)
{
	struct published *pub = CONTAINER_OF(src, struct published, src);

	(void)events;
	udp_peers_receive(pub->owner->peers, src->fd, pub->port.guest);
}

int ports_new(struct loop *loop, struct session *session, struct ports **out)
{
	struct ports *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->loop = loop;
	p->session = session;
	r = loop_timer_init(&p->retry, loop, retry, "ports");
	if (r < 0)
		ports_free(p);
	else
		*out = p;
	return r;
}

static void unpublish(struct published *pub)
{
	loop_remove(&pub->src);
	if (pub->port.udp && pub->owner->peers)
		udp_peers_forget(pub->owner->peers, pub->src.fd);
	close(pub->src.fd);
	free(pub);
}

void ports_free(struct ports *p)
{
	if (!p)
		return;
	while (p->conns) {
		struct port_conn *conn = p->conns;

		p->conns = *port_conn_next(conn);
		port_conn_free(conn);
	}
	udp_peers_free(p->peers);
	p->peers = NULL;
	while (p->list) {
		struct published *pub = p->list;

		p->list = pub->next;
		unpublish(pub);
	}
	loop_timer_fini(&p->retry);
	free(p);
}

static int watch(struct ports *p, struct published *pub)
{
	int flags = fcntl(pub->src.fd, F_GETFL);

	if (flags < 0 || fcntl(pub->src.fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return p->paused && !pub->port.udp ? 0 : loop_add(p->loop, &pub->src, EPOLLIN);
}

/* What datagrams need that connections do not. */
static int prepare(struct ports *p, int fd, const struct port *port)
{
	int r = 0;

	if (port->udp)
		r = udp_receive_begin(fd);
	if (r == 0 && port->udp && !p->peers)
		r = udp_peers_new(p->loop, p->session, &p->peers);
	return r;
}

int ports_add(struct ports *p, int fd, uint16_t guest)
{
	struct published **end = &p->list, *pub;
	struct port port;
	int r = guest == 0 ? -EINVAL : port_of_socket(fd, &port);

	if (r == 0 && p->n == PORTS_MAX)
		r = -E2BIG;
	if (r == 0)
		r = prepare(p, fd, &port);
	pub = r == 0 ? calloc(1, sizeof(*pub)) : NULL;
	if (!pub) {
		close(fd);
		return r < 0 ? r : -ENOMEM;
	}
	port.guest = guest;
	*pub = (struct published){
		.src = {.fd = fd,
			.fn = port.udp ? datagrams_came : client_came,
			.name = "published"},
		.owner = p,
		.port = port,
	};
	r = watch(p, pub);
	if (r < 0) {
		unpublish(pub);
		return r;
	}
	while (*end)
		end = &(*end)->next;
	*end = pub;
	p->n++;
	return 0;
}

static bool is_at(const struct port *a, const struct port *b)
{
	return a->family == b->family && a->udp == b->udp && a->host == b->host &&
	       memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

int ports_add_configured(struct ports *p, struct sandbox_config *cfg)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < cfg->n_ports; i++)
		r = ports_add(p, steal_fd(&cfg->ports[i].fd), cfg->ports[i].port.guest);
	return r;
}

int ports_remove(struct ports *p, const struct port *port)
{
	struct published **at = &p->list, *pub;

	while (*at && !is_at(&(*at)->port, port))
		at = &(*at)->next;
	pub = *at;
	if (!pub)
		return -ENOENT;
	*at = pub->next;
	unpublish(pub);
	p->n--;
	return 0;
}

const struct port *ports_get(const struct ports *p, size_t i)
{
	const struct published *pub = p->list;

	while (pub && i-- > 0)
		pub = pub->next;
	return pub ? &pub->port : NULL;
}

unsigned int ports_connections(const struct ports *p)
{
	return p->n_conns;
}

unsigned int ports_peers(const struct ports *p)
{
	return udp_peers_count(p->peers);
}
