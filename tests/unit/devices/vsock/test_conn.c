/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/devices/vsock/service.h"

TestSuite(conn, .init = start_with_buffers, .fini = stop_vsock);

static void do_read(void *arg)
{
	on_readable(((struct service *)arg)->conn, arg);
}

static void do_shutdown_write(void *arg)
{
	vsock_conn_shutdown_write(((struct service *)arg)->conn);
}

static void do_shutdown_read(void *arg)
{
	vsock_conn_shutdown_read(((struct service *)arg)->conn);
}

static void do_close(void *arg)
{
	struct service *s = arg;

	vsock_conn_close(s->conn);
	s->conn = NULL;
}

static void run_service(void (*fn)(void *arg))
{
	vsock_run(fv.vs, fn, &svc);
}

/* ---- credit, guest to host ---- */

Test(conn, what_is_sent_is_read_in_order)
{
	connect_to(GUEST_PORT);
	svc.drain = true;
	for (uint64_t pos = 0; pos < 40 * 50000; pos += 50000)
		send_data(GUEST_PORT, fake_pattern(pos), 50000);
	cr_assert_eq(svc.drained, 40 * 50000);
	cr_assert_not(svc.corrupt);
}

/* Small messages, as the agent's, use the same few bytes over and over. */
Test(conn, a_buffer_that_is_empty_begins_anew)
{
	struct iovec iov[2], first = {NULL, 0};

	connect_to(GUEST_PORT);
	for (unsigned int i = 0; i < 4; i++) {
		send_data(GUEST_PORT, fake_pattern(0), 24);
		cr_assert_eq(vsock_conn_peek(svc.conn, iov), 1);
		if (i == 0)
			first = iov[0];
		cr_assert_eq(iov[0].iov_base, first.iov_base);
		vsock_conn_consume(svc.conn, 10);
		cr_assert_eq(vsock_conn_peek(svc.conn, iov), 1);
		cr_assert_eq(iov[0].iov_len, 14);
		vsock_conn_consume(svc.conn, 14);
	}
}

Test(conn, credit_is_returned_in_large_steps)
{
	unsigned int updates = 0;

	connect_to(GUEST_PORT);
	svc.drain = true;
	for (uint64_t pos = 0; pos < 1 << 20; pos += 1024)
		send_data(GUEST_PORT, fake_pattern(pos), 1024);
	while (fake_vsock_receive(&fv, &pkt)) {
		cr_assert_eq(pkt.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
		updates++;
		cr_assert_eq(pkt.fwd_cnt, updates * (VSOCK_CONN_BUFFER / 4));
	}
	cr_assert_eq(updates, (1 << 20) / (VSOCK_CONN_BUFFER / 4));
}

Test(conn, a_credit_request_is_answered)
{
	connect_to(GUEST_PORT);
	svc.drain = true;
	send_data(GUEST_PORT, fake_pattern(0), 100);
	expect_silence();
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(pkt.fwd_cnt, 100);
	cr_assert_eq(pkt.buf_alloc, VSOCK_CONN_BUFFER);
}

Test(conn, all_credit_may_be_used_and_not_a_byte_more)
{
	connect_to(GUEST_PORT);
	connect_to(GUEST_PORT + 1);
	for (unsigned int i = 0; i < 4; i++)
		send_data(GUEST_PORT + 1, fake_pattern(i * 65536), 65536);
	cr_assert_eq(vsock_conn_pending(svc.conn), VSOCK_CONN_BUFFER);
	expect_silence();
	send_data(GUEST_PORT + 1, "x", 1);
	expect(GUEST_PORT + 1, VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(svc.closed, 1);
	cr_assert_null(svc.conn);
	/* The other connection does not notice. */
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
}

Test(conn, a_packet_over_64_kib_resets_the_connection)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	struct fake_seg segs[2];

	connect_to(GUEST_PORT);
	hdr.len = htole32(65537);
	segs[0] = fake_put(fv.g, &hdr, HDR);
	segs[1] = fake_put(fv.g, big, 65537);
	(void)fake_publish(fv.g, FAKE_VSOCK_TX, segs, 2);
	fake_kick(fv.g, FAKE_VSOCK_TX);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(svc.closed, 1);
	cr_assert_not(fv.g->vdev->broken);
}

/* ---- credit, host to guest ---- */

Test(conn, a_write_stops_at_the_guests_credit)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, GUEST_PORT, VIRTIO_VSOCK_OP_REQUEST);

	hdr.buf_alloc = htole32(1000);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RESPONSE);
	svc.to_write = 5000;
	run_service(push_pattern);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	cr_assert_eq(pkt.len, 1000);
	expect_silence();
	/* No room yet: no call. */
	hdr.op = htole16(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	cr_assert_eq(svc.writable, 0);
	hdr.fwd_cnt = htole32(400);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	cr_assert_eq(pkt.len, 400);
	/* Lies about what was read, or a buffer that shrank, give nothing. */
	hdr.fwd_cnt = htole32(1401);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	hdr.fwd_cnt = htole32(400);
	hdr.buf_alloc = htole32(10);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect_silence();
	hdr.buf_alloc = htole32(UINT32_MAX);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	cr_assert_eq(pkt.len, 3600);
}

Test(conn_empty, nothing_is_lost_while_there_are_no_receive_buffers, .fini = stop_vsock)
{
	start_vsock(false);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_REQUEST, 0);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_REQUEST, 0);
	send_op(1, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	svc.to_write = 3;
	run_service(push_pattern);
	run_service(do_shutdown_read);
	cr_assert_eq(svc.written, 0);
	expect_silence();
	for (unsigned int i = 0; i < 5; i++)
		fake_vsock_post(&fv, 1);
	expect(1, VIRTIO_VSOCK_OP_RST);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RESPONSE);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	cr_assert_eq(svc.writable, 1);
}

Test(conn_empty, refusals_that_wait_are_bounded, .fini = stop_vsock)
{
	unsigned int n = 0;

	start_vsock(false);
	for (uint32_t i = 0; i < 10000; i++)
		send_op(i, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	fake_vsock_post(&fv, FAKE_VSOCK_RX_BUFFERS);
	for (; fake_vsock_receive(&fv, &pkt); n++) {
		cr_assert_eq(pkt.op, VIRTIO_VSOCK_OP_RST);
		/* The newest are kept. */
		cr_assert_eq(pkt.guest_port, 10000 - 128 + n);
		fake_vsock_post(&fv, 1);
	}
	cr_assert_eq(n, 128);
}

Test(conn, the_device_asks_for_receive_kicks_only_when_it_starves)
{
	struct virtio_vsock_hdr hdr =
		fake_vsock_hdr(PORT, GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	uint16_t asked;

	connect_to(GUEST_PORT);
	hdr.buf_alloc = htole32(UINT32_MAX);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	asked = fake_avail_event(fv.g, FAKE_VSOCK_RX);
	fake_vsock_post(&fv, 1);
	cr_assert_eq(fake_avail_event(fv.g, FAKE_VSOCK_RX), asked);
	svc.to_write = 10 << 20;
	run_service(push_pattern);
	cr_assert_eq(fake_avail_event(fv.g, FAKE_VSOCK_RX), fv.g->rings[FAKE_VSOCK_RX].avail_idx);
}

/* ---- the ends of a connection ---- */

Test(conn, a_half_closed_guest_still_reads)
{
	connect_to(GUEST_PORT);
	svc.drain = true;
	send_data(GUEST_PORT, fake_pattern(0), 10);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_SEND);
	cr_assert_eq(svc.drained, 10);
	cr_assert_eq(svc.readable, 2);
	cr_assert_eq(vsock_conn_read(svc.conn, big, 1), 0);
	svc.to_write = 10;
	run_service(push_pattern);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	cr_assert_eq(svc.closed, 0);
	/* Data after its end breaks the rules. */
	send_data(GUEST_PORT, "x", 1);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(svc.closed, 1);
}

Test(conn, a_guest_that_stops_reading_is_told_on)
{
	connect_to(GUEST_PORT);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, VIRTIO_VSOCK_SHUTDOWN_RCV);
	cr_assert_eq(svc.stopped, 1);
	cr_assert_eq(vsock_conn_write(svc.conn, "x", 1), -EPIPE);
	cr_assert_eq(vsock_conn_read(svc.conn, big, 1), -EAGAIN);
	cr_assert_eq(svc.closed, 0);
}

Test(conn, a_closed_guest_gets_its_reset_when_all_was_read)
{
	connect_to(GUEST_PORT);
	send_data(GUEST_PORT, fake_pattern(0), 10);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	expect_silence();
	cr_assert_eq(svc.closed, 0);
	svc.drain = true;
	run_service(do_read);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RST);
	expect_silence();
	cr_assert_eq(svc.drained, 10);
	cr_assert_eq(svc.closed, 1);
}

Test(conn, what_arrived_before_a_reset_can_be_read)
{
	connect_to(GUEST_PORT);
	send_data(GUEST_PORT, fake_pattern(0), 10);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_RST, 0);
	cr_assert_eq(svc.closed, 0);
	cr_assert_eq(vsock_conn_write(svc.conn, "x", 1), -EPIPE);
	/* The ports are free again at once. */
	struct vsock_conn *old = svc.conn;
	connect_to(GUEST_PORT);
	cr_assert_neq(svc.conn, old);
	svc.conn = old;
	svc.drain = true;
	run_service(do_read);
	cr_assert_eq(svc.drained, 10);
	cr_assert_eq(svc.closed, 1);
	expect_silence();
}

Test(conn, our_shutdowns_are_sent_once_and_add_up)
{
	connect_to(GUEST_PORT);
	run_service(do_shutdown_write);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN);
	cr_assert_eq(pkt.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	run_service(do_shutdown_write);
	expect_silence();
	cr_assert_eq(vsock_conn_write(svc.conn, "x", 1), -EPIPE);
	run_service(do_shutdown_read);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN);
	cr_assert_eq(pkt.flags, 3);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_RST, 0);
	cr_assert_eq(svc.closed, 1);
}

Test(conn, after_we_stop_reading_data_is_dropped_but_counted)
{
	connect_to(GUEST_PORT);
	send_data(GUEST_PORT, big, 65536);
	run_service(do_shutdown_read);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
	cr_assert_eq(pkt.fwd_cnt, 65536);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN);
	cr_assert_eq(vsock_conn_pending(svc.conn), 0);
	cr_assert_eq(vsock_conn_read(svc.conn, big, 1), 0);
	for (unsigned int i = 0; i < 10; i++)
		send_data(GUEST_PORT, big, 65536);
	cr_assert_eq(vsock_conn_pending(svc.conn), 0);
	cr_assert_eq(svc.closed, 0);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_SHUTDOWN, 3);
	cr_assert_eq(svc.closed, 1);
}

Test(conn, closing_resets_and_so_does_what_comes_later)
{
	connect_to(GUEST_PORT);
	send_data(GUEST_PORT, "abc", 3);
	run_service(do_close);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RST);
	send_data(GUEST_PORT, "abc", 3);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RST);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_RST, 0);
	expect_silence();
	cr_assert_eq(svc.closed, 0);
}

Test(conn, a_device_reset_ends_all_connections_from_the_loop)
{
	for (uint32_t i = 0; i < 50; i++)
		connect_to(i);
	svc.to_write = 10 << 20;
	run_service(push_pattern);
	fake_guest_reset(fv.g);
	/* A reset comes on a vCPU's thread: services must not hear of it there. */
	cr_assert_eq(svc.closed, 0);
	cr_assert_eq(vsock_conn_write(svc.conn, "x", 1), -EPIPE);
	fake_guest_settle(fv.g);
	cr_assert_eq(svc.closed, 50);
	fake_vsock_restart(&fv);
	connect_to(3);
	expect_silence();
}

Test(conn, destroying_with_connections_open_leaks_nothing)
{
	connect_to(1);
	connect_to(2);
	send_data(1, "abc", 3);
	send_op(1, VIRTIO_VSOCK_OP_RST, 0);
}

/* ---- many bytes, many connections ---- */

struct duplex {
	struct service svc;
	struct fake_sock sock;
};

static void exchange(uint64_t bytes)
{
	struct fake_sock s;
	struct fake_sock *all[] = {&s};
	uint64_t sent = 0;

	svc.drain = true;
	svc.to_write = bytes;
	fake_sock_connect(&fv, &s, PORT, GUEST_PORT);
	(void)fake_sock_poll(&fv, all, 1);
	run_service(push_pattern);
	while (s.total < bytes || sent < bytes) {
		uint32_t n = (uint32_t)min_u64(bytes - sent, FAKE_PATTERN_RUN);
		uint32_t done = n > 0 ? fake_sock_write(&fv, &s, fake_pattern(sent), n) : 0;

		sent += done;
		cr_assert(fake_sock_poll(&fv, all, 1) || done > 0, "stuck at %lu and %lu",
			  (unsigned long)sent, (unsigned long)s.total);
	}
	cr_assert_eq(svc.drained, bytes);
	cr_assert_eq(s.total, bytes);
	cr_assert_not(s.corrupt);
	cr_assert_not(svc.corrupt);
}

Test(conn, a_large_stream_passes_whole_both_ways_at_once)
{
	exchange(256 << 20);
}

Test(conn, writers_take_turns)
{
	enum { N = 4 };
	static struct duplex d[N];
	struct fake_sock *all[N];
	size_t least, most, head_start;

	for (uint32_t i = 0; i < N; i++) {
		all[i] = &d[i].sock;
		vsock_unlisten(fv.vs, PORT);
		cr_assert_eq(vsock_listen(fv.vs, PORT, on_accept, &d[i].svc), 0);
		fake_sock_connect(&fv, all[i], PORT, 1 + i);
		(void)fake_sock_poll(&fv, all, i + 1);
		d[i].svc.to_write = SIZE_MAX;
	}
	/* The first floods; the others ask while there is no buffer left. */
	for (uint32_t i = 0; i < N; i++)
		vsock_run(fv.vs, push_pattern, &d[i].svc);
	head_start = d[0].svc.written;
	for (unsigned int round = 0; round < 101; round++) {
		/* The first is always there before the kick for new buffers is. */
		fv.quiet = true;
		(void)fake_sock_poll(&fv, all, N);
		fv.quiet = false;
		vsock_run(fv.vs, push_pattern, &d[0].svc);
		fake_kick(fv.g, FAKE_VSOCK_TX);
	}
	/* The first was alone with the first buffers. */
	least = most = d[0].svc.written - head_start;
	for (uint32_t i = 1; i < N; i++) {
		least = min_size(least, d[i].svc.written);
		if (d[i].svc.written > most)
			most = d[i].svc.written;
	}
	cr_assert_geq(least, 1 << 20);
	cr_assert_leq(most - least, 128 << 10, "%zu to %zu", least, most);
}

Test(conn, a_flood_is_worked_off_in_bounded_rounds)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	struct fake_seg segs[2];

	connect_to(GUEST_PORT);
	hdr.len = htole32(1);
	segs[0] = fake_put(fv.g, &hdr, HDR);
	segs[1] = fake_put(fv.g, "x", 1);
	for (unsigned int i = 0; i < 256 / 2; i++)
		(void)fake_publish(fv.g, FAKE_VSOCK_TX, segs, 2);
	fake_kick(fv.g, FAKE_VSOCK_TX);
	for (unsigned int i = 0; i < 64; i++)
		cr_assert(fake_reap(fv.g, FAKE_VSOCK_TX, NULL, NULL));
	for (unsigned int i = 0; i < 32; i++)
		(void)fake_publish(fv.g, FAKE_VSOCK_TX, segs, 2);
	fake_guest_settle(fv.g);
	/* The rest came by the device's own event, without another kick. */
	cr_assert_eq(vsock_conn_pending(svc.conn), 160);
	cr_assert_eq(svc.readable, 2);
}
