/* SPDX-License-Identifier: MIT */
#include "tests/unit/devices/vsock/service.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

struct fake_vsock fv;
struct service svc;
struct fake_packet pkt;
uint8_t big[VSOCK_CONN_BUFFER];

void on_readable(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;

	s->readable++;
	while (s->drain) {
		ssize_t n = vsock_conn_read(conn, big, 10000);

		if (n <= 0)
			break;
		s->corrupt |= memcmp(big, fake_pattern(s->drained), (size_t)n) != 0;
		s->drained += (uint64_t)n;
	}
}

void push_pattern(void *arg)
{
	struct service *s = arg;

	while (s->conn && s->written < s->to_write) {
		size_t want = min_size(s->to_write - s->written, FAKE_PATTERN_RUN);
		ssize_t n = vsock_conn_write(s->conn, fake_pattern(s->written), want);

		if (n > 0)
			s->written += (size_t)n;
		if (n < (ssize_t)want)
			break;
	}
}

static void on_writable(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;

	(void)conn;
	s->writable++;
	push_pattern(s);
}

static void on_stopped(struct vsock_conn *conn, void *owner)
{
	(void)conn;
	((struct service *)owner)->stopped++;
}

static void on_closed(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;

	s->closed++;
	if (s->conn == conn)
		s->conn = NULL;
}

static const struct vsock_conn_ops ops = {
	.readable = on_readable,
	.writable = on_writable,
	.peer_stopped_reading = on_stopped,
	.closed = on_closed,
};

int on_accept(struct vsock_conn *conn, void *owner)
{
	struct service *s = owner;

	if (s->refuse)
		return s->refuse;
	s->accepted++;
	s->conn = conn;
	vsock_conn_set_ops(conn, &ops, s);
	return 0;
}

void start_vsock(bool post)
{
	fake_vsock_init(&fv, post);
	svc = (struct service){.refuse = 0};
	cr_assert_eq(vsock_listen(fv.vs, PORT, on_accept, &svc), 0);
}

void start_with_buffers(void)
{
	start_vsock(true);
}

void stop_vsock(void)
{
	fake_vsock_fini(&fv);
}

void send_op(uint32_t guest_port, uint16_t op, uint32_t flags)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, guest_port, op);

	hdr.flags = htole32(flags);
	fake_vsock_send(&fv, &hdr, NULL, 0);
}

void send_data(uint32_t guest_port, const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, guest_port, VIRTIO_VSOCK_OP_RW);

	hdr.len = htole32(len);
	fake_vsock_send(&fv, &hdr, data, len);
}

void expect(uint32_t guest_port, uint16_t op)
{
	cr_assert(fake_vsock_receive(&fv, &pkt), "no packet where operation %u is due", op);
	cr_assert_eq(pkt.op, op, "operation %u, not %u", pkt.op, op);
	cr_assert_eq(pkt.guest_port, guest_port);
}

void expect_silence(void)
{
	cr_assert_not(fake_vsock_receive(&fv, &pkt), "operation %u", pkt.op);
}

void connect_to(uint32_t guest_port)
{
	send_op(guest_port, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect(guest_port, VIRTIO_VSOCK_OP_RESPONSE);
	cr_assert_eq(pkt.buf_alloc, VSOCK_CONN_BUFFER);
	cr_assert_eq(pkt.host_port, PORT);
}
