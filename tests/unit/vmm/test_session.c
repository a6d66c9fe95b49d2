/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>

#include "guest-agent/protocol.h"
#include "tests/support/fake_vsock.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/session.h"
#include "vmm/timeline.h"

/*
 * The session against an agent made of fake sockets. The host's stdio is three
 * pipes unless a test brings its own; `far` are the ends the test holds.
 */
enum { CONTROL, STREAM0, STREAM1, STREAM2, N_SOCKS };

static struct fake_vsock fv;
static struct session *session;
static struct command *command;
static struct fake_sock socks[N_SOCKS];
static struct fake_sock *all[N_SOCKS];
static int far[3], near[3];
static unsigned int done_calls, ready_calls, session_ends;
static struct timeline timeline;

static char arg0[] = "true", name[] = "box";
static char *argv[] = {arg0, NULL};
static struct sandbox_config cfg = {.name = name};
static struct command_spec spec = {.argv = argv};

static void on_ready(struct session *s, void *owner)
{
	cr_assert_eq(s, session);
	cr_assert_eq(owner, &done_calls);
	ready_calls++;
}

static void on_session_ended(struct session *s, const char *why, void *owner)
{
	cr_assert_eq(s, session);
	cr_assert_not_null(why);
	cr_assert_eq(owner, &done_calls);
	session_ends++;
}

static const struct session_ops session_ops = {.ready = on_ready, .ended = on_session_ended};

static void on_done(struct command *cmd, void *owner)
{
	cr_assert_eq(cmd, command);
	cr_assert_eq(owner, &done_calls);
	done_calls++;
	session_shutdown(session);
}

static const struct command_ops command_ops = {.ended = on_done};

static void open_pipes(void)
{
	for (int i = 0; i < 3; i++) {
		int fds[2];

		cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
		near[i] = fds[i == 0 ? 0 : 1];
		far[i] = fds[i == 0 ? 1 : 0];
		cr_assert_eq(fcntl(far[i], F_SETFL, O_NONBLOCK), 0);
	}
}

static void close_far(int i)
{
	close(far[i]);
	far[i] = -1;
}

static void new_session(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (unsigned int i = 0; i < N_SOCKS; i++)
		all[i] = &socks[i];
	cr_assert_eq(session_new(fv.g->loop, fv.vs, &cfg, &session_ops, &done_calls, &session), 0);
	timeline_init(&timeline);
	session_set_timeline(session, &timeline);
	cr_assert_eq(command_new(session, &spec, near, &command_ops, &done_calls, &command), 0);
}

static void start_session(void)
{
	fake_vsock_init(&fv, true);
	new_session();
}

static void setup(void)
{
	open_pipes();
	start_session();
}

static void teardown(void)
{
	command_free(command);
	session_free(session);
	fake_vsock_fini(&fv);
	for (int i = 0; i < 3; i++) {
		if (near[i] >= 0)
			close(near[i]);
		if (far[i] >= 0)
			close(far[i]);
	}
}

TestSuite(session, .init = setup, .fini = teardown);
TestSuite(session_stdio, .fini = teardown);

/* Both sides until neither has anything to do. */
static void settle(void)
{
	do
		fake_guest_settle(fv.g);
	while (fake_sock_poll(&fv, all, N_SOCKS));
}

static void connect_sock(unsigned int i)
{
	fake_sock_connect(&fv, &socks[i], i == CONTROL ? SC_PORT_CONTROL : SC_PORT_STREAM, 100 + i);
	settle();
}

static void send_bytes(unsigned int i, const void *data, size_t len)
{
	cr_assert_eq(fake_sock_write(&fv, &socks[i], data, (uint32_t)len), len);
}

/* A message of up to one number and one string. */
static void say(uint16_t type, uint32_t id, uint32_t number_tag, uint32_t number, uint32_t text_tag,
		const char *text)
{
	uint8_t buf[512];
	struct sc_header h = {.type = htole16(type), .id = htole32(id)};
	size_t len = sizeof(h);

	if (number_tag) {
		struct sc_field f = {htole32(number_tag), htole32(4)};

		memcpy(buf + len, &f, sizeof(f));
		number = htole32(number);
		memcpy(buf + len + sizeof(f), &number, 4);
		len += sizeof(f) + 4;
	}
	if (text_tag) {
		struct sc_field f = {htole32(text_tag), htole32((uint32_t)strlen(text))};

		memcpy(buf + len, &f, sizeof(f));
		memcpy(buf + len + sizeof(f), text, strlen(text));
		len += sizeof(f) + strlen(text);
	}
	h.length = htole32((uint32_t)(len - sizeof(h)));
	memcpy(buf, &h, sizeof(h));
	send_bytes(CONTROL, buf, len);
}

static void say_hello(void)
{
	connect_sock(CONTROL);
	cr_assert(socks[CONTROL].connected);
	say(SC_MSG_HELLO, 0, SC_FIELD_VERSION, 1, SC_FIELD_KERNEL, "6.1");
	settle();
}

static void open_stream(uint32_t number)
{
	struct sc_stream_hello h = {htole32(1), htole32(number)};

	connect_sock(STREAM0 + number);
	cr_assert(socks[STREAM0 + number].connected);
	send_bytes(STREAM0 + number, &h, sizeof(h));
	settle();
}

static void start_command(void)
{
	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	for (uint32_t i = 0; i < (spec.tty ? 1u : 3u); i++)
		open_stream(i);
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	settle();
	cr_assert_eq(command_state(command), COMMAND_STARTED);
}

static void exit_command(uint32_t code)
{
	say(SC_MSG_EXITED, 1, SC_FIELD_CODE, code, 0, NULL);
	settle();
}

static void expect_far(int i, const char *text)
{
	char buf[256];
	ssize_t n = read(far[i], buf, sizeof(buf));

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd bytes", n);
	cr_assert_eq(memcmp(buf, text, strlen(text)), 0);
}

/* The type and first number of the message at `off` of what the agent got; returns its length. */
static size_t heard(size_t off, uint16_t *type, uint32_t *number)
{
	struct sc_header h;

	cr_assert_leq(off + sizeof(h), socks[CONTROL].total, "no message");
	memcpy(&h, socks[CONTROL].first + off, sizeof(h));
	*type = le16toh(h.type);
	if (number)
		memcpy(number, socks[CONTROL].first + off + sizeof(h) + sizeof(struct sc_field), 4);
	return sizeof(h) + le32toh(h.length);
}

static size_t skip_opening(void)
{
	uint16_t type;
	size_t off = heard(0, &type, NULL);

	cr_assert_eq(type, SC_MSG_SETUP);
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_EXEC);
	return off;
}

/* ---- the dialogue ---- */

Test(session, a_command_from_hello_to_exit)
{
	uint16_t type;

	start_command();
	send_bytes(STREAM1, "out", 3);
	send_bytes(STREAM2, "err", 3);
	cr_assert_eq(write(far[0], "in", 2), 2);
	close_far(0);
	settle();
	expect_far(1, "out");
	expect_far(2, "err");
	cr_assert_eq(socks[STREAM0].total, 2);
	cr_assert_eq(memcmp(socks[STREAM0].first, "in", 2), 0);
	cr_assert(socks[STREAM0].finished);
	cr_assert_eq(done_calls, 0);
	exit_command(3);
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_state(command), COMMAND_ENDED);
	cr_assert_eq(command_result(command)->kind, COMMAND_EXITED);
	cr_assert_eq(command_result(command)->code, 3);
	(void)heard(skip_opening(), &type, NULL);
	cr_assert_eq(type, SC_MSG_SHUTDOWN);
	cr_assert(command_started(command));
	cr_assert_eq(timeline.n_steps, 1 + 2);
	cr_assert_eq(timeline.steps[1].phase, TIMELINE_BOOT);
	cr_assert_eq(timeline.steps[2].phase, TIMELINE_GUEST_SET_UP);
	cr_assert_eq(timeline.n_guest, 0);
}

Test(session, nothing_is_said_before_hello)
{
	connect_sock(CONTROL);
	command_signal(command, SIGTERM);
	settle();
	cr_assert_eq(socks[CONTROL].total, 0);
	cr_assert_eq(session_state(session), SESSION_WAITING);
}

Test(session, a_short_command_in_one_round_loses_nothing)
{
	struct sc_stream_hello h = {htole32(1), htole32(1)};

	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	connect_sock(STREAM1);
	/* Started, ended, and all it wrote, before the host looks once. */
	fv.quiet = true;
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	send_bytes(STREAM1, &h, sizeof(h));
	send_bytes(STREAM1, "quick", 5);
	say(SC_MSG_EXITED, 1, SC_FIELD_CODE, 0, 0, NULL);
	fv.quiet = false;
	fake_kick(fv.g, FAKE_VSOCK_TX);
	settle();
	expect_far(1, "quick");
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_EXITED);
}

Test(session, signals_and_sizes_wait_for_the_start)
{
	uint16_t type;
	uint32_t n;
	size_t off;

	spec.tty = false;
	say_hello();
	command_signal(command, SIGTERM);
	command_signal(command, SIGTERM);
	command_signal(command, SIGHUP);
	command_signal(command, 65);
	command_signal(command, 0);
	command_winsize(command, 3, 4); /* no tty: of no interest */
	settle();
	off = skip_opening();
	cr_assert_eq(socks[CONTROL].total, off);
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	settle();
	off += heard(off, &type, &n);
	cr_assert(type == SC_MSG_SIGNAL && n == SIGHUP);
	off += heard(off, &type, &n);
	cr_assert(type == SC_MSG_SIGNAL && n == SIGTERM);
	cr_assert_eq(socks[CONTROL].total, off);
	command_signal(command, SIGINT);
	settle();
	(void)heard(off, &type, &n);
	cr_assert(type == SC_MSG_SIGNAL && n == SIGINT);
}

Test(session, the_end_by_a_signal)
{
	start_command();
	say(SC_MSG_EXITED, 1, SC_FIELD_SIGNAL, 9, 0, NULL);
	settle();
	cr_assert_eq(command_result(command)->kind, COMMAND_SIGNALED);
	cr_assert_eq(command_result(command)->signal, 9);
}

Test(session, a_command_that_cannot_be_run)
{
	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	say(SC_MSG_EXEC_FAILED, 1, SC_FIELD_ERRNO, ENOENT, SC_FIELD_TEXT, "no \033 such");
	settle();
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_EXEC_FAILED);
	cr_assert_eq(command_result(command)->error, ENOENT);
	cr_assert_str_eq(command_result(command)->text, "no ? such");
}

Test(session, an_agent_that_gives_up)
{
	say_hello();
	say(SC_MSG_FAILED, 0, 0, 0, SC_FIELD_TEXT, "mounting failed");
	settle();
	cr_assert_eq(command_result(command)->kind, COMMAND_AGENT_FAILED);
	cr_assert_str_eq(command_result(command)->text, "mounting failed");
}

static void expect_agent_failed(void)
{
	settle();
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_AGENT_FAILED);
	cr_assert_gt(strlen(command_result(command)->text), 0);
	/* More of it changes nothing. */
	for (unsigned int i = 0; i < 100; i++)
		(void)fake_sock_write(&fv, &socks[CONTROL], fake_pattern(i), 60000);
	settle();
	cr_assert_eq(done_calls, 1);
}

Test(session, another_version_is_refused)
{
	connect_sock(CONTROL);
	say(SC_MSG_HELLO, 0, SC_FIELD_VERSION, 2, SC_FIELD_KERNEL, "6.1");
	expect_agent_failed();
	cr_assert_eq(socks[CONTROL].total, 0);
}

Test(session, garbage_ends_it)
{
	connect_sock(CONTROL);
	send_bytes(CONTROL, fake_pattern(7), 50000);
	expect_agent_failed();
}

Test(session, messages_out_of_order_end_it)
{
	say_hello();
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	expect_agent_failed();
}

Test(session, hello_twice_ends_it)
{
	say_hello();
	say(SC_MSG_HELLO, 0, SC_FIELD_VERSION, 1, SC_FIELD_KERNEL, "6.1");
	expect_agent_failed();
}

Test(session, another_commands_end_ends_it)
{
	start_command();
	say(SC_MSG_EXITED, 2, SC_FIELD_CODE, 0, 0, NULL);
	expect_agent_failed();
}

Test(session, messages_byte_by_byte)
{
	const uint8_t ready[] = {0, 0, 0, 0, SC_MSG_READY, 0, 0, 0, 0, 0, 0, 0};

	say_hello();
	for (size_t i = 0; i < sizeof(ready); i++) {
		cr_assert_eq(session_state(session), SESSION_HELLO);
		send_bytes(CONTROL, ready + i, 1);
		settle();
	}
	cr_assert_eq(session_state(session), SESSION_READY);
}

Test(session, a_lost_guest)
{
	start_command();
	send_bytes(STREAM1, "last", 4);
	fake_guest_reset(fv.g);
	fake_guest_settle(fv.g);
	expect_far(1, "last");
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(session_ends, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_LOST);
	cr_assert_eq(command_new(session, &spec, near, &command_ops, NULL, &command), -ENOTCONN);
}

Test(session, an_agent_that_hangs_up)
{
	say_hello();
	fake_sock_shutdown(&fv, &socks[CONTROL], VIRTIO_VSOCK_SHUTDOWN_SEND);
	settle();
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_LOST);
}

Test(session, arguments_that_do_not_fit)
{
	char *big = malloc(SC_BODY_MAX_HOST + 1);
	char *big_argv[] = {big, NULL};
	const struct command_spec large = {.argv = big_argv};
	struct command *cmd = NULL;

	memset(big, 'x', SC_BODY_MAX_HOST);
	big[SC_BODY_MAX_HOST] = '\0';
	cr_assert_eq(command_new(session, &large, near, &command_ops, NULL, &cmd), -E2BIG);
	cr_assert_null(cmd);
	free(big);
}

Test(session, a_large_opening_passes_in_pieces)
{
	char *big = malloc(3 << 20);
	char *big_argv[] = {big, NULL};

	memset(big, 'x', (3 << 20) - 1);
	big[(3 << 20) - 1] = '\0';
	spec.argv = big_argv;
	command_free(command);
	cr_assert_eq(command_new(session, &spec, near, &command_ops, &done_calls, &command), 0);
	free(big);
	say_hello();
	cr_assert_gt(socks[CONTROL].total, 3 << 20);
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_READY);
}

/* ---- several commands ---- */

static unsigned int other_ends;
static uint32_t started_pid;

static void on_other_started(struct command *cmd, void *owner)
{
	(void)owner;
	started_pid = command_pid(cmd);
}

/* Frees itself, as an owner may. */
static void on_other_ended(struct command *cmd, void *owner)
{
	struct command **slot = owner;

	cr_assert_eq(*slot, cmd);
	*slot = NULL;
	command_free(cmd);
	other_ends++;
}

static const struct command_ops other_ops = {on_other_started, on_other_ended};

Test(session, commands_come_and_go_in_any_order)
{
	const int null[3] = {-1, -1, -1};
	struct command *others[3];
	uint16_t type;
	size_t off;

	start_command();
	cr_assert_eq(ready_calls, 1);
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_eq(command_new(session, &spec, null, &other_ops, &others[i], &others[i]),
			     0);
	settle();
	off = skip_opening();
	for (unsigned int i = 0; i < 3; i++) {
		cr_assert_eq(command_id(others[i]), i + 2);
		off += heard(off, &type, NULL);
		cr_assert_eq(type, SC_MSG_EXEC);
	}
	cr_assert_eq(socks[CONTROL].total, off);
	say(SC_MSG_STARTED, 3, SC_FIELD_PID, 77, 0, NULL);
	settle();
	cr_assert_eq(started_pid, 77);
	cr_assert_eq(command_state(others[0]), COMMAND_ASKED);
	say(SC_MSG_EXEC_FAILED, 2, SC_FIELD_ERRNO, ENOENT, SC_FIELD_TEXT, "run x");
	say(SC_MSG_EXITED, 3, SC_FIELD_CODE, 0, 0, NULL);
	settle();
	cr_assert_eq(other_ends, 2);
	cr_assert(!others[0] && !others[1] && others[2]);
	/* Given up by the host, which the guest learns later. */
	command_free(others[2]);
	say(SC_MSG_STARTED, 4, SC_FIELD_PID, 78, 0, NULL);
	say(SC_MSG_EXITED, 4, SC_FIELD_CODE, 0, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_READY);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
}

Test(session, commands_are_limited)
{
	const int null[3] = {-1, -1, -1};
	struct command *many[SESSION_MAX_COMMANDS], *more = NULL;

	for (unsigned int i = 1; i < SESSION_MAX_COMMANDS; i++)
		cr_assert_eq(command_new(session, &spec, null, &other_ops, &many[i], &many[i]), 0);
	cr_assert_eq(command_new(session, &spec, null, &other_ops, &more, &more), -EAGAIN);
	/* All of them end with the session. */
	say_hello();
	fake_sock_shutdown(&fv, &socks[CONTROL], VIRTIO_VSOCK_SHUTDOWN_SEND);
	settle();
	cr_assert_eq(other_ends, SESSION_MAX_COMMANDS - 1);
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(session_ends, 1);
}

/* ---- who may connect ---- */

Test(session, streams_before_hello_are_refused)
{
	connect_sock(STREAM1);
	cr_assert(socks[STREAM1].reset && !socks[STREAM1].connected);
}

Test(session, there_is_one_control_connection)
{
	say_hello();
	fake_sock_connect(&fv, &socks[STREAM0], SC_PORT_CONTROL, 900);
	settle();
	cr_assert(socks[STREAM0].reset);
	cr_assert_eq(session_state(session), SESSION_HELLO);
}

Test(session, streams_nobody_asked_for_are_closed)
{
	const struct sc_stream_hello bad[] = {{1, 3}, {2, 1}, {0, 0}, {1, UINT32_MAX}, {1, 1}};

	start_command();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fake_sock extra, *list[] = {&extra};

		fake_sock_connect(&fv, &extra, SC_PORT_STREAM, 500);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert(extra.connected);
		(void)fake_sock_write(&fv, &extra, &bad[i], 3);
		(void)fake_sock_write(&fv, &extra, (const uint8_t *)&bad[i] + 3, 5);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert(extra.reset);
	}
	send_bytes(STREAM1, "still", 5);
	settle();
	expect_far(1, "still");
}

Test(session, streams_that_do_not_say_who_they_are_are_few)
{
	say_hello();
	for (uint32_t i = 0; i < 30; i++) {
		struct fake_sock extra, *list[] = {&extra};

		fake_sock_connect(&fv, &extra, SC_PORT_STREAM, 500 + i);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert_eq(extra.connected, i < 16);
		cr_assert_eq(extra.reset, i >= 16);
	}
}

/* ---- stdio ---- */

Test(session, a_reader_that_leaves_is_felt_by_the_guest)
{
	start_command();
	close_far(1);
	send_bytes(STREAM1, "y\n", 2);
	settle();
	cr_assert(socks[STREAM1].host_stopped);
	cr_assert_not(socks[STREAM2].host_stopped);
	say(SC_MSG_EXITED, 1, SC_FIELD_SIGNAL, SIGPIPE, 0, NULL);
	settle();
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->signal, SIGPIPE);
}

Test(session, a_guest_that_closes_stdin_leaves_the_rest_unread)
{
	char buf[8];

	start_command();
	fake_sock_shutdown(&fv, &socks[STREAM0], 3);
	settle();
	cr_assert_eq(write(far[0], "rest", 4), 4);
	settle();
	cr_assert_eq(read(near[0], buf, sizeof(buf)), 4);
}

Test(session, stdin_is_not_read_before_its_stream_is_there)
{
	char buf[8];

	cr_assert_eq(write(far[0], "early", 5), 5);
	say_hello();
	settle();
	cr_assert_eq(read(near[0], buf, sizeof(buf)), 5);
}

/* Fills the stdout pipe and the connection's buffer. Returns the bytes sent. */
static uint64_t fill_up(void)
{
	uint64_t sent = 0;

	for (;;) {
		uint32_t n = fake_sock_write(&fv, &socks[STREAM1], fake_pattern(sent), 60000);

		settle();
		if (n == 0)
			return sent;
		sent += n;
	}
}

static uint64_t drain_far(int i, uint64_t pos)
{
	static uint8_t buf[FAKE_PATTERN_RUN];
	ssize_t n;

	while ((n = read(far[i], buf, sizeof(buf))) > 0) {
		cr_assert_eq(memcmp(buf, fake_pattern(pos), (size_t)n), 0, "at %lu",
			     (unsigned long)pos);
		pos += (uint64_t)n;
		settle();
	}
	return pos;
}

Test(session, the_end_waits_for_a_slow_reader_but_not_for_a_flood)
{
	uint64_t sent, got;

	start_command();
	sent = fill_up();
	cr_assert_geq(sent, VSOCK_CONN_BUFFER - sizeof(struct sc_stream_hello));
	exit_command(0);
	cr_assert_eq(done_calls, 0);
	got = drain_far(1, 0);
	cr_assert_eq(got, sent);
	cr_assert_eq(done_calls, 1);
}

Test(session, a_flood_after_the_end_is_not_waited_for)
{
	uint64_t sent, got = 0;
	uint8_t buf[4096];

	start_command();
	sent = fill_up();
	exit_command(0);
	while (done_calls == 0) {
		ssize_t n = read(far[1], buf, sizeof(buf));

		if (n > 0)
			got += (uint64_t)n;
		sent += fake_sock_write(&fv, &socks[STREAM1], fake_pattern(sent), 60000);
		settle();
		cr_assert_leq(got, 2 * VSOCK_CONN_BUFFER + 65536);
	}
}

Test(session, the_reader_of_a_clogged_pipe_leaves_at_the_end)
{
	start_command();
	(void)fill_up();
	exit_command(0);
	cr_assert_eq(done_calls, 0);
	close_far(1);
	settle();
	cr_assert_eq(done_calls, 1);
}

/* bytes of the pattern in by far[0] and out by far[1], at the same time. */
static void pump_both_ways(uint64_t bytes)
{
	uint64_t in = 0, out = 0, sent = 0;
	static uint8_t buf[FAKE_PATTERN_RUN];

	while (socks[STREAM0].total < bytes || out < bytes) {
		uint64_t before = in + out + sent + socks[STREAM0].total;
		ssize_t n = write(far[0], fake_pattern(in), min_u64(bytes - in, sizeof(buf)));

		if (n > 0)
			in += (uint64_t)n;
		if (sent < bytes)
			sent += fake_sock_write(&fv, &socks[STREAM1], fake_pattern(sent),
						(uint32_t)min_u64(bytes - sent, sizeof(buf)));
		fake_guest_settle(fv.g);
		(void)fake_sock_poll(&fv, all, N_SOCKS);
		n = read(far[1], buf, sizeof(buf));
		if (n > 0) {
			cr_assert_eq(memcmp(buf, fake_pattern(out), (size_t)n), 0);
			out += (uint64_t)n;
		}
		cr_assert_gt(in + out + sent + socks[STREAM0].total, before, "stuck");
	}
	cr_assert_eq(out, bytes);
	cr_assert_eq(socks[STREAM0].total, bytes);
	cr_assert_not(socks[STREAM0].corrupt);
}

Test(session, a_large_stream_passes_whole_both_ways_at_once)
{
	start_command();
	pump_both_ways(64 << 20);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
}

Test(session, a_guest_that_does_not_read_stops_the_input)
{
	ssize_t n;
	uint64_t in = 0;

	start_command();
	socks[STREAM0].lazy = true;
	for (unsigned int i = 0; i < 100; i++) {
		n = write(far[0], fake_pattern(in), FAKE_PATTERN_RUN);
		in += n > 0 ? (uint64_t)n : 0;
		settle();
	}
	/* Its credit, one buffer of ours, one pipe. */
	cr_assert_leq(in, FAKE_SOCK_BUFFER + 3 * 65536);
	cr_assert_eq(socks[STREAM0].total, FAKE_SOCK_BUFFER);
	socks[STREAM0].lazy = false;
	close_far(0);
	settle();
	cr_assert_eq(socks[STREAM0].total, in);
	cr_assert(socks[STREAM0].finished);
	cr_assert_not(socks[STREAM0].corrupt);
}

Test(session, the_hosts_file_status_flags_stay)
{
	start_command();
	for (int i = 0; i < 3; i++)
		cr_assert_not(fcntl(near[i], F_GETFL) & O_NONBLOCK);
}

Test(session_stdio, sockets)
{
	for (int i = 0; i < 3; i++) {
		int fds[2];

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		near[i] = fds[0];
		far[i] = fds[1];
		cr_assert_eq(fcntl(far[i], F_SETFL, O_NONBLOCK), 0);
	}
	start_session();
	start_command();
	pump_both_ways(4 << 20);
	close_far(1);
	send_bytes(STREAM1, "x", 1);
	settle();
	cr_assert(socks[STREAM1].host_stopped);
}

Test(session_stdio, pipes_that_cannot_be_opened_anew_are_polled)
{
	struct rlimit before, tight;
	int next;

	open_pipes();
	fake_vsock_init(&fv, true);
	/* Room for the session's two eventfds and for no descriptor more. */
	next = dup(0);
	close(next);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)next + 2;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &tight), 0);
	new_session();
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	start_command();
	pump_both_ways(2 << 20);
	(void)fill_up();
	close_far(1);
	settle();
	cr_assert(socks[STREAM1].host_stopped);
}

Test(session_stdio, files)
{
	FILE *in = tmpfile(), *out = tmpfile();
	static uint8_t buf[FAKE_PATTERN_RUN];
	const uint64_t bytes = 3 << 20;

	for (uint64_t pos = 0; pos < bytes; pos += FAKE_PATTERN_RUN)
		cr_assert_eq(fwrite(fake_pattern(pos), FAKE_PATTERN_RUN, 1, in), 1);
	rewind(in);
	near[0] = fileno(in);
	near[1] = fileno(out);
	near[2] = open("/dev/null", O_WRONLY);
	far[0] = far[1] = far[2] = -1;
	start_session();
	start_command();
	settle();
	cr_assert_eq(socks[STREAM0].total, bytes);
	cr_assert(socks[STREAM0].finished);
	cr_assert_not(socks[STREAM0].corrupt);
	for (uint64_t pos = 0; pos < bytes;) {
		pos += fake_sock_write(&fv, &socks[STREAM1], fake_pattern(pos),
				       (uint32_t)min_u64(bytes - pos, sizeof(buf)));
		settle();
	}
	send_bytes(STREAM2, "gone", 4);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(lseek(near[1], 0, SEEK_CUR), (off_t)bytes);
	cr_assert_eq(pread(near[1], buf, sizeof(buf), 65536), (ssize_t)sizeof(buf));
	cr_assert_eq(memcmp(buf, fake_pattern(65536), sizeof(buf)), 0);
	near[0] = near[1] = -1;
	fclose(in);
	fclose(out);
}

Test(session_stdio, devices_that_are_always_ready)
{
	struct sc_stream_hello h = {htole32(1), htole32(0)};

	near[0] = open("/dev/zero", O_RDONLY);
	near[1] = open("/dev/full", O_WRONLY);
	near[2] = open("/dev/null", O_WRONLY);
	far[0] = far[1] = far[2] = -1;
	start_session();
	/* An endless input lets the loop have its turns. From here on the guest is never idle. */
	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	open_stream(1);
	connect_sock(STREAM0);
	send_bytes(STREAM0, &h, sizeof(h));
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	for (unsigned int i = 0; i < 50; i++) {
		fake_guest_settle(fv.g);
		(void)fake_sock_poll(&fv, all, N_SOCKS);
	}
	cr_assert_gt(socks[STREAM0].total, 1 << 20);
	send_bytes(STREAM1, "x", 1);
	for (unsigned int i = 0; i < 50 && !socks[STREAM1].host_stopped; i++) {
		fake_guest_settle(fv.g);
		(void)fake_sock_poll(&fv, all, N_SOCKS);
	}
	cr_assert(socks[STREAM1].host_stopped);
	say(SC_MSG_EXITED, 1, SC_FIELD_CODE, 0, 0, NULL);
	for (unsigned int i = 0; i < 50 && done_calls == 0; i++)
		fake_guest_settle(fv.g);
	cr_assert_eq(done_calls, 1);
}

Test(session_stdio, closed_descriptors)
{
	for (int i = 0; i < 3; i++)
		near[i] = far[i] = -1;
	start_session();
	start_command();
	cr_assert(socks[STREAM0].finished);
	send_bytes(STREAM1, "x", 1);
	settle();
	cr_assert(socks[STREAM1].host_stopped);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
}

static void await_input(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	cr_assert_eq(poll(&pfd, 1, 10000), 1);
}

Test(session_stdio, a_terminal)
{
	struct winsize ws = {.ws_row = 30, .ws_col = 100};
	struct termios raw;
	uint16_t type;
	uint32_t n;
	int tty;
	size_t off;

	cr_assert_eq(openpty(&far[0], &tty, NULL, NULL, &ws), 0);
	cr_assert_eq(tcgetattr(tty, &raw), 0);
	cfmakeraw(&raw);
	cr_assert_eq(tcsetattr(tty, TCSANOW, &raw), 0);
	cr_assert_eq(fcntl(far[0], F_SETFL, O_NONBLOCK), 0);
	near[0] = tty;
	near[1] = dup(tty);
	near[2] = dup(tty);
	far[1] = far[2] = -1;
	spec.tty = true;
	spec.rows = 30;
	spec.columns = 100;
	start_session();
	start_command();
	/* A terminal's bytes pass through a kernel thread. */
	cr_assert_eq(write(far[0], "ls\r", 3), 3);
	await_input(near[0]);
	settle();
	cr_assert_eq(socks[STREAM0].total, 3);
	send_bytes(STREAM0, "file\r\n", 6);
	settle();
	await_input(far[0]);
	expect_far(0, "file\r\n");
	off = skip_opening();
	cr_assert_not_null(memmem(socks[CONTROL].first, off, "\x13\0\0\0\4\0\0\0\x1e\0\0\0", 12));
	command_winsize(command, 30, 100); /* no change */
	command_winsize(command, 31, 100);
	settle();
	off += heard(off, &type, &n);
	cr_assert(type == SC_MSG_WINSIZE && n == 31);
	cr_assert_eq(socks[CONTROL].total, off);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
	/* Streams 1 and 2 do not exist here. */
	cr_assert_not(fcntl(tty, F_GETFL) & O_NONBLOCK);
}

Test(session_stdio, a_pipe_that_cannot_be_opened_anew)
{
	int fds[2];

	open_pipes();
	/* A write end without a reader cannot be opened: ENXIO. Then the reader is back. */
	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	close(near[1]);
	close_far(1);
	near[1] = fds[1];
	close(fds[0]);
	start_session();
	start_command();
	send_bytes(STREAM1, "x", 1);
	settle();
	cr_assert(socks[STREAM1].host_stopped);
}
