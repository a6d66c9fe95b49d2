/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/unit/vmm/session/fake_agent.h"
#include "vmm/config/config.h"
#include "vmm/session/ports.h"

/* The session has a command already, so the first connection's id is 2. */
enum { FIRST = 2, GUEST_PORT = 80 };

static struct ports *ports;
static struct port at; /* where the first one is published */
static const struct port any = {.family = AF_INET, .address = {127, 0, 0, 1}};

static int listener(void)
{
	char why[PORT_WHY_MAX];
	int fd = -1;

	cr_assert_eq(port_listen(&any, &fd, why), 0, "%s", why);
	return fd;
}

static void ports_setup(void)
{
	int fd = listener();

	unread = true; /* its streams are no stdin */
	agent_setup();
	cr_assert_eq(port_of_socket(fd, &at), 0);
	cr_assert_eq(ports_new(fv.g->loop, session, &ports), 0);
	cr_assert_eq(ports_add(ports, fd, GUEST_PORT), 0);
}

static void ports_teardown(void)
{
	ports_free(ports);
	agent_teardown();
}

TestSuite(ports, .init = ports_setup, .fini = ports_teardown);

static int dial(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(at.host)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(&in.sin_addr, at.address, sizeof(in.sin_addr));
	cr_assert_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	settle();
	return fd;
}

static void get_ready(void)
{
	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	settle();
}

/* The agent opens a stream for connection `id` by socket `sock`. */
static void answer(unsigned int sock, uint32_t id, uint32_t number)
{
	struct sc_stream_hello h = {htole32(id), htole32(number)};

	connect_sock(sock);
	cr_assert(socks[sock].connected);
	send_bytes(sock, &h, sizeof(h));
	settle();
}

static void expect_bytes(int fd, const char *text)
{
	char buf[64];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd bytes (errno %d)", n, errno);
	cr_assert_eq(memcmp(buf, text, strlen(text)), 0);
}

static void expect_nothing(int fd)
{
	char c;

	cr_assert(recv(fd, &c, 1, 0) < 0 && errno == EAGAIN);
}

static void expect_reset(int fd)
{
	char c;

	cr_assert(recv(fd, &c, 1, 0) < 0 && errno == ECONNRESET, "errno %d", errno);
}

Test(ports, a_connection_goes_both_ways_and_each_half_ends)
{
	uint16_t type;
	uint32_t number;
	int fd;

	get_ready();
	fd = dial();
	(void)heard(skip_opening(), &type, &number);
	cr_assert(type == SC_MSG_CONNECT && le32toh(number) == GUEST_PORT);
	cr_assert_eq(ports_connections(ports), 1);
	answer(STREAM0, FIRST, 0);
	send_bytes(STREAM0, "220 hello", 9);
	settle();
	expect_bytes(fd, "220 hello");
	cr_assert_eq(send(fd, "request", 7, 0), 7);
	cr_assert_eq(shutdown(fd, SHUT_WR), 0);
	settle();
	cr_assert_eq(socks[STREAM0].total, 7);
	cr_assert_eq(memcmp(socks[STREAM0].first, "request", 7), 0);
	cr_assert(socks[STREAM0].finished);
	send_bytes(STREAM0, "reply", 5);
	settle();
	expect_bytes(fd, "reply");
	expect_nothing(fd);
	cr_assert_eq(ports_connections(ports), 1);
	fake_sock_shutdown(&fv, &socks[STREAM0], 3);
	settle();
	expect_bytes(fd, "");
	cr_assert_eq(ports_connections(ports), 0);
	close(fd);
}

Test(ports, a_guest_that_ends_first_still_hears_the_client)
{
	int fd;

	get_ready();
	fd = dial();
	answer(STREAM0, FIRST, 0);
	send_bytes(STREAM0, "bye", 3);
	fake_sock_shutdown(&fv, &socks[STREAM0], 2);
	settle();
	expect_bytes(fd, "bye");
	expect_bytes(fd, "");
	cr_assert_eq(send(fd, "late", 4, 0), 4);
	settle();
	cr_assert_eq(socks[STREAM0].total, 4);
	cr_assert_eq(ports_connections(ports), 1);
	close(fd);
	settle();
	cr_assert_eq(ports_connections(ports), 0);
}

Test(ports, what_a_client_sends_early_is_kept)
{
	int fd = dial();

	cr_assert_eq(send(fd, "early", 5, 0), 5);
	settle();
	get_ready();
	answer(STREAM0, FIRST, 0);
	cr_assert_eq(socks[STREAM0].total, 5);
	close(fd);
	settle();
	cr_assert(socks[STREAM0].finished);
}

Test(ports, nobody_listens_in_the_guest)
{
	int fd;

	get_ready();
	fd = dial();
	say(SC_MSG_CONNECT_FAILED, FIRST, SC_FIELD_ERRNO, ECONNREFUSED, SC_FIELD_TEXT, "no");
	settle();
	expect_reset(fd);
	cr_assert_eq(ports_connections(ports), 0);
	cr_assert_eq(session_state(session), SESSION_READY);
	close(fd);
}

Test(ports, a_client_that_leaves_early_is_forgotten)
{
	static const struct linger none = {.l_onoff = 1};
	int fd;

	get_ready();
	fd = dial();
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
	close(fd);
	settle();
	cr_assert_eq(ports_connections(ports), 0);
	/* The agent's stream comes too late, and is no mistake of its. */
	answer(STREAM0, FIRST, 0);
	cr_assert(socks[STREAM0].reset);
	cr_assert_eq(session_state(session), SESSION_READY);
}

Test(ports, a_client_that_resets_ends_the_guests_half)
{
	static const struct linger none = {.l_onoff = 1};
	int fd;

	get_ready();
	fd = dial();
	answer(STREAM0, FIRST, 0);
	cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
	close(fd);
	settle();
	cr_assert_eq(ports_connections(ports), 0);
	cr_assert(socks[STREAM0].reset || socks[STREAM0].finished);
}

Test(ports, a_slow_client_holds_the_guest_up_and_loses_nothing)
{
	uint64_t sent = 0, got = 0;
	uint32_t n;
	int fd;

	get_ready();
	fd = dial();
	answer(STREAM0, FIRST, 0);
	do {
		n = fake_sock_write(&fv, &socks[STREAM0], fake_pattern(sent), 60000);
		settle();
		sent += n;
	} while (n > 0);
	cr_assert_geq(sent, VSOCK_CONN_BUFFER - sizeof(struct sc_stream_hello));
	fake_sock_shutdown(&fv, &socks[STREAM0], 3);
	settle();
	cr_assert_eq(ports_connections(ports), 1);
	for (;;) {
		static uint8_t buf[FAKE_PATTERN_RUN];
		ssize_t r = recv(fd, buf, sizeof(buf), 0);

		if (r == 0)
			break;
		cr_assert(r > 0 || errno == EAGAIN);
		if (r > 0) {
			cr_assert_eq(memcmp(buf, fake_pattern(got), (size_t)r), 0);
			got += (uint64_t)r;
		}
		settle();
	}
	cr_assert_eq(got, sent);
	cr_assert_eq(ports_connections(ports), 0);
	close(fd);
}

Test(ports, wrong_answers)
{
	int fd;

	get_ready();
	fd = dial();
	/* A stream of another number, then the right one, then one too many. */
	answer(STREAM0, FIRST, 1);
	cr_assert(socks[STREAM0].reset);
	answer(STREAM1, FIRST, 0);
	cr_assert_not(socks[STREAM1].reset);
	answer(STREAM2, FIRST, 0);
	cr_assert(socks[STREAM2].reset);
	cr_assert_eq(session_state(session), SESSION_READY);
	say(SC_MSG_CONNECT_FAILED, FIRST, SC_FIELD_ERRNO, ECONNREFUSED, SC_FIELD_TEXT, "no");
	settle();
	cr_assert_eq(session_state(session), SESSION_ENDED);
	expect_reset(fd);
	close(fd);
}

Test(ports, an_answer_meant_for_a_command_ends_the_session)
{
	int fd;

	get_ready();
	fd = dial();
	say(SC_MSG_STARTED, FIRST, SC_FIELD_PID, 7, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_ENDED);
	expect_reset(fd);
	cr_assert_eq(ports_connections(ports), 0);
	close(fd);
}

Test(ports, a_client_after_the_session_is_reset_or_hung_up_on)
{
	char c;
	int fd;

	get_ready();
	say(SC_MSG_FAILED, 0, 0, 0, SC_FIELD_TEXT, "over");
	settle();
	fd = dial();
	cr_assert(recv(fd, &c, 1, 0) == 0 || errno == ECONNRESET);
	cr_assert_eq(ports_connections(ports), 0);
	close(fd);
}

/* Three for each connection, and the client's. */
static void allow_many_files(void)
{
	struct rlimit files;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_max < 8 * PORTS_MAX_CONNS)
		cr_skip_test("too few descriptors are allowed here");
	files.rlim_cur = files.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &files), 0);
}

Test(ports, more_than_the_limit_wait)
{
	static int fds[PORTS_MAX_CONNS + 3];
	static const struct linger none = {.l_onoff = 1};

	allow_many_files();
	get_ready();
	for (unsigned int i = 0; i < PORTS_MAX_CONNS + 3; i++)
		fds[i] = dial();
	cr_assert_eq(ports_connections(ports), PORTS_MAX_CONNS);
	/* Two leave, and two of those that wait take their places. */
	for (unsigned int i = 0; i < 2; i++) {
		cr_assert_eq(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
		close(fds[i]);
		/* The end is noticed, then told, then the next one accepted. */
		settle();
		settle();
		cr_assert_eq(ports_connections(ports), PORTS_MAX_CONNS);
	}
	for (unsigned int i = 2; i < PORTS_MAX_CONNS + 3; i++) {
		cr_assert_eq(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
		close(fds[i]);
	}
	settle();
	cr_assert_eq(ports_connections(ports), 0);
}

Test(ports, what_can_be_published)
{
	int ends[2];

	cr_assert_eq(ports_add(ports, listener(), 0), -EINVAL);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(ports_add(ports, ends[0], 80), -EINVAL);
	cr_assert_eq(ports_add(ports, open("/dev/null", O_RDONLY), 80), -EINVAL);
	cr_assert_eq(ports_add(ports, socket(AF_INET, SOCK_DGRAM, 0), 80), -EINVAL);
	cr_assert_eq(ports_add(ports, socket(AF_INET, SOCK_STREAM, 0), 80), -EINVAL);
	for (unsigned int i = 1; i < PORTS_MAX; i++)
		cr_assert_eq(ports_add(ports, listener(), 81), 0);
	cr_assert_eq(ports_add(ports, listener(), 81), -E2BIG);
	cr_assert_eq(ports_get(ports, 0)->guest, GUEST_PORT);
	cr_assert_eq(ports_get(ports, 1)->guest, 81);
	cr_assert_null(ports_get(ports, PORTS_MAX));
	close(ends[1]);
}

Test(ports, one_for_datagrams)
{
	struct port udp = {.family = AF_INET, .udp = true, .address = {127, 0, 0, 1}}, tcp;
	struct sockaddr_in in = {.sin_family = AF_INET};
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), fd = -1;
	char why[PORT_WHY_MAX];

	get_ready();
	cr_assert_eq(ports_peers(ports), 0);
	cr_assert_eq(port_listen(&udp, &fd, why), 0, "%s", why);
	cr_assert_eq(ports_add(ports, fd, 53), 0);
	udp = *ports_get(ports, 1);
	cr_assert(udp.udp && udp.guest == 53);
	in.sin_port = htons(udp.host);
	memcpy(&in.sin_addr, udp.address, sizeof(in.sin_addr));
	cr_assert_eq(sendto(client, "q", 1, 0, (struct sockaddr *)&in, sizeof(in)), 1);
	settle();
	cr_assert_eq(ports_peers(ports), 1);
	cr_assert_eq(ports_connections(ports), 0);
	answer(STREAM0, FIRST, 0);
	cr_assert_eq(socks[STREAM0].total, 3);
	tcp = udp;
	tcp.udp = false;
	cr_assert_eq(ports_remove(ports, &tcp), -ENOENT);
	cr_assert_eq(ports_remove(ports, &udp), 0);
	cr_assert_eq(ports_peers(ports), 0, "its answers could not be sent");
	close(client);
}

Test(ports, those_of_the_configuration)
{
	struct config_port configured[3] = {
		{.port.guest = 81, .fd = listener()},
		{.port.guest = 0, .fd = listener()},
		{.port.guest = 82, .fd = listener()},
	};
	struct sandbox_config cfg = {.ports = configured, .n_ports = 1};

	cr_assert_eq(ports_add_configured(ports, &cfg), 0);
	cr_expect_eq(configured[0].fd, -1, "taken");
	cr_expect_eq(ports_get(ports, 1)->guest, 81);
	cfg = (struct sandbox_config){.ports = configured + 1, .n_ports = 2};
	cr_assert_eq(ports_add_configured(ports, &cfg), -EINVAL, "the first that fails ends it");
	cr_expect_eq(configured[1].fd, -1);
	cr_expect_neq(configured[2].fd, -1);
	cr_expect_null(ports_get(ports, 2));
	close(configured[2].fd);
}

Test(ports, one_that_is_taken_back)
{
	struct port other = at;
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(at.host)};
	int fd, late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	get_ready();
	fd = dial();
	answer(STREAM0, FIRST, 0);
	other.address[3] = 2;
	cr_assert_eq(ports_remove(ports, &other), -ENOENT);
	cr_assert_eq(ports_remove(ports, &at), 0);
	cr_assert_eq(ports_remove(ports, &at), -ENOENT);
	memcpy(&in.sin_addr, at.address, sizeof(in.sin_addr));
	cr_assert(connect(late, (struct sockaddr *)&in, sizeof(in)) < 0 && errno == ECONNREFUSED);
	/* Who is there stays. */
	cr_assert_eq(send(fd, "still", 5, 0), 5);
	settle();
	cr_assert_eq(socks[STREAM0].total, 5);
	close(fd);
	close(late);
}
