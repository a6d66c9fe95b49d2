/* SPDX-License-Identifier: MIT */
/* Datagrams between sockets of this host's loopback and an agent that says what it likes. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/port.h"
#include "tests/unit/vmm/session/fake_agent.h"
#include "vmm/session/udp_peer.h"
#include "vmm/session/udp_peers.h"

/* The session has a command already, so the first peer's id is 2. */
enum { FIRST = 2, GUEST_PORT = 53 };

static struct udp_peers *peers;
static int published;
static struct sockaddr_in at; /* where it is */

/* One that is published at `address`. */
static int open_udp(uint32_t address, struct sockaddr_in *where)
{
	struct port port = {.family = AF_INET, .udp = true};
	const uint32_t wire = htonl(address);
	char why[PORT_WHY_MAX];
	socklen_t len = sizeof(*where);
	int fd = -1;

	memcpy(port.address, &wire, sizeof(wire));
	cr_assert_eq(port_listen(&port, &fd, why), 0, "%s", why);
	cr_assert_eq(udp_receive_begin(fd), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)where, &len), 0);
	return fd;
}

static void peers_setup(void)
{
	unread = true;
	agent_setup();
	published = open_udp(INADDR_LOOPBACK, &at);
	cr_assert_eq(udp_peers_new(fv.g->loop, session, &peers), 0);
	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	settle();
}

static void peers_teardown(void)
{
	udp_peers_free(peers);
	close(published);
	agent_teardown();
}

TestSuite(udp_peers, .init = peers_setup, .fini = peers_teardown);

static int new_client(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void pass_on(void)
{
	udp_peers_receive(peers, published, GUEST_PORT);
	settle();
}

static void put(int client, const void *data, size_t len)
{
	cr_assert_eq(send(client, data, len, 0), (ssize_t)len);
	pass_on();
}

static void answer(unsigned int sock, uint32_t id)
{
	struct sc_stream_hello h = {htole32(id), 0};

	connect_sock(sock);
	cr_assert(socks[sock].connected);
	send_bytes(sock, &h, sizeof(h));
	settle();
}

static void expect_in_guest(unsigned int sock, const void *bytes, size_t len)
{
	cr_assert_eq(socks[sock].total, len);
	cr_assert_eq(memcmp(socks[sock].first, bytes, len), 0);
}

static void expect_datagram(int fd, const void *bytes, size_t len)
{
	static uint8_t buf[SC_DATAGRAM_MAX + 1];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	cr_assert_eq(n, (ssize_t)len, "%zd bytes (errno %d)", n, errno);
	cr_assert_eq(memcmp(buf, bytes, len), 0);
}

static void expect_nothing(int fd)
{
	char c;

	cr_assert(recv(fd, &c, 1, 0) < 0 && errno == EAGAIN);
}

Test(udp_peers, datagrams_go_both_ways)
{
	int a = new_client(), b = new_client();
	uint16_t type;
	uint32_t number;
	size_t off = skip_opening();

	put(a, "query", 5);
	(void)heard(off, &type, &number);
	cr_assert(type == SC_MSG_CONNECT && le32toh(number) == GUEST_PORT);
	/* What comes before the stream is there waits. */
	put(a, "", 0);
	answer(STREAM0, FIRST);
	expect_in_guest(STREAM0, "\5\0query\0\0", 9);
	put(b, "other", 5);
	answer(STREAM1, FIRST + 1);
	expect_in_guest(STREAM1, "\5\0other", 7);
	cr_assert_eq(udp_peers_count(peers), 2);
	send_bytes(STREAM1, "\3\0two", 5);
	send_bytes(STREAM0, "\3\0one\0\0\1\0x", 10);
	settle();
	expect_datagram(a, "one", 3);
	expect_datagram(a, "", 0);
	expect_datagram(a, "x", 1);
	expect_nothing(a);
	expect_datagram(b, "two", 3);
	put(a, "again", 5);
	cr_assert_eq(socks[STREAM0].total, 16);
	cr_assert_eq(udp_peers_count(peers), 2);
	close(a);
	close(b);
}

Test(udp_peers, the_largest_go_through)
{
	static uint8_t frame[UDP_FRAME_MAX] = {0xe3, 0xff};
	int a = new_client();

	memset(frame + 2, 7, SC_DATAGRAM_MAX);
	put(a, frame + 2, SC_DATAGRAM_MAX);
	answer(STREAM0, FIRST);
	cr_assert_eq(socks[STREAM0].total, UDP_FRAME_MAX);
	cr_assert_eq(memcmp(socks[STREAM0].first, frame, sizeof(socks[STREAM0].first)), 0);
	for (size_t sent = 0; sent < sizeof(frame); sent += 4093) {
		send_bytes(STREAM0, frame + sent, min_size(4093, sizeof(frame) - sent));
		settle();
	}
	expect_datagram(a, frame + 2, SC_DATAGRAM_MAX);
	close(a);
}

Test(udp_peers, an_answer_in_pieces)
{
	int a = new_client();

	put(a, "q", 1);
	answer(STREAM0, FIRST);
	for (unsigned int i = 0; i < 4; i++) {
		expect_nothing(a);
		send_bytes(STREAM0, &"\2\0ab"[i], 1);
		settle();
	}
	expect_datagram(a, "ab", 2);
	close(a);
}

Test(udp_peers, a_guest_that_takes_nothing_loses_datagrams_whole)
{
	static const uint8_t data[60000];
	const size_t frame = sizeof(data) + 2;
	int a = new_client();

	put(a, data, sizeof(data));
	answer(STREAM0, FIRST);
	socks[STREAM0].lazy = true;
	for (unsigned int i = 0; i < 40; i++)
		put(a, data, sizeof(data));
	cr_assert_leq(socks[STREAM0].total, frame + FAKE_SOCK_BUFFER);
	socks[STREAM0].lazy = false;
	settle();
	cr_assert_gt(socks[STREAM0].total, FAKE_SOCK_BUFFER);
	cr_assert_leq(socks[STREAM0].total, frame + FAKE_SOCK_BUFFER + UDP_FRAME_MAX);
	cr_assert_eq(socks[STREAM0].total % frame, 0, "a part of one");
	put(a, data, sizeof(data));
	cr_assert_eq(socks[STREAM0].total % frame, 0);
	close(a);
}

Test(udp_peers, before_the_stream_is_there_little_waits)
{
	static const uint8_t data[1000];
	int a = new_client();

	for (unsigned int i = 0; i < 200; i++)
		put(a, data, sizeof(data));
	answer(STREAM0, FIRST);
	cr_assert_eq(socks[STREAM0].total, UDP_FRAME_MAX / 1002 * 1002);
	close(a);
}

Test(udp_peers, a_length_that_may_not_be_ends_the_peer)
{
	int a = new_client();

	put(a, "q", 1);
	answer(STREAM0, FIRST);
	send_bytes(STREAM0, "\xe4\xff", 2);
	settle();
	cr_assert(socks[STREAM0].reset);
	cr_assert_eq(udp_peers_count(peers), 0);
	cr_assert_eq(session_state(session), SESSION_READY);
	/* It is asked for anew. */
	put(a, "q", 1);
	answer(STREAM1, FIRST + 1);
	expect_in_guest(STREAM1, "\1\0q", 3);
	expect_nothing(a);
	close(a);
}

Test(udp_peers, a_guest_that_ends_its_stream)
{
	int a = new_client();

	put(a, "q", 1);
	answer(STREAM0, FIRST);
	send_bytes(STREAM0, "\1\0a", 3);
	fake_sock_shutdown(&fv, &socks[STREAM0], 3);
	settle();
	expect_datagram(a, "a", 1);
	cr_assert_eq(udp_peers_count(peers), 0);
	put(a, "q", 1);
	answer(STREAM1, FIRST + 1);
	fake_sock_shutdown(&fv, &socks[STREAM1], 2);
	settle();
	cr_assert_eq(udp_peers_count(peers), 0, "it can say nothing any more");
	close(a);
}

Test(udp_peers, nobody_in_the_guest)
{
	int a = new_client();

	put(a, "q", 1);
	say(SC_MSG_CONNECT_FAILED, FIRST, SC_FIELD_ERRNO, ECONNREFUSED, SC_FIELD_TEXT, "no");
	settle();
	cr_assert_eq(udp_peers_count(peers), 0);
	cr_assert_eq(session_state(session), SESSION_READY);
	close(a);
}

Test(udp_peers, wrong_answers)
{
	int a = new_client();

	put(a, "q", 1);
	answer(STREAM0, FIRST);
	answer(STREAM1, FIRST);
	cr_assert(socks[STREAM1].reset, "a second stream");
	say(SC_MSG_CONNECT_FAILED, FIRST, SC_FIELD_ERRNO, ECONNREFUSED, SC_FIELD_TEXT, "no");
	settle();
	cr_assert_eq(session_state(session), SESSION_ENDED);
	cr_assert_eq(udp_peers_count(peers), 0);
	/* Datagrams are dropped from then on. */
	put(a, "q", 1);
	cr_assert_eq(udp_peers_count(peers), 0);
	close(a);
}

Test(udp_peers, answers_come_from_the_address_that_was_meant)
{
	struct sockaddr_in any;
	int wide = open_udp(INADDR_ANY, &any), a;

	at = any;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	a = new_client();
	cr_assert_eq(send(a, "q", 1, 0), 1);
	udp_peers_receive(peers, wide, GUEST_PORT);
	settle();
	answer(STREAM0, FIRST);
	send_bytes(STREAM0, "\1\0a", 3);
	settle();
	expect_datagram(a, "a", 1);
	udp_peers_forget(peers, wide);
	cr_assert_eq(udp_peers_count(peers), 0);
	close(wide);
	close(a);
}

Test(udp_peers, ipv6)
{
	const struct port port = {.family = AF_INET6, .udp = true, .address = {[15] = 1}};
	struct sockaddr_in6 where;
	char why[PORT_WHY_MAX];
	socklen_t len = sizeof(where);
	int six = -1, a = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (a < 0 || port_listen(&port, &six, why) < 0)
		cr_skip_test("this host has no IPv6");
	cr_assert_eq(udp_receive_begin(six), 0);
	cr_assert_eq(getsockname(six, (struct sockaddr *)&where, &len), 0);
	cr_assert_eq(connect(a, (struct sockaddr *)&where, len), 0);
	cr_assert_eq(send(a, "q", 1, 0), 1);
	udp_peers_receive(peers, six, GUEST_PORT);
	settle();
	answer(STREAM0, FIRST);
	expect_in_guest(STREAM0, "\1\0q", 3);
	send_bytes(STREAM0, "\1\0a", 3);
	settle();
	expect_datagram(a, "a", 1);
	udp_peers_forget(peers, six);
	close(six);
	close(a);
}

Test(udp_peers, who_was_silent_longest_makes_room)
{
	static int clients[UDP_PEERS_MAX + 1];

	for (unsigned int i = 0; i < UDP_PEERS_MAX; i++) {
		clients[i] = new_client();
		put(clients[i], "q", 1);
	}
	cr_assert_eq(udp_peers_count(peers), UDP_PEERS_MAX);
	/* All of them within a millisecond, perhaps: then the list's order decides. */
	put(clients[0], "q", 1);
	clients[UDP_PEERS_MAX] = new_client();
	put(clients[UDP_PEERS_MAX], "q", 1);
	cr_assert_eq(udp_peers_count(peers), UDP_PEERS_MAX);
	/* The first is there, the second is not: its stream is not wanted any more. */
	answer(STREAM0, FIRST);
	expect_in_guest(STREAM0, "\1\0q\1\0q", 6);
	answer(STREAM1, FIRST + 1);
	cr_assert(socks[STREAM1].reset);
	for (unsigned int i = 0; i <= UDP_PEERS_MAX; i++)
		close(clients[i]);
}

Test(udp_peers, idle_ones_end)
{
	const uint64_t now = now_ms();
	int a = new_client();

	put(a, "q", 1);
	answer(STREAM0, FIRST);
	udp_peers_expire(peers, now + UDP_IDLE_MS - 1);
	cr_assert_eq(udp_peers_count(peers), 1);
	udp_peers_expire(peers, now_ms() + UDP_IDLE_MS);
	cr_assert_eq(udp_peers_count(peers), 0);
	settle();
	cr_assert(socks[STREAM0].reset || socks[STREAM0].finished);
	close(a);
}

Test(udp_peers, sockets_of_another_kind)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	cr_assert_lt(udp_receive_begin(ends[0]), 0);
	close(ends[0]);
	close(ends[1]);
}
