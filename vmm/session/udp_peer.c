/* SPDX-License-Identifier: MIT */
#include "vmm/session/udp_peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "devices/vsock/vsock.h"
#include "vmm/session/session_priv.h"

struct udp_peer {
	struct exchange exchange;
	struct udp_peer *next;
	struct udp_peer_setup setup;
	uint64_t used_ms;
	struct vsock_conn *conn; /* NULL: not there yet, or over */
	bool asked; /* CONNECT was said */
	bool joined; /* the agent has opened its stream */
	bool over;
	/* Frames that the guest has not taken; NULL: none were left over. */
	uint8_t *waiting;
	size_t start, end;
};

/* Room for one control message of either family. */
union local_address {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

int udp_receive_begin(int fd)
{
	const int on = 1;

	/* A socket of the other family refuses its option. */
	if (setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) == 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) == 0)
		return 0;
	return -errno;
}

static void read_local(struct msghdr *msg, struct udp_ends *ends)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		struct in_pktinfo four;
		struct in6_pktinfo six;

		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			memcpy(&four, CMSG_DATA(c), sizeof(four));
			memcpy(ends->local, &four.ipi_spec_dst, sizeof(four.ipi_spec_dst));
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			memcpy(&six, CMSG_DATA(c), sizeof(six));
			/* Nobody answers from a multicast address. */
			if (!IN6_IS_ADDR_MULTICAST(&six.ipi6_addr))
				memcpy(ends->local, &six.ipi6_addr, sizeof(six.ipi6_addr));
		}
	}
}

static void put_length(uint8_t *frame, size_t len)
{
	frame[0] = (uint8_t)len;
	frame[1] = (uint8_t)(len >> 8);
}

static size_t get_length(const uint8_t *frame)
{
	return (size_t)frame[0] | (size_t)frame[1] << 8;
}

int udp_receive(int fd, uint8_t frame[UDP_FRAME_MAX], size_t *len, struct udp_ends *ends)
{
	union local_address control;
	struct iovec iov = {frame + UDP_LENGTH_BYTES, SC_DATAGRAM_MAX};
	struct msghdr msg = {
		.msg_name = &ends->peer,
		.msg_namelen = sizeof(ends->peer),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	memset(ends, 0, sizeof(*ends));
	n = recvmsg(fd, &msg, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	ends->peer_len = msg.msg_namelen;
	read_local(&msg, ends);
	put_length(frame, (size_t)n);
	*len = UDP_LENGTH_BYTES + (size_t)n;
	return 0;
}

static void put_local(const struct udp_ends *ends, union local_address *control, struct msghdr *msg)
{
	struct in_pktinfo four = {.ipi_ifindex = 0};
	struct in6_pktinfo six = {.ipi6_ifindex = 0};
	const bool is_six = ends->peer.any.sa_family == AF_INET6;
	const size_t len = is_six ? sizeof(six) : sizeof(four);
	struct cmsghdr *c = &control->align;

	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(len);
	*c = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(len),
		.cmsg_level = is_six ? IPPROTO_IPV6 : IPPROTO_IP,
		.cmsg_type = is_six ? IPV6_PKTINFO : IP_PKTINFO,
	};
	memcpy(&four.ipi_spec_dst, ends->local, sizeof(four.ipi_spec_dst));
	memcpy(&six.ipi6_addr, ends->local, sizeof(six.ipi6_addr));
	if (is_six)
		memcpy(CMSG_DATA(c), &six, sizeof(six));
	else
		memcpy(CMSG_DATA(c), &four, sizeof(four));
}

/* One that cannot be sent now is dropped, as a network does. */
static void answer(const struct udp_peer *p, uint8_t *data, size_t len)
{
	struct udp_ends to = p->setup.ends;
	union local_address control = {.bytes = {0}};
	struct iovec iov = {data, len};
	struct msghdr msg = {
		.msg_name = &to.peer,
		.msg_namelen = to.peer_len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};

	put_local(&to, &control, &msg);
	(void)!sendmsg(p->setup.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void forget_waiting(struct udp_peer *p)
{
	free(p->waiting);
	p->waiting = NULL;
	p->start = p->end = 0;
}

/* Lock held. */
static void finish(struct udp_peer *p)
{
	if (p->over)
		return;
	p->over = true;
	if (p->conn)
		vsock_conn_close(p->conn);
	p->conn = NULL;
	forget_waiting(p);
	session_notify(p->exchange.session);
}

/* Frames of the guest that are whole. A length that may not be ends the peer. */
static void readable(struct vsock_conn *conn, void *owner)
{
	struct udp_peer *p = owner;
	uint8_t *frame = p->setup.answer;

	for (;;) {
		struct iovec iov[2];
		size_t len;

		if (vsock_conn_pending(conn) < UDP_LENGTH_BYTES)
			break;
		/* The two bytes may be at the end and at the begin of the ring. */
		(void)vsock_conn_peek(conn, iov);
		frame[0] = *(const uint8_t *)iov[0].iov_base;
		frame[1] = iov[0].iov_len > 1 ? ((const uint8_t *)iov[0].iov_base)[1]
					      : *(const uint8_t *)iov[1].iov_base;
		len = get_length(frame);
		if (len > SC_DATAGRAM_MAX) {
			finish(p);
			return;
		}
		if (vsock_conn_pending(conn) < UDP_LENGTH_BYTES + len)
			break;
		(void)vsock_conn_read(conn, frame, UDP_LENGTH_BYTES + len);
		p->used_ms = now_ms();
		answer(p, frame + UDP_LENGTH_BYTES, len);
	}
	if (vsock_conn_pending(conn) == 0 && vsock_conn_read(conn, frame, 1) == 0)
		finish(p);
}

static void flush(struct udp_peer *p)
{
	ssize_t n = vsock_conn_write(p->conn, p->waiting + p->start, p->end - p->start);

	if (n < 0) {
		finish(p);
		return;
	}
	p->start += (size_t)n;
	if (p->start == p->end)
		forget_waiting(p);
}

static void writable(struct vsock_conn *conn, void *owner)
{
	struct udp_peer *p = owner;

	(void)conn;
	if (p->waiting)
		flush(p);
}

static void closed(struct vsock_conn *conn, void *owner)
{
	struct udp_peer *p = owner;

	(void)conn;
	p->conn = NULL;
	finish(p);
}

static bool take_stream(struct exchange *x, struct vsock_conn *conn, uint32_t number)
{
	static const struct vsock_conn_ops ops = {
		.readable = readable,
		.writable = writable,
		.closed = closed,
	};
	struct udp_peer *p = CONTAINER_OF(x, struct udp_peer, exchange);

	if (number != 0 || !p->asked || p->joined || p->over)
		return false;
	p->joined = true;
	p->conn = conn;
	vsock_conn_set_ops(conn, &ops, p);
	if (p->waiting)
		flush(p);
	if (p->conn)
		readable(conn, p);
	return true;
}

static bool compose(struct exchange *x, struct agent_buffer *buf)
{
	struct udp_peer *p = CONTAINER_OF(x, struct udp_peer, exchange);

	if (p->asked || p->over)
		return false;
	p->asked = true;
	if (agent_wire_connect(buf, p->setup.guest, true, x->id) == 0)
		return true;
	finish(p);
	return false;
}

static bool hear(struct exchange *x, const struct agent_message *m)
{
	struct udp_peer *p = CONTAINER_OF(x, struct udp_peer, exchange);

	if (m->type != SC_MSG_CONNECT_FAILED || !p->asked || p->joined)
		return false;
	finish(p);
	return true;
}

static void lose(struct exchange *x, bool failed, const char *why)
{
	(void)failed;
	(void)why;
	finish(CONTAINER_OF(x, struct udp_peer, exchange));
}

static bool deliver(struct exchange *x)
{
	struct udp_peer *p = CONTAINER_OF(x, struct udp_peer, exchange);

	if (!p->over)
		return false;
	p->setup.ended(p, p->setup.owner);
	return true;
}

int udp_peer_new(const struct udp_peer_setup *setup, struct udp_peer **out)
{
	static const struct exchange_ops ops = {
		.compose = compose,
		.heard = hear,
		.stream = take_stream,
		.lost = lose,
		.deliver = deliver,
	};
	struct udp_peer *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->exchange = (struct exchange){.ops = &ops};
	p->setup = *setup;
	p->used_ms = now_ms();
	r = session_add(setup->session, &p->exchange);
	if (r < 0) {
		free(p);
		return r;
	}
	*out = p;
	session_speak(setup->session);
	return 0;
}

static void leave(void *arg)
{
	struct udp_peer *p = arg;

	if (p->conn)
		vsock_conn_close(p->conn);
}

void udp_peer_free(struct udp_peer *p)
{
	if (!p)
		return;
	session_remove(&p->exchange);
	vsock_run(session_vsock(p->setup.session), leave, p);
	free(p->waiting);
	free(p);
}

struct passing {
	struct udp_peer *peer;
	const uint8_t *frame;
	size_t len;
};

/* What does not go into the stream at once waits; a part of a frame must. */
static void pass(void *arg)
{
	const struct passing *pass = arg;
	struct udp_peer *p = pass->peer;
	ssize_t n = 0;

	if (p->over || (p->waiting && UDP_FRAME_MAX - p->end < pass->len))
		return;
	if (p->conn && !p->waiting)
		n = vsock_conn_write(p->conn, pass->frame, pass->len);
	if (n < 0) {
		finish(p);
		return;
	}
	if ((size_t)n == pass->len)
		return;
	if (!p->waiting)
		p->waiting = malloc(UDP_FRAME_MAX);
	if (!p->waiting) {
		finish(p);
		return;
	}
	memcpy(p->waiting + p->end, pass->frame + n, pass->len - (size_t)n);
	p->end += pass->len - (size_t)n;
}

void udp_peer_pass(struct udp_peer *p, const uint8_t *frame, size_t len)
{
	struct passing passing = {p, frame, len};

	p->used_ms = now_ms();
	vsock_run(session_vsock(p->setup.session), pass, &passing);
}

bool udp_peer_is(const struct udp_peer *p, int fd, const struct udp_ends *ends)
{
	return !p->over && p->setup.fd == fd && p->setup.ends.peer_len == ends->peer_len &&
	       memcmp(&p->setup.ends.peer, &ends->peer, ends->peer_len) == 0 &&
	       memcmp(p->setup.ends.local, ends->local, sizeof(ends->local)) == 0;
}

int udp_peer_fd(const struct udp_peer *p)
{
	return p->setup.fd;
}

uint64_t udp_peer_used_ms(const struct udp_peer *p)
{
	return p->used_ms;
}

struct udp_peer **udp_peer_next(struct udp_peer *p)
{
	return &p->next;
}
