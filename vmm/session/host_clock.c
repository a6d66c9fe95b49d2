/* SPDX-License-Identifier: MIT */
#include "vmm/session/host_clock.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "common/agent_protocol.h"
#include "common/loop.h"
#include "devices/vsock/vsock.h"

/* A time that never comes: the timer is there for the news that the clock was set. */
#define NEVER_S ((time_t)1 << 40)

struct host_clock {
	struct vsock *vs;
	struct vsock_conn *conn; /* NULL: nobody asks */
	struct loop_source set; /* a timer of CLOCK_REALTIME */
};

static void answer(struct host_clock *hc)
{
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = htole64((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	if (vsock_conn_write(hc->conn, &ns, sizeof(ns)) == (ssize_t)sizeof(ns))
		return;
	/* Half an answer is none, and an agent reads them. */
	vsock_conn_close(hc->conn);
	hc->conn = NULL;
}

/* However many questions there are by now, it is one time. */
static void readable(struct vsock_conn *conn, void *owner)
{
	struct host_clock *hc = owner;

	if (vsock_conn_pending(conn) == 0) {
		vsock_conn_close(conn);
		hc->conn = NULL;
		return;
	}
	vsock_conn_consume(conn, vsock_conn_pending(conn));
	answer(hc);
}

static void writable(struct vsock_conn *conn, void *owner)
{
	(void)conn;
	(void)owner;
}

static void closed(struct vsock_conn *conn, void *owner)
{
	struct host_clock *hc = owner;

	(void)conn;
	hc->conn = NULL;
}

static int accept_asker(struct vsock_conn *conn, void *owner)
{
	static const struct vsock_conn_ops ops = {
		.readable = readable,
		.writable = writable,
		.closed = closed,
	};
	struct host_clock *hc = owner;

	if (vsock_conn_guest_port(conn) > SC_PORT_GUEST_MAX)
		return -EPERM;
	if (hc->conn)
		return -EBUSY;
	hc->conn = conn;
	vsock_conn_set_ops(conn, &ops, hc);
	return 0;
}

static int set_timer(const struct host_clock *hc)
{
	const struct itimerspec never = {.it_value = {.tv_sec = NEVER_S}};

	return timerfd_settime(hc->set.fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			       NULL) < 0
		       ? -errno
		       : 0;
}

static void tell(void *arg)
{
	struct host_clock *hc = arg;

	if (hc->conn)
		answer(hc);
}

static void set_event(struct loop_source *src, uint32_t events)
{
	struct host_clock *hc = CONTAINER_OF(src, struct host_clock, set);
	uint64_t n;

	(void)events;
	/* ECANCELED is the news. */
	(void)!read(src->fd, &n, sizeof(n));
	if (set_timer(hc) < 0)
		loop_remove(src);
	vsock_run(hc->vs, tell, hc);
}

int host_clock_new(struct loop *loop, struct vsock *vs, struct host_clock **out)
{
	struct host_clock *hc = calloc(1, sizeof(*hc));
	int r;

	if (!hc)
		return -ENOMEM;
	hc->vs = vs;
	hc->set = (struct loop_source){
		.fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC),
		.fn = set_event,
		.name = "clock-set",
	};
	r = hc->set.fd < 0 ? -errno : set_timer(hc);
	if (r == 0)
		r = loop_add(loop, &hc->set, EPOLLIN);
	if (r == 0)
		r = vsock_listen(vs, SC_PORT_CLOCK, accept_asker, hc);
	if (r < 0) {
		host_clock_free(hc);
		return r;
	}
	*out = hc;
	return 0;
}

static void leave(void *arg)
{
	struct host_clock *hc = arg;

	vsock_unlisten(hc->vs, SC_PORT_CLOCK);
	if (hc->conn)
		vsock_conn_close(hc->conn);
}

void host_clock_free(struct host_clock *hc)
{
	if (!hc)
		return;
	vsock_run(hc->vs, leave, hc);
	loop_remove(&hc->set);
	if (hc->set.fd >= 0)
		close(hc->set.fd);
	free(hc);
}
