/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net.h"
#include "tests/support/fake_guest.h"

enum { Q_RX, Q_TX, HEADER = sizeof(struct virtio_net_hdr_v1) };

#define OFFERED                                                                              \
	(1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_MTU | 1ull << VIRTIO_NET_F_STATUS | \
	 1ull << VIRTIO_NET_F_CSUM | 1ull << VIRTIO_NET_F_GUEST_CSUM |                       \
	 1ull << VIRTIO_NET_F_HOST_TSO4 | 1ull << VIRTIO_NET_F_HOST_TSO6 |                   \
	 1ull << VIRTIO_NET_F_HOST_ECN)
#define RING (1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX)

static struct fake_guest *g;
static struct net_device *net;
static struct virtio_device *vdev;
static int own, peer; /* the card's end of the cable, which is its, and the other */

static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5};

static void start(uint64_t features)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	own = ends[0];
	peer = ends[1];
	g = fake_guest_new();
	cr_assert_eq(virtio_net_new(mac, ends[0], &vdev, &net), 0);
	fake_guest_start(g, vdev, features);
}

static void setup(void)
{
	start(OFFERED | RING);
}

static void teardown(void)
{
	fake_guest_free(g);
	if (peer >= 0)
		close(peer);
}

TestSuite(net, .init = setup, .fini = teardown);

static struct net_figures figures(void)
{
	struct net_figures f;

	net_device_figures(net, &f);
	return f;
}

/* Sends one frame of len bytes, all `fill`, behind h; true if it came out of the cable so. */
static bool sent(const struct virtio_net_hdr_v1 *h, size_t len, uint8_t fill)
{
	static uint8_t out[HEADER + NET_MAX_FRAME + 1], got[HEADER + NET_MAX_FRAME + 2];
	ssize_t n;

	memcpy(out, h, HEADER);
	memset(out + HEADER, fill, len);
	cr_assert_eq(fake_request(g, Q_TX, out, HEADER + len, NULL, 0), 0);
	n = recv(peer, got, sizeof(got), 0);
	if (n < 0)
		return false;
	cr_assert_eq(n, (ssize_t)(HEADER + len));
	cr_assert_eq(memcmp(got + HEADER, out + HEADER, len), 0);
	return true;
}

static const struct virtio_net_hdr_v1 plain;

/* Posts an rx buffer of len bytes, a frame of n bytes comes; what the guest got, -1: nothing. */
static long received(size_t len, size_t n, uint8_t *out)
{
	static uint8_t message[HEADER + 4096];
	struct fake_seg seg = fake_room(g, len);
	uint32_t written;

	memset(message, 0xa5, HEADER);
	memset(message + HEADER, 7, n);
	fake_publish(g, Q_RX, &seg, 1);
	fake_kick(g, Q_RX);
	cr_assert_eq(send(peer, message, HEADER + n, 0), (ssize_t)(HEADER + n));
	fake_guest_settle(g);
	if (!fake_reap(g, Q_RX, NULL, &written))
		return -1;
	if (out)
		memcpy(out, fake_ptr(g, seg.addr, len), len);
	return written;
}

Test(net, frames_go_out)
{
	cr_expect(sent(&plain, 14, 1));
	cr_expect(sent(&plain, 1514, 2));
	cr_expect(sent(&plain, NET_MAX_FRAME, 3));
	cr_expect_eq(figures().tx_frames, 3);
	cr_expect_eq(figures().tx_bytes, 14 + 1514 + NET_MAX_FRAME);
}

Test(net, a_frame_in_pieces_goes_out_whole)
{
	struct fake_seg segs[HEADER + 20];
	uint8_t got[64];

	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		segs[i] = fake_put(g, i < HEADER ? (const uint8_t[]){0} : (const uint8_t[]){9}, 1);
	fake_publish_indirect(g, Q_TX, segs, ARRAY_SIZE(segs));
	fake_kick(g, Q_TX);
	fake_guest_settle(g);
	cr_assert_eq(recv(peer, got, sizeof(got), 0), HEADER + 20);
	cr_expect_eq(got[HEADER], 9);
	cr_expect_eq(got[HEADER + 19], 9);
}

Test(net, lengths_that_are_none_are_refused)
{
	cr_expect(!sent(&plain, 0, 0));
	cr_expect(!sent(&plain, 13, 0));
	cr_expect_eq(figures().tx_refused, 2);
	cr_expect_eq(fake_request(g, Q_TX, &plain, HEADER - 1, NULL, 0), 0);
	cr_expect_eq(figures().tx_refused, 3);
	/* A buffer to write into has no place in the send queue. */
	cr_expect_eq(fake_request(g, Q_TX, &plain, HEADER + 0, (uint8_t[64]){0}, 64), 0);
	cr_expect_eq(figures().tx_refused, 4);
	cr_expect(!vdev->broken);
}

static struct virtio_net_hdr_v1 header(uint8_t flags, uint8_t gso, uint16_t size, uint16_t start_at,
				       uint16_t offset)
{
	return (struct virtio_net_hdr_v1){
		.flags = flags,
		.gso_type = gso,
		.hdr_len = htole16(54),
		.gso_size = htole16(size),
		.csum_start = htole16(start_at),
		.csum_offset = htole16(offset),
	};
}

Test(net, headers_that_lie_are_refused)
{
	const struct {
		struct virtio_net_hdr_v1 h;
		bool good;
	} rows[] = {
		{header(1, 0, 0, 34, 16), true}, /* a checksum */
		{header(1, 1, 1448, 34, 16), true}, /* TSO over IPv4 */
		{header(1, 4, 1428, 54, 16), true},
		{header(1, 0x81, 1448, 34, 16), true}, /* with ECN */
		{header(2, 0, 0, 0, 0), false}, /* flags of the other direction */
		{header(0x80, 0, 0, 0, 0), false},
		{header(1, 0, 0, 99, 0), false}, /* the sum's two bytes at and past the end */
		{header(1, 0, 0, 98, 0), true},
		{header(1, 0, 0, 34, 65), false},
		{header(1, 0, 0, 0xffff, 0xffff), false},
		{header(1, 0, 0, 13, 16), false}, /* in the Ethernet header */
		{header(0, 1, 1448, 34, 16), false}, /* segments without a checksum */
		{header(1, 1, 0, 34, 16), false},
		{header(1, 1, 101, 34, 16), false}, /* longer than the frame */
		{header(1, 0x80, 0, 34, 16), false}, /* ECN alone */
		{header(1, 2, 1448, 34, 16), false},
		{header(1, 3, 1448, 34, 16), false}, /* UDP */
		{header(1, 5, 1448, 34, 16), false},
		{header(1, 0x7f, 1448, 34, 16), false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const bool cut =
			rows[i].h.gso_size == htole16(1448) || rows[i].h.gso_size == htole16(1428);

		cr_expect_eq(sent(&rows[i].h, cut ? 4000 : 100, 1), rows[i].good, "row %zu", i);
	}
	cr_expect(!vdev->broken);
}

Test(net, what_was_not_negotiated_is_refused)
{
	struct virtio_net_hdr_v1 csum = header(1, 0, 0, 34, 16);
	struct virtio_net_hdr_v1 tso = header(1, 1, 1448, 34, 16);

	fake_guest_reset(g);
	fake_guest_restart(g, 1ull << VIRTIO_NET_F_MAC);
	cr_expect(sent(&plain, 100, 1));
	cr_expect(!sent(&csum, 100, 1));
	fake_guest_reset(g);
	fake_guest_restart(g, 1ull << VIRTIO_NET_F_CSUM);
	cr_expect(sent(&csum, 100, 1));
	cr_expect(!sent(&tso, 4000, 1));
}

Test(net, frames_come_in)
{
	uint8_t got[1600];
	struct virtio_net_hdr_v1 h;

	cr_assert_eq(received(sizeof(got), 1514, got), HEADER + 1514);
	memcpy(&h, got, HEADER);
	cr_expect_eq(h.flags, 0xa5 & VIRTIO_NET_HDR_F_DATA_VALID);
	cr_expect_eq(h.gso_type, 0);
	cr_expect_eq(le16toh(h.num_buffers), 1);
	cr_expect_eq(got[HEADER], 7);
	cr_expect_eq(got[HEADER + 1513], 7);
	cr_expect_eq(figures().rx_bytes, 1514);
}

Test(net, buffers_too_small_cost_their_frame)
{
	cr_expect_eq(received(1, 100, NULL), 0);
	cr_expect_eq(received(HEADER, 100, NULL), 0);
	cr_expect_eq(received(HEADER + 99, 100, NULL), 0);
	cr_expect_eq(figures().rx_dropped, 3);
	cr_expect_eq(received(HEADER + 100, 100, NULL), HEADER + 100);
	cr_expect(!vdev->broken);
}

Test(net, a_message_that_is_no_frame_costs_nothing_more)
{
	struct fake_seg seg = fake_room(g, 1600);
	uint32_t written = 1;

	fake_publish(g, Q_RX, &seg, 1);
	fake_kick(g, Q_RX);
	cr_assert_eq(send(peer, "x", 1, 0), 1);
	fake_guest_settle(g);
	cr_assert(fake_reap(g, Q_RX, NULL, &written));
	cr_expect_eq(written, 0);
}

Test(net, frames_wait_for_buffers_and_take_no_time)
{
	static const uint8_t message[HEADER + 60];
	struct fake_seg seg;
	unsigned int sent_now = 0;

	while (send(peer, message, sizeof(message), 0) > 0)
		sent_now++;
	cr_assert_eq(errno, EAGAIN);
	/* Returns, so the cable is not watched while the guest has no buffer. */
	fake_guest_settle(g);
	for (unsigned int i = 0; i < sent_now; i++) {
		seg = fake_room(g, 128);
		fake_publish(g, Q_RX, &seg, 1);
		fake_kick(g, Q_RX);
		fake_guest_settle(g);
		cr_assert(fake_reap(g, Q_RX, NULL, NULL), "frame %u of %u", i, sent_now);
	}
}

/* Fills the cable; how many frames that took. */
static unsigned int fill_cable(void)
{
	static uint8_t frame[HEADER + 1000];
	unsigned int n = 0;

	while (fake_request(g, Q_TX, frame, sizeof(frame), NULL, 0) == 0)
		n++;
	return n;
}

Test(net, a_full_cable_holds_the_guest_and_loses_nothing)
{
	uint8_t got[2048];
	unsigned int n = fill_cable(), came = 0;

	cr_assert_gt(n, 0);
	fake_guest_settle(g);
	while (recv(peer, got, sizeof(got), 0) > 0) {
		came++;
		fake_guest_settle(g);
	}
	cr_expect_eq(came, n + 1);
	cr_expect_eq(figures().tx_frames, n + 1);
	cr_expect(sent(&plain, 100, 1));
}

Test(net, a_reset_forgets_what_was_held)
{
	uint8_t got[2048];
	struct fake_seg seg = fake_room(g, 1600);

	/* A receive buffer popped, a frame to send kept. */
	fake_publish(g, Q_RX, &seg, 1);
	fake_kick(g, Q_RX);
	fill_cable();
	fake_guest_reset(g);
	while (recv(peer, got, sizeof(got), 0) > 0)
		fake_guest_settle(g);
	cr_assert_eq(send(peer, got, 100, 0), 100);
	fake_guest_settle(g);
	cr_expect_eq(*(uint8_t *)fake_ptr(g, seg.addr, 1), 0);
	fake_guest_restart(g, OFFERED);
	cr_expect(sent(&plain, 100, 1));
	cr_expect_eq(received(1600, 100, NULL), 100);
}

Test(net, without_a_driver_the_cable_takes_no_time)
{
	fake_guest_reset(g);
	cr_assert_eq(send(peer, "frame", 5, 0), 5);
	fake_guest_settle(g);
}

static uint16_t status(void)
{
	return le16toh(((const struct virtio_net_config *)vdev->config)->status);
}

static void count_unplugs(void *owner)
{
	++*(unsigned int *)owner;
}

Test(net, a_pulled_cable_is_a_link_that_is_down)
{
	unsigned int before = g->config_interrupts;

	cr_expect_eq(status(), VIRTIO_NET_S_LINK_UP);
	close(peer);
	peer = -1;
	fake_guest_settle(g);
	cr_expect_eq(status(), 0);
	cr_expect_eq(g->config_interrupts, before + 1);
	/* What is sent then is lost, as on a wire. */
	cr_expect_eq(fake_request(g, Q_TX, &plain, HEADER + 0, NULL, 0), 0);
	cr_expect_eq(fake_request(g, Q_TX, (uint8_t[HEADER + 60]){0}, HEADER + 60, NULL, 0), 0);
	cr_expect_eq(g->config_interrupts, before + 1);
}

Test(net, another_cable_is_a_link_that_is_up)
{
	unsigned int told = 0;
	uint8_t buf[4096];
	int ends[2];

	net_device_on_unplug(net, count_unplugs, &told);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	cr_expect_eq(net_device_plug(net, ends[0]), -EBUSY);
	close(ends[1]);
	close(peer);
	fake_guest_settle(g);
	cr_expect_eq(told, 1);
	cr_expect_not(figures().up);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	peer = ends[1];
	cr_assert_eq(net_device_plug(net, ends[0]), 0);
	cr_expect_eq(status(), VIRTIO_NET_S_LINK_UP);
	cr_expect(figures().up);
	cr_expect_eq(figures().plugs, 1);
	cr_expect(sent(&plain, 100, 1));
	cr_expect_eq(received(HEADER + 1514, 60, buf), HEADER + 60);
	cr_expect_eq(told, 1);
}

Test(net, a_report_is_no_frame)
{
	const uint64_t dropped = 77;
	uint8_t buf[4096];

	cr_assert_eq(send(peer, &dropped, sizeof(dropped), 0), (ssize_t)sizeof(dropped));
	fake_guest_settle(g);
	cr_expect_eq(received(HEADER + 1514, 60, buf), HEADER + 60);
	cr_expect_eq(figures().filtered, dropped);
	cr_expect_eq(figures().rx_frames, 1);
	cr_expect_eq(figures().rx_dropped, 0);
}

/* Whoever has taken over the process at its end may report for ever. */
Test(net, a_flood_of_reports_is_taken_in_turns)
{
	const uint64_t dropped = 7;
	const struct fake_seg seg = fake_room(g, 2048);
	char word;

	fake_publish(g, Q_RX, &seg, 1);
	fake_kick(g, Q_RX);
	fake_guest_settle(g);
	while (send(peer, &dropped, sizeof(dropped), 0) == sizeof(dropped))
		;
	vdev->ops->queue_kick(vdev, Q_RX);
	cr_expect_eq(recv(own, &word, 1, MSG_PEEK), 1, "all of them in one turn");
	while (recv(own, &word, 1, MSG_PEEK) == 1)
		fake_guest_settle(g);
	cr_expect_eq(figures().filtered, dropped);
	cr_expect_eq(received(2048, 60, NULL), HEADER + 60, "the buffer waits for a frame");
}

Test(net, a_malformed_ring_breaks_the_card_alone)
{
	fake_raw_avail(g, Q_TX, 999);
	fake_kick(g, Q_TX);
	cr_expect(vdev->broken);
	fake_guest_reset(g);
	fake_guest_restart(g, OFFERED);
	cr_expect(sent(&plain, 100, 1));
}

Test(net, configuration_is_mac_status_mtu)
{
	const struct virtio_net_config *c = vdev->config;

	cr_expect_eq(memcmp(c->mac, mac, 6), 0);
	cr_expect_eq(le16toh(c->mtu), NET_MTU);
	cr_expect_eq(vdev->config_writable_len, 0);
}
