/* SPDX-License-Identifier: MIT */
/* Connections of the agent's to services on this host's loopback, joined with socketpairs. */
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

#include "guest-agent/connect.h"
#include "guest-agent/watch.h"

static struct connections all;
static struct link link_to_host;
static int control; /* the host's end */
static int stream; /* the host's end of the last stream */
static unsigned int streams;
static int service; /* listens */
static uint16_t port;

static int open_pair(struct link *l, unsigned int to)
{
	int ends[2];

	(void)l;
	cr_assert_eq(to, SC_PORT_STREAM);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	stream = ends[1];
	cr_assert_eq(fcntl(stream, F_SETFL, O_NONBLOCK), 0);
	streams++;
	return ends[0];
}

static void listen_at(const char *address6)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = address6 ? sizeof(in) : sizeof(in4);
	void *addr = address6 ? (void *)&in : (void *)&in4;

	service = socket(address6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(service, addr, len) < 0)
		cr_skip_test("this host has no IPv6");
	cr_assert_eq(listen(service, 8), 0);
	cr_assert_eq(getsockname(service, addr, &len), 0);
	port = ntohs(address6 ? in.sin6_port : in4.sin_port);
}

static void setup(void)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	control = ends[1];
	cr_assert_eq(fcntl(control, F_SETFL, O_NONBLOCK), 0);
	link_to_host = (struct link){.connect = open_pair, .control = ends[0]};
	connections_init(&all, epoll_create1(EPOLL_CLOEXEC), &link_to_host, NULL);
}

static void teardown(void)
{
	connections_fini(&all);
	close(all.epfd);
	link_fini(&link_to_host);
	close(control);
}

TestSuite(connect, .init = setup, .fini = teardown);

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

	for (unsigned int i = 0; i < CONNECTIONS_MAX; i++)
		n += all.list[i] != NULL;
	return n;
}

/* Connects, and returns the service's end. */
static int join(uint32_t id)
{
	struct sc_stream_hello h;
	int fd;

	cr_assert_eq(connections_open(&all, id, port), 0);
	turn();
	cr_assert_eq(streams, 1);
	cr_assert_eq(read(stream, &h, sizeof(h)), (ssize_t)sizeof(h));
	cr_assert_eq(le32toh(h.id), id);
	cr_assert_eq(h.stream, 0);
	fd = accept4(service, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	cr_assert_geq(fd, 0);
	return fd;
}

static void expect_read(int fd, const char *text)
{
	char buf[64];
	ssize_t n = read(fd, buf, sizeof(buf));

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd bytes", n);
	cr_assert_eq(memcmp(buf, text, strlen(text)), 0);
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

Test(connect, bytes_and_ends_go_both_ways)
{
	int fd;

	listen_at(NULL);
	fd = join(7);
	cr_assert_eq(write(fd, "220", 3), 3);
	cr_assert_eq(write(stream, "HELO", 4), 4);
	turn();
	expect_read(stream, "220");
	expect_read(fd, "HELO");
	cr_assert_eq(shutdown(stream, SHUT_WR), 0);
	turn();
	expect_read(fd, "");
	cr_assert_eq(write(fd, "bye", 3), 3);
	turn();
	expect_read(stream, "bye");
	cr_assert_eq(count(), 1);
	close(fd);
	turn();
	expect_read(stream, "");
	cr_assert_eq(count(), 0);
	cr_assert_eq(read(control, &(char){0}, 1), -1);
}

Test(connect, a_service_that_ends_first_still_reads)
{
	int fd;

	listen_at(NULL);
	fd = join(1);
	cr_assert_eq(write(fd, "last", 4), 4);
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	turn();
	expect_read(stream, "last");
	expect_read(stream, "");
	cr_assert_eq(write(stream, "more", 4), 4);
	turn();
	expect_read(fd, "more");
	close(stream);
	turn();
	expect_read(fd, "");
	cr_assert_eq(count(), 0);
}

Test(connect, a_service_that_resets)
{
	static const struct linger none = {.l_onoff = 1};
	int fd;

	listen_at(NULL);
	fd = join(1);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
	close(fd);
	turn();
	expect_read(stream, "");
	cr_assert_eq(count(), 0);
}

Test(connect, a_host_that_leaves)
{
	int fd;

	listen_at(NULL);
	fd = join(1);
	close(stream);
	turn();
	expect_read(fd, "");
	cr_assert_eq(count(), 0);
}

Test(connect, a_service_at_the_other_loopback)
{
	listen_at("::1");
	close(join(3));
	close(stream);
	turn();
	cr_assert_eq(count(), 0);
}

Test(connect, nobody_listens)
{
	listen_at(NULL);
	close(service);
	cr_assert_eq(connections_open(&all, 9, port), 0);
	turn();
	expect_failed(9, ECONNREFUSED);
	cr_assert_eq(streams, 0);
	cr_assert_eq(count(), 0);
}

Test(connect, an_id_twice_and_too_many)
{
	listen_at(NULL);
	for (uint32_t id = 1; id <= CONNECTIONS_MAX; id++) {
		cr_assert_eq(connections_open(&all, id, port), 0);
		turn();
	}
	cr_assert_eq(count(), CONNECTIONS_MAX);
	cr_assert_eq(connections_open(&all, 5, port), -EEXIST);
	cr_assert_eq(connections_open(&all, 1000, port), 0);
	expect_failed(1000, EAGAIN);
}
