/* SPDX-License-Identifier: MIT */
/*
 * The vsock device in three ways: any chains at all; framed packets in any order and with any
 * counters; honest sockets, whose bytes have to arrive as they were sent. At the host's end a
 * service reads, writes, shuts down and closes at any moment.
 */
#include <endian.h>
#include <errno.h>

#include "tests/fuzz/fuzz_device.h"
#include "tests/fuzz/fuzz_watch.h"
#include "tests/support/fake_vsock.h"

enum { N_PORTS = 2, N_CONNS = 8, N_SOCKS = 6, MAX_OPS = 400 };

/* The host's end of a connection. */
struct end {
	struct vsock_conn *conn; /* NULL: the slot is free */
	uint64_t written, read; /* bytes */
};

struct service {
	struct end ends[N_CONNS];
	bool drain;
	bool honest; /* what the guest sends is fake_pattern() */
	/* For the one operation that runs under the lock. */
	struct end *end;
	uint8_t op;
	size_t len;
};

static void take(const struct service *s, struct end *e, const void *bytes, size_t len)
{
	if (s->honest && memcmp(bytes, fake_pattern(e->read), len) != 0)
		abort();
	e->read += len;
}

static void read_some(const struct service *s, struct end *e, size_t len)
{
	static uint8_t buf[FAKE_PATTERN_RUN];
	ssize_t n = vsock_conn_read(e->conn, buf, min_size(len, sizeof(buf)));

	if (n > 0)
		take(s, e, buf, (size_t)n);
}

static void read_in_place(const struct service *s, struct end *e, size_t len)
{
	struct iovec iov[2];

	if (vsock_conn_peek(e->conn, iov) == 0)
		return;
	len = min_size(len, min_size(iov[0].iov_len, FAKE_PATTERN_RUN));
	take(s, e, iov[0].iov_base, len);
	vsock_conn_consume(e->conn, len);
}

static void write_some(struct end *e, size_t len)
{
	ssize_t n = vsock_conn_write(e->conn, fake_pattern(e->written),
				     min_size(len, FAKE_PATTERN_RUN));

	if (n > 0)
		e->written += (uint64_t)n;
}

static struct end *end_of(struct service *s, const struct vsock_conn *conn)
{
	for (unsigned int i = 0; i < N_CONNS; i++)
		if (s->ends[i].conn == conn)
			return &s->ends[i];
	abort();
}

static void on_readable(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;

	if (!s->drain)
		return;
	/* Reading the last byte of one that is over frees nothing: closed() does. */
	while (vsock_conn_pending(conn) > 0)
		read_some(s, end_of(s, conn), 3000);
}

static void on_writable(struct vsock_conn *conn, void *owner)
{
	write_some(end_of(owner, conn), 3000);
}

static void on_stopped(struct vsock_conn *conn, void *owner)
{
	(void)owner;
	if (vsock_conn_write(conn, "x", 1) != -EPIPE)
		abort();
}

static void on_closed(struct vsock_conn *conn, void *owner)
{
	if (vsock_conn_write(conn, "x", 1) != -EPIPE)
		abort();
	end_of(owner, conn)->conn = NULL;
}

static const struct vsock_conn_ops ops = {
	.readable = on_readable,
	.writable = on_writable,
	.peer_stopped_reading = on_stopped,
	.closed = on_closed,
};

static int on_accept(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;

	for (unsigned int i = 0; i < N_CONNS; i++) {
		if (s->ends[i].conn)
			continue;
		s->ends[i] = (struct end){.conn = conn};
		vsock_conn_set_ops(conn, &ops, s);
		return 0;
	}
	return -EBUSY;
}

static void act(void *arg)
{
	struct service *s = arg;
	struct end *e = s->end;

	switch (s->op % 6) {
	case 0:
		read_some(s, e, s->len);
		break;
	case 1:
		write_some(e, s->len);
		break;
	case 2:
		vsock_conn_shutdown_write(e->conn);
		break;
	case 3:
		vsock_conn_shutdown_read(e->conn);
		break;
	case 4:
		read_in_place(s, e, s->len);
		break;
	default:
		vsock_conn_close(e->conn);
		e->conn = NULL;
		break;
	}
}

static void service_op(struct vsock *vs, struct service *s, uint8_t op, struct fuzz_input *in)
{
	s->end = &s->ends[fuzz_u8(in) % N_CONNS];
	s->op = op;
	s->len = fuzz_u16(in);
	if (op >= 250)
		s->drain = !s->drain;
	else if (s->end->conn)
		vsock_run(vs, act, s);
}

static void begin(struct fake_vsock *fv, struct service *s, bool post)
{
	fake_vsock_init(fv, post);
	for (uint32_t port = 1; port <= N_PORTS; port++)
		if (vsock_listen(fv->vs, port, on_accept, s) < 0)
			abort();
}

/* Packets */

static void send_packet(struct fake_vsock *fv, uint8_t op, struct fuzz_input *in)
{
	static const uint16_t ops_of[] = {
		VIRTIO_VSOCK_OP_REQUEST,
		VIRTIO_VSOCK_OP_RW,
		VIRTIO_VSOCK_OP_RW,
		VIRTIO_VSOCK_OP_SHUTDOWN,
		VIRTIO_VSOCK_OP_CREDIT_REQUEST,
		VIRTIO_VSOCK_OP_CREDIT_UPDATE,
		VIRTIO_VSOCK_OP_RST,
		VIRTIO_VSOCK_OP_RESPONSE,
	};
	struct virtio_vsock_hdr hdr =
		fake_vsock_hdr(1 + fuzz_u8(in) % (N_PORTS + 1), fuzz_u8(in) & 3, ops_of[op & 7]);
	uint16_t len = ops_of[op & 7] == VIRTIO_VSOCK_OP_RW ? fuzz_u16(in) : 0;

	if (ops_of[op & 7] == VIRTIO_VSOCK_OP_SHUTDOWN)
		hdr.flags = htole32(fuzz_u8(in));
	if (op & 32) {
		hdr.buf_alloc = htole32(fuzz_u16(in));
		hdr.fwd_cnt = htole32(op & 16 ? (uint32_t)fuzz_u64(in) : fuzz_u16(in));
	}
	if (op & 64) {
		hdr.type = htole16(fuzz_u8(in) % 3);
		hdr.op = htole16(fuzz_u8(in));
	}
	hdr.len = htole32(op & 128 && fuzz_u8(in) > 250 ? len + 1u : len);
	fake_vsock_send(fv, &hdr, fake_pattern(0), len);
}

static void packet_op(struct fake_vsock *fv, struct service *s, struct fuzz_input *in)
{
	static struct fake_packet p;
	uint8_t what = fuzz_u8(in), op = fuzz_u8(in);

	if (fv->g->vdev->broken || what < 4) {
		fake_guest_reset(fv->g);
		fake_guest_settle(fv->g);
		fake_vsock_restart(fv);
	} else if (what < 128) {
		send_packet(fv, op, in);
	} else if (what < 160) {
		fake_vsock_post(fv, op & 15);
	} else if (what < 192) {
		for (unsigned int i = 0; i < op && fake_vsock_receive(fv, &p); i++)
			;
	} else if (what < 200) {
		fake_guest_settle(fv->g);
	} else {
		service_op(fv->vs, s, op, in);
	}
}

static void fuzz_packets(struct fuzz_input *in)
{
	struct service s = {.drain = false};
	struct fake_vsock fv;

	begin(&fv, &s, false);
	fuzz_watch_start(fuzz_u8(in) & 0x1f);
	for (unsigned int n = 0; n < MAX_OPS && in->left > 0; n++)
		packet_op(&fv, &s, in);
	fuzz_watch_stop();
	fake_vsock_fini(&fv);
}

/* Honest sockets */

static void sock_op(struct fake_vsock *fv, struct fake_sock *socks, unsigned int i,
		    struct fuzz_input *in)
{
	struct fake_sock *s = &socks[i];
	uint8_t op = fuzz_u8(in);

	switch (op % 8) {
	case 0:
		if (s->reset || s->guest_port == 0)
			/* A port of its own each time. */
			fake_sock_connect(fv, s, 1 + (op >> 4) % N_PORTS,
					  s->guest_port ? s->guest_port + N_SOCKS : i + 1);
		break;
	case 1:
	case 2:
		if (!s->closed)
			(void)fake_sock_write(fv, s, fake_pattern(s->sent), fuzz_u16(in));
		break;
	case 3:
		s->closed = true;
		fake_sock_shutdown(fv, s, VIRTIO_VSOCK_SHUTDOWN_SEND);
		break;
	case 4:
		s->closed = true;
		fake_sock_shutdown(fv, s, VIRTIO_VSOCK_SHUTDOWN_SEND | VIRTIO_VSOCK_SHUTDOWN_RCV);
		break;
	case 5:
		s->lazy = !s->lazy;
		break;
	case 6:
		fv->quiet = !fv->quiet;
		break;
	default:
		fake_guest_settle(fv->g);
		break;
	}
}

static void fuzz_sockets(struct fuzz_input *in)
{
	static struct fake_sock socks[N_SOCKS];
	struct fake_sock *all[N_SOCKS];
	struct service s = {.honest = true};
	struct fake_vsock fv;

	memset(socks, 0, sizeof(socks));
	for (unsigned int i = 0; i < N_SOCKS; i++)
		all[i] = &socks[i];
	begin(&fv, &s, true);
	for (unsigned int n = 0; n < MAX_OPS && in->left > 0; n++) {
		uint8_t what = fuzz_u8(in);

		if (what & 1)
			sock_op(&fv, socks, (what >> 1) % N_SOCKS, in);
		else
			service_op(fv.vs, &s, fuzz_u8(in), in);
		(void)fake_sock_poll(&fv, all, N_SOCKS);
		/* An honest driver breaks nothing. */
		if (fv.g->vdev->broken)
			abort();
		for (unsigned int i = 0; i < N_SOCKS; i++)
			if (socks[i].corrupt)
				abort();
	}
	fake_vsock_fini(&fv);
}

static void fuzz_chains(struct fuzz_input *in)
{
	struct fake_guest *g = fake_guest_new();
	struct service s = {.drain = true};
	struct virtio_device *vdev;
	struct vsock *vs;

	if (virtio_vsock_new(&vdev, &vs) < 0 || vsock_listen(vs, 1, on_accept, &s) < 0)
		abort();
	fuzz_device(g, vdev, in, NULL, NULL);
	fake_guest_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};

	switch (fuzz_u8(&in) % 3) {
	case 0:
		fuzz_chains(&in);
		break;
	case 1:
		fuzz_packets(&in);
		break;
	default:
		fuzz_sockets(&in);
		break;
	}
	return 0;
}
