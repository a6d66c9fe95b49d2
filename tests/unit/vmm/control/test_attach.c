/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/control_protocol.h"
#include "tests/unit/vmm/control/control_peers.h"

TestSuite(attach, .init = peers_setup, .fini = peers_teardown);

/* Attaches; our end of the stream. */
static int attach(int64_t id)
{
	int ends[2];
	char text[128];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	snprintf(text, sizeof(text), "{\"type\":\"request\",\"id\":%lld,\"op\":\"attach\"}",
		 (long long)id);
	send_with(client, text, &ends[1], 1);
	close(ends[1]);
	snprintf(text, sizeof(text), "{\"id\":%lld,\"ok\":true,\"type\":\"reply\"}", (long long)id);
	expect(client, text);
	return ends[0];
}

/* What can be read there is that; NULL: it was hung up on. */
static void expect_shown(int fd, const char *text)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	if (!text) {
		cr_assert_eq(n, 0);
		return;
	}
	cr_assert_gt(n, 0, "nothing came, expected %s", text);
	buf[n] = '\0';
	cr_assert_str_eq(buf, text);
}

Test(attach, what_it_takes_to_attach)
{
	const int fds[2] = {0, 0};
	int ends[2], seq[2], attached[16];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, seq), 0);
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"attach\"}");
	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"attach\"}", fds, 2);
	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"attach\"}", ends, 1);
	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"attach\"}", seq, 1);
	for (int i = 0; i < 4; i++)
		expect(client,
		       "{\"error\":\"bad-request\",\"id\":1,\"message\":\"one descriptor is "
		       "needed, a stream socket\",\"ok\":false,\"type\":\"reply\"}");
	for (int i = 0; i < 16; i++)
		attached[i] = attach(2);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	send_with(client, "{\"type\":\"request\",\"id\":3,\"op\":\"attach\"}", &ends[1], 1);
	expect(client, "{\"error\":\"busy\",\"id\":3,\"message\":\"there are 16 at the console "
		       "already\",\"ok\":false,\"type\":\"reply\"}");
	/* One that leaves makes room. */
	close(attached[5]);
	settle();
	attached[5] = attach(4);
	for (int i = 0; i < 16; i++)
		close(attached[i]);
	settle();
}

Test(attach, the_console_and_its_shell)
{
	char fields[1024];
	uint32_t id = 0;
	int one, two;

	start_agent();
	guest_log_add(&guest_log, "before\n", 7);
	one = attach(1);
	expect_shown(one, "before\r\n");
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_EXEC);
	cr_assert_not_null(strstr(fields, "/dev/hvc0"));
	cr_assert_not_null(strstr(fields, "TERM=vt100"));
	cr_assert_not_null(strstr(fields, "root"));
	agent_says(SC_MSG_STARTED, 1, SC_FIELD_PID, 1);
	two = attach(2);
	cr_assert_eq(socks[AGENT].total, agent_read, "one shell for all");
	expect_shown(two, "before\r\n");
	fake_console_output(&console, "# ", 2);
	expect_shown(one, "# ");
	expect_shown(two, "# ");
	/* Input waits where it is until there is room for it. */
	console.room = 3;
	cr_assert_eq(write(one, "ls -l\n", 6), 6);
	settle();
	settle();
	cr_assert_eq(console.typed_len, 3);
	console.room = 100;
	fake_console_room(&console);
	settle();
	cr_assert_eq(memcmp(console.typed, "ls -l\n", 6), 0);
	cr_assert_eq(console.typed_len, 6);
	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"winsize\",\"console\":true,"
		    "\"rows\":33,\"columns\":99}");
	expect(client, "{\"id\":3,\"ok\":true,\"type\":\"reply\"}");
	cr_assert(console.rows == 33 && console.columns == 99);
	/* Who types no more may go on looking. */
	shutdown(two, SHUT_WR);
	settle();
	fake_console_output(&console, "x", 1);
	expect_shown(two, "x");
	/* A stop hangs up on the shell, which would not hear SIGTERM. */
	cr_assert_eq(control_signal_all(control, SIGTERM), 1);
	settle();
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_SIGNAL);
	cr_assert_eq(fields[8], '.');
	agent_says(SC_MSG_EXITED, 1, SC_FIELD_SIGNAL, SIGHUP);
	expect_shown(one, "x");
	expect_shown(one, NULL);
	expect_shown(two, NULL);
	/* The next finds a new one. */
	close(one);
	one = attach(4);
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_EXEC);
	cr_assert_eq(id, 2);
	close(one);
	close(two);
	settle();
}

Test(attach, one_at_the_console_who_does_not_read)
{
	static char flood[4096];
	int one, two;
	ssize_t n, got = 0;
	char *text = malloc(1 << 20);

	start_agent();
	one = attach(1);
	two = attach(2);
	memset(flood, 'f', sizeof(flood));
	for (int i = 0; i < 1000; i++) {
		fake_console_output(&console, flood, sizeof(flood));
		while (read(two, text, sizeof(flood)) > 0)
			;
	}
	while ((n = read(one, text + got, sizeof(flood))) > 0)
		got += n;
	cr_assert(got > 4096 && got < 1000000, "what it has no room for is dropped");
	settle();
	n = read(one, text, 4096);
	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_assert_not_null(strstr(text, "[some output was lost here]"));
	fake_console_output(&console, "again", 5);
	expect_shown(one, "again");
	/* One that is gone costs nothing more. */
	close(one);
	for (int i = 0; i < 3; i++)
		fake_console_output(&console, flood, sizeof(flood));
	settle();
	control_end(control, "stopped", "");
	while ((n = read(two, text, 4096)) > 0)
		;
	cr_assert_eq(n, 0);
	close(two);
	free(text);
}
