/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "tests/unit/devices/vsock/service.h"

TestSuite(vsock, .init = start_with_buffers, .fini = stop_vsock);

/* ---- connecting ---- */

Test(vsock, the_guest_reads_its_cid)
{
	uint64_t cid;

	memcpy(&cid, fv.g->vdev->config, sizeof(cid));
	cr_assert_eq(fv.g->vdev->config_len, sizeof(cid));
	cr_assert_eq(le64toh(cid), VSOCK_GUEST_CID);
}

Test(vsock, a_port_nobody_listens_on_refuses)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT + 1, 9, VIRTIO_VSOCK_OP_REQUEST);

	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect(9, VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(pkt.host_port, PORT + 1);
}

Test(vsock, a_service_may_refuse)
{
	svc.refuse = -EBUSY;
	send_op(9, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect(9, VIRTIO_VSOCK_OP_RST);
	send_data(9, "x", 1);
	expect(9, VIRTIO_VSOCK_OP_RST);
}

Test(vsock, listening_has_limits)
{
	cr_assert_eq(vsock_listen(fv.vs, PORT, on_accept, &svc), -EADDRINUSE);
	for (uint32_t i = 1; i < VSOCK_MAX_LISTENERS; i++)
		cr_assert_eq(vsock_listen(fv.vs, PORT + i, on_accept, &svc), 0);
	cr_assert_eq(vsock_listen(fv.vs, 5, on_accept, &svc), -ENOSPC);
	vsock_unlisten(fv.vs, PORT);
	vsock_unlisten(fv.vs, PORT);
	cr_assert_eq(vsock_listen(fv.vs, 5, on_accept, &svc), 0);
	send_op(9, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect(9, VIRTIO_VSOCK_OP_RST);
}

Test(vsock, connections_are_limited)
{
	for (uint32_t i = 0; i < VSOCK_MAX_CONNS; i++) {
		connect_to(i);
		fake_vsock_post(&fv, 1);
	}
	send_op(VSOCK_MAX_CONNS, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect(VSOCK_MAX_CONNS, VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(svc.accepted, VSOCK_MAX_CONNS);
	fake_vsock_post(&fv, 1);
	/* One goes, one may come. */
	send_op(7, VIRTIO_VSOCK_OP_RST, 0);
	cr_assert_eq(svc.closed, 1);
	connect_to(VSOCK_MAX_CONNS);
}

/* ---- packets that are wrong ---- */

Test(vsock, spoofed_and_misaddressed_packets_are_dropped)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, 9, VIRTIO_VSOCK_OP_REQUEST);

	hdr.src_cid = htole64(VSOCK_GUEST_CID + 1);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	hdr.src_cid = htole64(VSOCK_GUEST_CID | 1ull << 32);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	hdr.src_cid = htole64(VSOCK_HOST_CID);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	hdr.src_cid = htole64(VSOCK_GUEST_CID);
	hdr.dst_cid = htole64(1);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect_silence();
	cr_assert_eq(svc.accepted, 0);
	cr_assert_not(fv.g->vdev->broken);
}

Test(vsock, another_socket_type_is_refused_in_kind)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, 9, VIRTIO_VSOCK_OP_REQUEST);

	hdr.type = htole16(VIRTIO_VSOCK_TYPE_SEQPACKET);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect(9, VIRTIO_VSOCK_OP_RST);
	cr_assert_eq(pkt.type, VIRTIO_VSOCK_TYPE_SEQPACKET);
	/* It does not reach a stream with the same ports either. */
	connect_to(10);
	hdr = fake_vsock_hdr(PORT, 10, VIRTIO_VSOCK_OP_RST);
	hdr.type = htole16(VIRTIO_VSOCK_TYPE_SEQPACKET);
	fake_vsock_send(&fv, &hdr, NULL, 0);
	expect_silence();
	cr_assert_eq(svc.closed, 0);
}

Test(vsock, packets_to_unknown_connections_are_answered_but_resets_are_not)
{
	for (uint16_t op = 0; op < 12; op++) {
		if (op == VIRTIO_VSOCK_OP_REQUEST)
			continue;
		send_op(100u + op, op, 3);
		if (op != VIRTIO_VSOCK_OP_RST)
			expect(100u + op, VIRTIO_VSOCK_OP_RST);
	}
	expect_silence();
}

Test(vsock, impossible_operations_reset_the_connection)
{
	const uint16_t bad[] = {VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST,
				VIRTIO_VSOCK_OP_RESPONSE, 8, 0xffff};

	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		connect_to(i);
		send_op(i, bad[i], 0);
		expect(i, VIRTIO_VSOCK_OP_RST);
		cr_assert_eq(svc.closed, i + 1);
	}
	cr_assert_not(fv.g->vdev->broken);
}

/* A driver that cannot even frame packets is stopped, and the connections with it. */
static void expect_broken(void)
{
	cr_assert(fv.g->vdev->broken);
	cr_assert_eq(fv.g->config_interrupts, 1);
	fake_guest_settle(fv.g);
	cr_assert_eq(svc.closed, svc.accepted);
	fake_guest_reset(fv.g);
	fake_vsock_restart(&fv);
	connect_to(1);
}

Test(vsock, a_length_beyond_the_chain_breaks_the_device)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, GUEST_PORT, VIRTIO_VSOCK_OP_RW);

	connect_to(GUEST_PORT);
	hdr.len = htole32(5);
	fake_vsock_send(&fv, &hdr, "four", 4);
	expect_broken();
}

Test(vsock, a_huge_length_breaks_the_device)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, GUEST_PORT, VIRTIO_VSOCK_OP_RW);

	connect_to(GUEST_PORT);
	hdr.len = htole32(UINT32_MAX);
	fake_vsock_send(&fv, &hdr, "four", 4);
	expect_broken();
}

Test(vsock, a_packet_shorter_than_its_header_breaks_the_device)
{
	struct fake_seg seg = fake_put(fv.g, big, HDR - 1);

	connect_to(GUEST_PORT);
	(void)fake_publish(fv.g, FAKE_VSOCK_TX, &seg, 1);
	fake_kick(fv.g, FAKE_VSOCK_TX);
	expect_broken();
}

Test(vsock, a_write_only_packet_breaks_the_device)
{
	struct fake_seg seg = fake_room(fv.g, 100);

	(void)fake_publish(fv.g, FAKE_VSOCK_TX, &seg, 1);
	fake_kick(fv.g, FAKE_VSOCK_TX);
	expect_broken();
}

Test(vsock, broken_rings_break_the_device)
{
	connect_to(GUEST_PORT);
	fake_raw_avail(fv.g, FAKE_VSOCK_TX, 5000);
	fake_kick(fv.g, FAKE_VSOCK_TX);
	expect_broken();
}

Test(vsock_empty, a_broken_receive_ring_breaks_the_device, .fini = stop_vsock)
{
	start_vsock(false);
	fake_raw_avail(fv.g, FAKE_VSOCK_RX, 5000);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect_broken();
}

Test(vsock_empty, a_receive_buffer_for_a_bare_header_breaks_the_device, .fini = stop_vsock)
{
	struct fake_seg seg;

	start_vsock(false);
	seg = fake_room(fv.g, HDR);
	(void)fake_publish(fv.g, FAKE_VSOCK_RX, &seg, 1);
	send_op(GUEST_PORT, VIRTIO_VSOCK_OP_REQUEST, 0);
	expect_broken();
}

Test(vsock, a_header_in_pieces_is_one_header)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(PORT, GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	struct fake_seg segs[4];

	svc.drain = true;
	connect_to(GUEST_PORT);
	hdr.len = htole32(6);
	segs[0] = fake_put(fv.g, &hdr, 3);
	segs[1] = fake_put(fv.g, (uint8_t *)&hdr + 3, HDR - 3);
	segs[2] = fake_put(fv.g, fake_pattern(0), 1);
	segs[3] = fake_put(fv.g, fake_pattern(1), 5);
	(void)fake_publish(fv.g, FAKE_VSOCK_TX, segs, 4);
	fake_kick(fv.g, FAKE_VSOCK_TX);
	cr_assert_eq(svc.drained, 6);
	cr_assert_not(svc.corrupt);
}
