/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <termios.h>

#include "common/own_fd.h"
#include "tests/unit/vmm/session/fake_agent.h"

TestSuite(stdio, .init = agent_setup, .fini = agent_teardown);
TestSuite(stdio_kinds, .fini = agent_teardown);

static void await_input(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};

	cr_assert_eq(poll(&pfd, 1, 10000), 1);
}

Test(stdio, a_reader_that_leaves_is_felt_by_the_guest)
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

Test(stdio, a_guest_that_closes_stdin_leaves_the_rest_unread)
{
	char buf[8];

	start_command();
	fake_sock_shutdown(&fv, &socks[STREAM0], 3);
	settle();
	cr_assert_eq(write(far[0], "rest", 4), 4);
	settle();
	cr_assert_eq(read(near[0], buf, sizeof(buf)), 4);
}

Test(stdio, stdin_is_not_read_before_its_stream_is_there)
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

Test(stdio, the_end_waits_for_a_slow_reader_but_not_for_a_flood)
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

Test(stdio, a_flood_after_the_end_is_not_waited_for)
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

Test(stdio, the_reader_of_a_clogged_pipe_leaves_at_the_end)
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
		(void)fake_sock_poll(&fv, all_socks, N_SOCKS);
		(void)read_all();
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

Test(stdio, a_large_stream_passes_whole_both_ways_at_once)
{
	start_command();
	pump_both_ways(64 << 20);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
}

Test(stdio, a_guest_that_does_not_read_stops_the_input)
{
	ssize_t n;
	uint64_t in = 0;

	start_command();
	socks[STREAM0].lazy = unread = true;
	for (unsigned int i = 0; i < 100; i++) {
		n = write(far[0], fake_pattern(in), FAKE_PATTERN_RUN);
		in += n > 0 ? (uint64_t)n : 0;
		settle();
	}
	/* One pipe: what the command has not read is still in it. */
	cr_assert_leq(in, 65536);
	cr_assert_eq(socks[STREAM0].total, in);
	socks[STREAM0].lazy = unread = false;
	close_far(0);
	settle();
	cr_assert_eq(socks[STREAM0].total, in);
	cr_assert(socks[STREAM0].finished);
	cr_assert_not(socks[STREAM0].corrupt);
}

/* What is left of stdin for who reads it next. */
static void expect_left(const char *text)
{
	char buf[256];
	ssize_t n;

	cr_assert_eq(fcntl(near[0], F_SETFL, O_NONBLOCK), 0);
	n = read(near[0], buf, sizeof(buf));
	cr_assert_eq(n, (ssize_t)strlen(text), "%zd bytes", n);
	cr_assert_eq(memcmp(buf, text, strlen(text)), 0);
}

Test(stdio, what_the_command_does_not_read_stays_in_the_pipe)
{
	unread = true;
	start_command();
	cr_assert_eq(write(far[0], "one\ntwo\n", 8), 8);
	settle();
	cr_assert_eq(socks[STREAM0].total, 8);
	cr_assert_eq(write(far[0], "three\n", 6), 6);
	close_far(0);
	settle();
	/* It is shown all, and that this is all. */
	cr_assert_eq(socks[STREAM0].total, 14);
	cr_assert_eq(memcmp(socks[STREAM0].first, "one\ntwo\nthree\n", 14), 0);
	cr_assert(socks[STREAM0].finished);
	cr_assert(say_read(4));
	exit_command(0);
	cr_assert_eq(done_calls, 1);
	expect_left("two\nthree\n");
}

Test(stdio, a_guest_that_lies_about_its_reading_takes_no_more_than_it_was_given)
{
	unread = true;
	start_command();
	cr_assert_eq(write(far[0], "mine", 4), 4);
	settle();
	cr_assert(say_read(0xffffffff));
	settle();
	cr_assert_eq(write(far[0], "more", 4), 4);
	close_far(0);
	settle();
	cr_assert_eq(socks[STREAM0].total, 8);
	cr_assert(say_read(3));
	exit_command(0);
	cr_assert_eq(done_calls, 1);
}

Test(stdio, the_hosts_file_status_flags_stay)
{
	start_command();
	for (int i = 0; i < 3; i++)
		cr_assert_not(fcntl(near[i], F_GETFL) & O_NONBLOCK);
}

Test(stdio_kinds, sockets)
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

Test(stdio_kinds, pipes_that_cannot_be_opened_anew_are_polled)
{
	struct rlimit before, tight;
	int next;

	open_pipes();
	fake_vsock_init(&fv, true);
	/* Room for the session's three, stdin's three, and for no descriptor more. */
	cr_assert_geq(own_fd_folder(), 0);
	next = dup(0);
	close(next);
	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	tight = before;
	tight.rlim_cur = (rlim_t)next + 6;
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

Test(stdio_kinds, files)
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

Test(stdio_kinds, a_file_is_left_where_the_command_stopped_reading)
{
	FILE *in = tmpfile();
	char rest[8];

	near[0] = fileno(in);
	cr_assert_eq(write(near[0], "passed\none\ntwo\n", 15), 15);
	cr_assert_eq(lseek(near[0], 7, SEEK_SET), 7);
	near[1] = near[2] = open("/dev/null", O_WRONLY);
	far[0] = far[1] = far[2] = -1;
	unread = true;
	start_session();
	start_command();
	cr_assert_eq(socks[STREAM0].total, 8);
	cr_assert(socks[STREAM0].finished);
	cr_assert_eq(lseek(near[0], 0, SEEK_CUR), 7);
	cr_assert(say_read(4));
	exit_command(0);
	cr_assert_eq(lseek(near[0], 0, SEEK_CUR), 11);
	cr_assert_eq(read(near[0], rest, sizeof(rest)), 4);
	cr_assert_eq(memcmp(rest, "two\n", 4), 0);
	near[0] = near[2] = -1;
	fclose(in);
}

/* Nothing can be looked at in it, so it is one piece ahead of the command at most. */
Test(stdio_kinds, a_terminal_without_tty_gives_a_line_at_a_time)
{
	int master;

	open_pipes();
	close(near[0]);
	close_far(0);
	cr_assert_eq(openpty(&master, &near[0], NULL, NULL, NULL), 0);
	far[0] = master;
	unread = true;
	start_session();
	start_command();
	cr_assert_eq(write(master, "one\ntwo\n", 8), 8);
	await_input(near[0]);
	settle();
	cr_assert_eq(socks[STREAM0].total, 4);
	cr_assert(say_read(4));
	settle();
	cr_assert_eq(socks[STREAM0].total, 8);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
}

Test(stdio_kinds, devices_that_are_always_ready)
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
		(void)fake_sock_poll(&fv, all_socks, N_SOCKS);
		(void)read_all();
	}
	cr_assert_gt(socks[STREAM0].total, 1 << 20);
	send_bytes(STREAM1, "x", 1);
	for (unsigned int i = 0; i < 50 && !socks[STREAM1].host_stopped; i++) {
		fake_guest_settle(fv.g);
		(void)fake_sock_poll(&fv, all_socks, N_SOCKS);
	}
	cr_assert(socks[STREAM1].host_stopped);
	say(SC_MSG_EXITED, 1, SC_FIELD_CODE, 0, 0, NULL);
	for (unsigned int i = 0; i < 50 && done_calls == 0; i++)
		fake_guest_settle(fv.g);
	cr_assert_eq(done_calls, 1);
}

Test(stdio_kinds, closed_descriptors)
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

Test(stdio_kinds, a_terminal)
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

/* Its master, which cannot be opened once more; another user's terminal is the same to us. */
Test(stdio_kinds, a_terminal_that_nobody_reads_makes_nobody_wait)
{
	struct termios raw;
	uint64_t sent;
	int tty;

	open_pipes();
	close(near[1]);
	close_far(1);
	cr_assert_eq(openpty(&near[1], &tty, NULL, NULL, NULL), 0);
	/* One that edits lines drops what is too long. */
	cr_assert_eq(tcgetattr(tty, &raw), 0);
	cfmakeraw(&raw);
	cr_assert_eq(tcsetattr(tty, TCSANOW, &raw), 0);
	start_session();
	start_command();
	sent = fill_up();
	cr_assert_lt(sent, 2 * VSOCK_CONN_BUFFER);
	exit_command(0);
	cr_assert_eq(done_calls, 0);
	close(tty);
}

Test(stdio_kinds, a_pipe_that_cannot_be_opened_anew)
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
