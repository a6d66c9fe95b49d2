/* SPDX-License-Identifier: MIT */
/* The agent's datagrams to services on this host's loopback, joined with socketpairs. */
#include "guest-agent/datagrams.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "guest-agent/watch.h"

static struct datagrams all;
static struct link link_to_host;
static int control; /* the host's end */
static int stream; /* the host's end of the last stream */
static uint16_t port;

static int open_pair(struct link *l, unsigned int to)
{
	int ends[2];

	(void)l;
	cr_assert_eq(to, SC_PORT_STREAM);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	stream = ends[1];
	cr_assert_eq(fcntl(stream, F_SETFL, O_NONBLOCK), 0);
	return ends[0];
}

/* A service at one of the loopbacks, at `port` unless that is 0. */
static int serve(bool six)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback, .sin6_port = htons(port)};
	struct sockaddr_in in4 = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(port)};
	socklen_t len = six ? sizeof(in6) : sizeof(in4);
	void *addr = six ? (void *)&in6 : (void *)&in4;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (bind(fd, addr, len) < 0)
		cr_skip_test("this host has no IPv6, or the port is in use");
	cr_assert_eq(getsockname(fd, addr, &len), 0);
	port = ntohs(six ? in6.sin6_port : in4.sin_port);
	return fd;
}

static void setup(void)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	control = ends[1];
	cr_assert_eq(fcntl(control, F_SETFL, O_NONBLOCK), 0);
	link_to_host = (struct link){.connect = open_pair, .control = ends[0]};
	datagrams_init(&all, epoll_create1(EPOLL_CLOEXEC), &link_to_host, NULL);
}

static void teardown(void)
{
	datagrams_fini(&all);
	close(all.epfd);
	link_fini(&link_to_host);
	close(control);
}

TestSuite(datagrams, .init = setup, .fini = teardown);

/* Until nothing is left to be done. */
static void turn(void)
{
	struct pollfd p = {.fd = all.epfd, .events = POLLIN};

	while (poll(&p, 1, 50) == 1)
		cr_assert_eq(watch_run_one(all.epfd, -1), 0);
}

static unsigned int count(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < DATAGRAM_PEERS_MAX; i++)
		n += all.list[i] != NULL;
	return n;
}

static void begin(uint32_t id)
{
	struct sc_stream_hello h;

	cr_assert_eq(datagrams_open(&all, id, port), 0);
	cr_assert_eq(read(stream, &h, sizeof(h)), (ssize_t)sizeof(h));
	cr_assert(le32toh(h.id) == id && h.stream == 0);
}

static void put(const void *bytes, size_t len)
{
	cr_assert_eq(write(stream, bytes, len), (ssize_t)len);
	turn();
}

/* The next datagram a service has; its sender is connected to. */
static void expect_served(int fd, const void *bytes, size_t len)
{
	struct sockaddr_storage from;
	socklen_t from_len = sizeof(from);
	static uint8_t buf[SC_DATAGRAM_MAX + 1];
	ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);

	cr_assert_eq(n, (ssize_t)len, "%zd bytes (errno %d)", n, errno);
	cr_assert_eq(memcmp(buf, bytes, len), 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&from, from_len), 0);
}

static void expect_read(int fd, const void *bytes, size_t len)
{
	uint8_t buf[256];
	ssize_t n = read(fd, buf, sizeof(buf));

	cr_assert_eq(n, (ssize_t)len, "%zd bytes (errno %d)", n, errno);
	cr_assert_eq(memcmp(buf, bytes, len), 0);
}

static void expect_failed(uint32_t id, int error)
{
	uint8_t buf[512];
	struct sc_header h;
	uint32_t number;

	cr_assert_gt(read(control, buf, sizeof(buf)),
		     (ssize_t)(sizeof(h) + sizeof(struct sc_field)));
	memcpy(&h, buf, sizeof(h));
	memcpy(&number, buf + sizeof(h) + sizeof(struct sc_field), sizeof(number));
	cr_assert_eq(le16toh(h.type), SC_MSG_CONNECT_FAILED);
	cr_assert_eq(le32toh(h.id), id);
	cr_assert_eq(le32toh(number), (uint32_t)error);
}

Test(datagrams, they_go_both_ways)
{
	int fd = serve(false);

	begin(7);
	put("\5\0query\0", 8);
	expect_served(fd, "query", 5);
	put("\0\3\0abc\1", 7);
	expect_served(fd, "", 0);
	expect_served(fd, "abc", 3);
	put("\0x", 2);
	expect_served(fd, "x", 1);
	cr_assert_eq(send(fd, "answer", 6, 0), 6);
	cr_assert_eq(send(fd, "", 0, 0), 0);
	turn();
	expect_read(stream, "\6\0answer\0\0", 10);
	cr_assert_eq(count(), 1);
	close(stream);
	turn();
	cr_assert_eq(count(), 0);
	close(fd);
}

Test(datagrams, the_largest)
{
	static uint8_t frame[2 + SC_DATAGRAM_MAX] = {0xe3, 0xff, 1, 2, 3};
	size_t sent = 0;
	int fd = serve(false);

	begin(1);
	while (sent < sizeof(frame)) {
		ssize_t n = write(stream, frame + sent, min_size(10000, sizeof(frame) - sent));

		cr_assert_gt(n, 0);
		sent += (size_t)n;
		turn();
	}
	expect_served(fd, frame + 2, SC_DATAGRAM_MAX);
	cr_assert_eq(send(fd, frame + 2, SC_DATAGRAM_MAX, 0), SC_DATAGRAM_MAX);
	for (sent = 0; sent < sizeof(frame);) {
		uint8_t buf[4096];
		ssize_t n;

		turn();
		n = read(stream, buf, sizeof(buf));
		cr_assert_gt(n, 0);
		cr_assert_eq(memcmp(buf, frame + sent, (size_t)n), 0);
		sent += (size_t)n;
	}
	close(stream);
	close(fd);
}

Test(datagrams, a_host_that_does_not_read_is_waited_for)
{
	static const uint8_t data[50000];
	int fd = serve(false);
	size_t got = 0;

	begin(1);
	put("\1\0q", 3);
	expect_served(fd, "q", 1);
	for (unsigned int i = 0; i < 200; i++) {
		(void)!send(fd, data, sizeof(data), 0);
		if (i % 16 == 0)
			turn();
	}
	turn();
	for (;;) {
		static uint8_t buf[1 << 16];
		ssize_t n = read(stream, buf, sizeof(buf));

		if (n <= 0)
			break;
		got += (size_t)n;
		turn();
	}
	cr_assert_gt(got, 0);
	cr_assert_lt(got, 200 * (sizeof(data) + 2), "the rest was dropped by the kernel");
	cr_assert_eq(got % (sizeof(data) + 2), 0, "a part of one");
	/* And the other way still works. */
	put("\1\0r", 3);
	expect_read(fd, "r", 1);
	close(stream);
	close(fd);
}

Test(datagrams, a_service_at_the_other_loopback)
{
	int fd = serve(true);

	begin(1);
	put("\1\0q", 3);
	expect_served(fd, "q", 1);
	cr_assert_eq(send(fd, "a", 1, 0), 1);
	turn();
	expect_read(stream, "\1\0a", 3);
	close(stream);
	close(fd);
}

Test(datagrams, a_service_that_goes_and_comes_back)
{
	int fd = serve(false);

	begin(1);
	put("\1\0q", 3);
	expect_served(fd, "q", 1);
	close(fd);
	put("\1\0r", 3);
	put("\1\0s", 3);
	cr_assert_eq(count(), 1, "nobody there ends nothing");
	fd = serve(false);
	put("\1\0t", 3);
	expect_served(fd, "t", 1);
	close(stream);
	close(fd);
}

Test(datagrams, a_length_that_may_not_be)
{
	int fd = serve(false);

	begin(1);
	put("\xe4\xff", 2);
	cr_assert_eq(count(), 0);
	close(fd);
}

Test(datagrams, an_id_twice_and_too_many)
{
	port = 9;
	for (uint32_t id = 1; id <= DATAGRAM_PEERS_MAX; id++)
		begin(id);
	cr_assert_eq(datagrams_open(&all, 5, port), -EEXIST);
	cr_assert_eq(datagrams_open(&all, 1000, port), 0);
	expect_failed(1000, EAGAIN);
	cr_assert_eq(count(), DATAGRAM_PEERS_MAX);
}
