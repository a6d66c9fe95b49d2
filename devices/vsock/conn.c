/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "devices/vsock/vsock_priv.h"

static struct vsock_conn_bucket *bucket(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	uint32_t hash = guest_port ^ host_port * 0x9e3779b1u;

	return &vs->table[hash & (VSOCK_TABLE_SIZE - 1)];
}

static struct vsock_conn *find(struct vsock *vs, uint32_t host_port, uint32_t guest_port)
{
	struct vsock_conn *conn;

	LIST_FOREACH(conn, bucket(vs, host_port, guest_port), table_link)
	if (conn->state.host_port == host_port && conn->state.guest_port == guest_port)
		return conn;
	return NULL;
}

static void owe(struct vsock_conn *conn, unsigned int what)
{
	if (!conn->attached)
		return;
	if (conn->owes == 0)
		TAILQ_INSERT_TAIL(&conn->vs->owing, conn, owing_link);
	conn->owes |= what;
}

static void owe_nothing(struct vsock_conn *conn)
{
	if (conn->owes != 0)
		TAILQ_REMOVE(&conn->vs->owing, conn, owing_link);
	conn->owes = 0;
}

static void make_due(struct vsock_conn *conn, unsigned int what)
{
	if (conn->due == 0)
		TAILQ_INSERT_TAIL(&conn->vs->due, conn, due_link);
	conn->due |= what;
}

static void want_turn(struct vsock_conn *conn)
{
	if (conn->wants_turn)
		return;
	conn->wants_turn = true;
	TAILQ_INSERT_TAIL(&conn->vs->writers, conn, writers_link);
}

static void want_nothing(struct vsock_conn *conn)
{
	if (conn->wants_turn)
		TAILQ_REMOVE(&conn->vs->writers, conn, writers_link);
	conn->wants_turn = false;
	conn->wants_credit = false;
}

/*
 * When refusals pile up the oldest is forgotten: a guest that does not look at
 * its receive queue finds out by a time-out of its own.
 */
static void refuse(struct vsock *vs, uint32_t host_port, uint32_t guest_port, uint16_t type)
{
	unsigned int slot;

	if (vs->n_refusals == VSOCK_MAX_REFUSALS) {
		vs->first_refusal = (vs->first_refusal + 1) % VSOCK_MAX_REFUSALS;
		vs->n_refusals--;
	}
	slot = (vs->first_refusal + vs->n_refusals++) % VSOCK_MAX_REFUSALS;
	vs->refusals[slot] = (struct vsock_refusal){host_port, guest_port, type};
}

/* From here on the guest knows nothing of conn, and nothing is sent for it. */
static void detach(struct vsock_conn *conn)
{
	if (!conn->attached)
		return;
	conn->attached = false;
	LIST_REMOVE(conn, table_link);
	owe_nothing(conn);
	want_nothing(conn);
}

static void detach_with_reset(struct vsock_conn *conn)
{
	if (conn->attached)
		refuse(conn->vs, conn->state.host_port, conn->state.guest_port,
		       VIRTIO_VSOCK_TYPE_STREAM);
	detach(conn);
}

/*
 * Over when the guest has gone, or will neither read nor write, and what it
 * wrote has been read. A guest that shut both sides down waits for our reset as
 * the sign that all arrived (5.10.6.6).
 */
static void check_over(struct vsock_conn *conn)
{
	if (conn->used > 0)
		return;
	if (conn->attached && conn->state.guest_shutdown != VSOCK_SHUTDOWN_BOTH)
		return;
	detach_with_reset(conn);
	make_due(conn, VSOCK_DUE_CLOSED);
}

/* The guest broke the rules for this connection: nothing it sent is worth keeping. */
static void abort_conn(struct vsock_conn *conn)
{
	detach_with_reset(conn);
	conn->used = 0;
	make_due(conn, VSOCK_DUE_CLOSED);
}

static void lose(struct vsock_conn *conn)
{
	detach(conn);
	make_due(conn, VSOCK_DUE_READABLE);
	check_over(conn);
}

void vsock_detach_all(struct vsock *vs)
{
	struct vsock_conn *conn;

	TAILQ_FOREACH(conn, &vs->all, all)
	if (conn->attached)
		lose(conn);
	vsock_again(vs);
}

static struct vsock_conn *conn_new(struct vsock *vs)
{
	struct vsock_conn *conn;

	if (vs->n_conns == VSOCK_MAX_CONNS)
		return NULL;
	conn = calloc(1, sizeof(*conn));
	if (!conn)
		return NULL;
	conn->ring = malloc(VSOCK_CONN_BUFFER);
	if (!conn->ring) {
		free(conn);
		return NULL;
	}
	conn->vs = vs;
	TAILQ_INSERT_TAIL(&vs->all, conn, all);
	vs->n_conns++;
	return conn;
}

void vsock_conn_free(struct vsock_conn *conn)
{
	detach(conn);
	if (conn->due != 0)
		TAILQ_REMOVE(&conn->vs->due, conn, due_link);
	TAILQ_REMOVE(&conn->vs->all, conn, all);
	conn->vs->n_conns--;
	free(conn->ring);
	free(conn);
}

void vsock_conn_call(struct vsock_conn *conn)
{
	unsigned int what = conn->due & -conn->due;
	const struct vsock_conn_ops *ops = conn->ops;

	/* To the end of the line with the rest, before the call: conn may be gone after it. */
	TAILQ_REMOVE(&conn->vs->due, conn, due_link);
	conn->due &= ~what;
	if (conn->due != 0)
		TAILQ_INSERT_TAIL(&conn->vs->due, conn, due_link);
	if (what == VSOCK_DUE_READABLE) {
		ops->readable(conn, conn->owner);
	} else if (what == VSOCK_DUE_STOPPED) {
		if (ops->peer_stopped_reading)
			ops->peer_stopped_reading(conn, conn->owner);
	} else {
		ops->closed(conn, conn->owner);
		vsock_conn_free(conn);
	}
}

static void hear_credit(struct vsock_conn *conn, const struct virtio_vsock_hdr *hdr)
{
	conn->state.guest_buf_alloc = le32toh(hdr->buf_alloc);
	conn->state.guest_fwd_cnt = le32toh(hdr->fwd_cnt);
}

/* Bytes the guest has room for. Its counters may be lies: then there is none. */
static uint32_t credit(const struct vsock_conn *conn)
{
	uint32_t in_flight = conn->state.sent - conn->state.guest_fwd_cnt;

	if (in_flight >= conn->state.guest_buf_alloc)
		return 0;
	return conn->state.guest_buf_alloc - in_flight;
}

static void fill_header(struct vsock_conn *conn, uint16_t op, uint32_t flags,
			struct virtio_vsock_hdr *hdr)
{
	*hdr = (struct virtio_vsock_hdr){
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(VSOCK_GUEST_CID),
		.src_port = htole32(conn->state.host_port),
		.dst_port = htole32(conn->state.guest_port),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.flags = htole32(flags),
		.buf_alloc = htole32(VSOCK_CONN_BUFFER),
		.fwd_cnt = htole32(conn->state.fwd_cnt),
	};
	conn->state.fwd_cnt_told = conn->state.fwd_cnt;
}

void vsock_conn_send_owed(struct vsock_conn *conn)
{
	unsigned int what = conn->owes & -conn->owes;
	struct virtio_vsock_hdr hdr;

	conn->owes &= ~what;
	if (conn->owes == 0)
		TAILQ_REMOVE(&conn->vs->owing, conn, owing_link);
	if (what == VSOCK_OWES_RESPONSE)
		fill_header(conn, VIRTIO_VSOCK_OP_RESPONSE, 0, &hdr);
	else if (what == VSOCK_OWES_CREDIT)
		fill_header(conn, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, &hdr);
	else
		fill_header(conn, VIRTIO_VSOCK_OP_SHUTDOWN, conn->state.host_shutdown, &hdr);
	(void)vsock_rx_send(conn->vs, &hdr, NULL, 0);
}

static const struct vsock_listener *listener(const struct vsock *vs, uint32_t port)
{
	for (unsigned int i = 0; i < vs->n_listeners; i++)
		if (vs->listeners[i].port == port)
			return &vs->listeners[i];
	return NULL;
}

static void attach(struct vsock_conn *conn)
{
	conn->attached = true;
	LIST_INSERT_HEAD(bucket(conn->vs, conn->state.host_port, conn->state.guest_port), conn,
			 table_link);
}

struct vsock_conn *vsock_conn_restore(struct vsock *vs, const struct vsock_conn_state *state)
{
	struct vsock_conn *conn = conn_new(vs);

	if (conn) {
		conn->state = *state;
		attach(conn);
	}
	return conn;
}

int vsock_conn_accept(struct vsock_conn *conn)
{
	const struct vsock_listener *l = listener(conn->vs, conn->state.host_port);

	return l ? l->accept(conn, l->owner) : -ENOENT;
}

static void connect_request(struct vsock *vs, const struct virtio_vsock_hdr *hdr)
{
	uint32_t host_port = le32toh(hdr->dst_port), guest_port = le32toh(hdr->src_port);
	const struct vsock_listener *l = listener(vs, host_port);
	struct vsock_conn *conn = l ? conn_new(vs) : NULL;

	if (!conn) {
		refuse(vs, host_port, guest_port, VIRTIO_VSOCK_TYPE_STREAM);
		return;
	}
	conn->state.host_port = host_port;
	conn->state.guest_port = guest_port;
	hear_credit(conn, hdr);
	if (vsock_conn_accept(conn) < 0) {
		vsock_conn_free(conn);
		refuse(vs, host_port, guest_port, VIRTIO_VSOCK_TYPE_STREAM);
		return;
	}
	assert(conn->ops);
	attach(conn);
	owe(conn, VSOCK_OWES_RESPONSE);
}

/* The guest used its credit up or got bytes back: tell it in time, but not for every packet. */
static void forwarded(struct vsock_conn *conn, uint32_t len)
{
	conn->state.fwd_cnt += len;
	if (conn->state.fwd_cnt - conn->state.fwd_cnt_told >= VSOCK_CONN_BUFFER / 4 &&
	    !(conn->state.guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND))
		owe(conn, VSOCK_OWES_CREDIT);
}

static void take_data(struct vsock_conn *conn, uint32_t len, const struct virtq_chain *chain)
{
	const size_t off = sizeof(struct virtio_vsock_hdr);
	uint32_t tail = (conn->head + conn->used) & (VSOCK_CONN_BUFFER - 1);
	uint32_t first = (uint32_t)min_size(len, VSOCK_CONN_BUFFER - tail);

	if (len > VSOCK_MAX_PACKET || len > VSOCK_CONN_BUFFER - conn->used ||
	    (conn->state.guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND)) {
		abort_conn(conn);
		return;
	}
	if (len == 0)
		return;
	/* Sent before the guest heard that we stopped reading. */
	if (conn->state.host_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		forwarded(conn, len);
		return;
	}
	chain_read(chain, off, conn->ring + tail, first);
	chain_read(chain, off + first, conn->ring, len - first);
	conn->used += len;
	make_due(conn, VSOCK_DUE_READABLE);
}

static void guest_shutdown(struct vsock_conn *conn, uint32_t flags)
{
	uint32_t fresh = flags & VSOCK_SHUTDOWN_BOTH & ~conn->state.guest_shutdown;

	conn->state.guest_shutdown |= fresh;
	if (fresh & VIRTIO_VSOCK_SHUTDOWN_SEND)
		make_due(conn, VSOCK_DUE_READABLE);
	if (fresh & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		want_nothing(conn);
		make_due(conn, VSOCK_DUE_STOPPED);
	}
	check_over(conn);
}

void vsock_packet(struct vsock *vs, const struct virtio_vsock_hdr *hdr,
		  const struct virtq_chain *chain)
{
	uint32_t host_port = le32toh(hdr->dst_port), guest_port = le32toh(hdr->src_port);
	uint16_t type = le16toh(hdr->type), op = le16toh(hdr->op);
	struct vsock_conn *conn = NULL;

	if (type == VIRTIO_VSOCK_TYPE_STREAM)
		conn = find(vs, host_port, guest_port);
	if (!conn) {
		if (type == VIRTIO_VSOCK_TYPE_STREAM && op == VIRTIO_VSOCK_OP_REQUEST)
			connect_request(vs, hdr);
		else if (op != VIRTIO_VSOCK_OP_RST)
			refuse(vs, host_port, guest_port, type);
		return;
	}
	hear_credit(conn, hdr);
	switch (op) {
	case VIRTIO_VSOCK_OP_RW:
		take_data(conn, le32toh(hdr->len), chain);
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		owe(conn, VSOCK_OWES_CREDIT);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		guest_shutdown(conn, le32toh(hdr->flags));
		break;
	case VIRTIO_VSOCK_OP_RST:
		lose(conn);
		break;
	default: /* a second REQUEST, a RESPONSE nobody asked for, or no operation at all */
		abort_conn(conn);
		break;
	}
	if (conn->wants_credit && credit(conn) > 0) {
		conn->wants_credit = false;
		want_turn(conn);
	}
}

void vsock_conn_set_ops(struct vsock_conn *conn, const struct vsock_conn_ops *ops, void *owner)
{
	assert(ops->readable && ops->writable && ops->closed);
	conn->ops = ops;
	conn->owner = owner;
}

uint32_t vsock_conn_guest_port(const struct vsock_conn *conn)
{
	return conn->state.guest_port;
}

size_t vsock_conn_pending(const struct vsock_conn *conn)
{
	return conn->used;
}

unsigned int vsock_conn_peek(const struct vsock_conn *conn, struct iovec iov[2])
{
	size_t first = min_size(conn->used, VSOCK_CONN_BUFFER - conn->head);

	if (conn->used == 0)
		return 0;
	iov[0] = (struct iovec){conn->ring + conn->head, first};
	iov[1] = (struct iovec){conn->ring, conn->used - first};
	return iov[1].iov_len > 0 ? 2 : 1;
}

void vsock_conn_consume(struct vsock_conn *conn, size_t len)
{
	assert(len <= conn->used);
	if (len == 0)
		return;
	conn->used -= (uint32_t)len;
	/* An empty one begins anew: what small messages never reach is never there. */
	conn->head = conn->used == 0 ? 0 : (conn->head + (uint32_t)len) & (VSOCK_CONN_BUFFER - 1);
	forwarded(conn, (uint32_t)len);
	check_over(conn);
}

ssize_t vsock_conn_read(struct vsock_conn *conn, void *buf, size_t len)
{
	size_t done = 0;
	struct iovec iov[2];
	unsigned int n = vsock_conn_peek(conn, iov);

	if (n == 0) {
		bool ended = !conn->attached ||
			     (conn->state.guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND) ||
			     (conn->state.host_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV);

		return ended ? 0 : -EAGAIN;
	}
	for (unsigned int i = 0; i < n; i++) {
		size_t part = min_size(len - done, iov[i].iov_len);

		memcpy((uint8_t *)buf + done, iov[i].iov_base, part);
		done += part;
	}
	vsock_conn_consume(conn, done);
	return (ssize_t)done;
}

ssize_t vsock_conn_write(struct vsock_conn *conn, const void *buf, size_t len)
{
	struct vsock *vs = conn->vs;
	bool my_turn = vs->turn == conn;
	size_t done = 0;

	conn->wants_credit = false;
	if (!conn->attached || (conn->state.guest_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV) ||
	    (conn->state.host_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND))
		return -EPIPE;
	while (done < len) {
		size_t part = min_size(len - done, credit(conn));
		struct virtio_vsock_hdr hdr;

		if (part == 0) {
			conn->wants_credit = true;
			break;
		}
		/* Whoever waits for buffers already comes first. */
		if (my_turn)
			part = min_size(part, vs->turn_left);
		else if (!TAILQ_EMPTY(&vs->writers))
			part = 0;
		if (part == 0 || !vsock_flush_owed(vs) || !vsock_rx_ready(vs)) {
			if (conn->attached)
				want_turn(conn);
			break;
		}
		fill_header(conn, VIRTIO_VSOCK_OP_RW, 0, &hdr);
		part = vsock_rx_send(vs, &hdr, (const uint8_t *)buf + done, part);
		conn->state.sent += (uint32_t)part;
		done += part;
		if (my_turn)
			vs->turn_left -= part;
	}
	return (ssize_t)done;
}

void vsock_conn_shutdown_write(struct vsock_conn *conn)
{
	if (conn->state.host_shutdown & VIRTIO_VSOCK_SHUTDOWN_SEND)
		return;
	conn->state.host_shutdown |= VIRTIO_VSOCK_SHUTDOWN_SEND;
	want_nothing(conn);
	owe(conn, VSOCK_OWES_SHUTDOWN);
}

void vsock_conn_shutdown_read(struct vsock_conn *conn)
{
	if (conn->state.host_shutdown & VIRTIO_VSOCK_SHUTDOWN_RCV)
		return;
	conn->state.host_shutdown |= VIRTIO_VSOCK_SHUTDOWN_RCV;
	owe(conn, VSOCK_OWES_SHUTDOWN);
	vsock_conn_consume(conn, conn->used);
	check_over(conn);
}

void vsock_conn_close(struct vsock_conn *conn)
{
	detach_with_reset(conn);
	vsock_conn_free(conn);
}
