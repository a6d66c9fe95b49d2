/* SPDX-License-Identifier: MIT */
/*
 * The vsock device. Half of the inputs are any chains at all; the other half
 * are framed packets in any order, with a service at the host's end that reads,
 * writes, shuts down and closes at any moment.
 */
#include <endian.h>
#include <errno.h>

#include "tests/fuzz/fuzz_device.h"
#include "tests/support/fake_vsock.h"

enum { N_PORTS = 2, N_CONNS = 8, MAX_OPS = 400 };

struct service {
	struct vsock_conn *conns[N_CONNS];
	bool drain;
	/* For the one operation that runs under the lock. */
	struct vsock_conn *conn;
	uint8_t op;
	size_t len;
};

static void on_readable(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;
	uint8_t buf[500];

	if (s->drain)
		while (vsock_conn_read(conn, buf, sizeof(buf)) > 0)
			;
}

static void on_writable(struct vsock_conn *conn, void *owner)
{
	(void)owner;
	(void)vsock_conn_write(conn, fake_pattern(0), 3000);
}

static void forget(struct service *s, const struct vsock_conn *conn)
{
	for (unsigned int i = 0; i < N_CONNS; i++)
		if (s->conns[i] == conn)
			s->conns[i] = NULL;
}

static void on_closed(struct vsock_conn *conn, void *owner)
{
	if (vsock_conn_write(conn, "x", 1) != -EPIPE)
		abort();
	forget(owner, conn);
}

static const struct vsock_conn_ops ops = {
	.readable = on_readable,
	.writable = on_writable,
	.closed = on_closed,
};

static int on_accept(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;

	for (unsigned int i = 0; i < N_CONNS; i++) {
		if (s->conns[i])
			continue;
		s->conns[i] = conn;
		vsock_conn_set_ops(conn, &ops, s);
		return 0;
	}
	return -EBUSY;
}

static void act(void *arg)
{
	struct service *s = arg;
	struct vsock_conn *conn = s->conn;
	uint8_t buf[4096];

	switch (s->op % 5) {
	case 0:
		(void)vsock_conn_read(conn, buf, min_size(s->len, sizeof(buf)));
		break;
	case 1:
		(void)vsock_conn_write(conn, fake_pattern(0), s->len);
		break;
	case 2:
		vsock_conn_shutdown_write(conn);
		break;
	case 3:
		vsock_conn_shutdown_read(conn);
		break;
	default:
		forget(s, conn);
		vsock_conn_close(conn);
		break;
	}
}

static void service_op(struct vsock *vs, struct service *s, uint8_t op, struct fuzz_input *in)
{
	s->conn = s->conns[fuzz_u8(in) % N_CONNS];
	s->op = op;
	s->len = fuzz_u16(in);
	if (op >= 250)
		s->drain = !s->drain;
	else if (s->conn)
		vsock_run(vs, act, s);
}

static void send_packet(struct fake_vsock *fv, uint8_t op, struct fuzz_input *in)
{
	struct virtio_vsock_hdr hdr =
		fake_vsock_hdr(1 + fuzz_u8(in) % (N_PORTS + 1), fuzz_u8(in) & 7, op & 15);
	uint16_t len = op & 16 ? fuzz_u16(in) : 0;

	if (op & 32) {
		hdr.flags = htole32(fuzz_u8(in));
		hdr.buf_alloc = htole32((uint32_t)fuzz_u64(in));
		hdr.fwd_cnt = htole32((uint32_t)fuzz_u64(in));
	}
	if (op & 64)
		hdr.type = htole16(fuzz_u8(in));
	hdr.len = htole32(op & 128 && fuzz_u8(in) > 250 ? len + 1u : len);
	fake_vsock_send(fv, &hdr, fake_pattern(0), len);
}

static void fuzz_packets(struct fuzz_input *in)
{
	static struct fake_packet p;
	struct service s = {.drain = false};
	struct fake_vsock fv;

	fake_vsock_init(&fv, false);
	for (uint32_t port = 1; port <= N_PORTS; port++)
		if (vsock_listen(fv.vs, port, on_accept, &s) < 0)
			abort();
	for (unsigned int n = 0; n < MAX_OPS && in->left > 0; n++) {
		uint8_t what = fuzz_u8(in), op = fuzz_u8(in);

		if (fv.g->vdev->broken || what == 0) {
			fake_guest_reset(fv.g);
			fake_vsock_restart(&fv);
		} else if (what < 128) {
			send_packet(&fv, op, in);
		} else if (what < 160) {
			fake_vsock_post(&fv, op & 15);
		} else if (what < 192) {
			for (unsigned int i = 0; i < op && fake_vsock_receive(&fv, &p); i++)
				;
		} else if (what < 200) {
			fake_guest_settle(fv.g);
		} else {
			service_op(fv.vs, &s, op, in);
		}
	}
	fake_vsock_fini(&fv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct service s = {.drain = true};
	struct virtio_device *vdev;
	struct fake_guest *g;
	struct vsock *vs;

	if (fuzz_u8(&in) & 1) {
		fuzz_packets(&in);
		return 0;
	}
	g = fake_guest_new();
	if (virtio_vsock_new(&vdev, &vs) < 0 || vsock_listen(vs, 1, on_accept, &s) < 0)
		abort();
	fuzz_device(g, vdev, &in, NULL, NULL);
	fake_guest_free(g);
	return 0;
}
