/* SPDX-License-Identifier: MIT */
#include "vmm/session/port_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "devices/vsock/vsock.h"
#include "vmm/session/session_priv.h"
#include "vmm/session/stdio_stream.h"

struct port_conn {
	struct exchange exchange;
	struct port_conn *next;
	port_conn_fn ended;
	void *owner;
	uint16_t guest;

	int fds[2]; /* two descriptors of the client's socket: one is read, one written */
	struct vsock_conn *conn; /* NULL: not there yet, or over */
	bool asked; /* CONNECT was said */
	bool joined; /* the agent has connected */
	bool guest_reads_no_more;
	bool guest_ended; /* and the client was told */
	bool over;
	struct stdio_in input;
	struct stdio_out output;
};

/* Lock held. */
static void finish(struct port_conn *c)
{
	if (c->over)
		return;
	c->over = true;
	if (c->conn) {
		stdio_in_detach(&c->input);
		stdio_out_detach(&c->output);
		vsock_conn_close(c->conn);
		c->conn = NULL;
	}
	session_notify(c->exchange.session);
}

/* The client gets a reset instead of an end: what it sent, or waits for, is lost. */
static void refuse(struct port_conn *c)
{
	static const struct linger none = {.l_onoff = 1};

	(void)setsockopt(c->fds[0], SOL_SOCKET, SO_LINGER, &none, sizeof(none));
	finish(c);
}

/* It has reset the connection, or both sides have ended. */
static bool client_hung_up(const struct port_conn *c)
{
	struct pollfd p = {.fd = c->fds[0]};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

/* All that the guest sent is with the client, and there will be no more. */
static bool guest_is_done(const struct port_conn *c)
{
	char none;

	return c->conn && vsock_conn_pending(c->conn) == 0 &&
	       vsock_conn_read(c->conn, &none, sizeof(none)) == 0;
}

/* Something has changed on one of the sides. Lock held. */
static void look(struct port_conn *c)
{
	if (c->over)
		return;
	if (!c->guest_ended && guest_is_done(c)) {
		c->guest_ended = true;
		(void)shutdown(c->fds[1], SHUT_WR);
	}
	if (c->guest_ended && (c->input.ended || c->guest_reads_no_more))
		finish(c);
	else if (!c->guest_ended && client_hung_up(c))
		refuse(c);
}

static void output_moved(struct stdio_out *out)
{
	look(CONTAINER_OF(out, struct port_conn, output));
}

static void input_moved(struct stdio_in *in)
{
	look(CONTAINER_OF(in, struct port_conn, input));
}

static void readable(struct vsock_conn *conn, void *owner)
{
	struct port_conn *c = owner;

	(void)conn;
	stdio_out_pump(&c->output);
	look(c);
}

static void writable(struct vsock_conn *conn, void *owner)
{
	struct port_conn *c = owner;

	(void)conn;
	stdio_in_pump(&c->input);
	look(c);
}

static void stopped(struct vsock_conn *conn, void *owner)
{
	struct port_conn *c = owner;

	(void)conn;
	c->guest_reads_no_more = true;
	stdio_in_detach(&c->input);
	look(c);
}

static void closed(struct vsock_conn *conn, void *owner)
{
	struct port_conn *c = owner;

	(void)conn;
	stdio_in_detach(&c->input);
	stdio_out_detach(&c->output);
	c->conn = NULL;
	finish(c);
}

static bool take_stream(struct exchange *x, struct vsock_conn *conn, uint32_t number)
{
	static const struct vsock_conn_ops ops = {
		.readable = readable,
		.writable = writable,
		.peer_stopped_reading = stopped,
		.closed = closed,
	};
	struct port_conn *c = CONTAINER_OF(x, struct port_conn, exchange);

	if (number != 0 || !c->asked || c->joined || c->over)
		return false;
	c->joined = true;
	c->conn = conn;
	vsock_conn_set_ops(conn, &ops, c);
	stdio_in_attach(&c->input, conn);
	stdio_out_attach(&c->output, conn);
	return true;
}

static bool compose(struct exchange *x, struct agent_buffer *buf)
{
	struct port_conn *c = CONTAINER_OF(x, struct port_conn, exchange);

	if (c->asked || c->over)
		return false;
	c->asked = true;
	if (agent_wire_connect(buf, c->guest, false, x->id) == 0)
		return true;
	refuse(c);
	return false;
}

static bool hear(struct exchange *x, const struct agent_message *m)
{
	struct port_conn *c = CONTAINER_OF(x, struct port_conn, exchange);

	if (m->type != SC_MSG_CONNECT_FAILED || !c->asked || c->joined)
		return false;
	refuse(c);
	return true;
}

static void lose(struct exchange *x, bool failed, const char *why)
{
	(void)failed;
	(void)why;
	refuse(CONTAINER_OF(x, struct port_conn, exchange));
}

static bool deliver(struct exchange *x)
{
	struct port_conn *c = CONTAINER_OF(x, struct port_conn, exchange);

	if (!c->over)
		return false;
	c->ended(c, c->owner);
	return true;
}

int port_conn_new(struct session *session, int fd, uint16_t guest, port_conn_fn ended, void *owner,
		  struct port_conn **out)
{
	static const struct exchange_ops ops = {
		.compose = compose,
		.heard = hear,
		.stream = take_stream,
		.lost = lose,
		.deliver = deliver,
	};
	struct port_conn *c = calloc(1, sizeof(*c));
	int r;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->exchange = (struct exchange){.ops = &ops, .session = session};
	c->ended = ended;
	c->owner = owner;
	c->guest = guest;
	c->fds[0] = fd;
	c->fds[1] = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	r = c->fds[1] < 0 ? -errno : session_add(session, &c->exchange);
	if (r < 0 ||
	    (r = stdio_in_init(&c->input, session_loop(session), session_vsock(session), fd)) < 0 ||
	    (r = stdio_out_init(&c->output, session_loop(session), session_vsock(session),
				c->fds[1], "a published port", output_moved)) < 0) {
		port_conn_free(c);
		return r;
	}
	c->input.moved = input_moved;
	session_speak(session);
	*out = c;
	return 0;
}

static void leave(void *arg)
{
	struct port_conn *c = arg;

	if (!c->conn)
		return;
	stdio_in_detach(&c->input);
	stdio_out_detach(&c->output);
	vsock_conn_close(c->conn);
}

void port_conn_free(struct port_conn *c)
{
	if (!c)
		return;
	session_remove(&c->exchange);
	vsock_run(session_vsock(c->exchange.session), leave, c);
	stdio_in_fini(&c->input);
	stdio_out_fini(&c->output);
	for (unsigned int i = 0; i < ARRAY_SIZE(c->fds); i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
	free(c);
}

struct port_conn **port_conn_next(struct port_conn *c)
{
	return &c->next;
}
