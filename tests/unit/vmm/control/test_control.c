/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "balloon/figures.h"
#include "common/control_protocol.h"
#include "tests/unit/vmm/control/control_peers.h"
#include "vmm/config/config.h"
#include "vmm/session/command.h"

TestSuite(control, .init = peers_setup, .fini = peers_teardown);

/* ---- what is no request ---- */

Test(control, what_is_no_request_costs_the_connection)
{
	static const char *const bad[] = {
		"x",
		"{",
		"[]",
		"{}",
		"{\"type\":\"request\"}",
		"{\"type\":\"reply\",\"id\":1,\"op\":\"info\"}",
		"{\"type\":\"request\",\"id\":\"1\",\"op\":\"info\"}",
		"{\"type\":\"request\",\"id\":-1,\"op\":\"info\"}",
		"{\"type\":\"request\",\"id\":9007199254740992,\"op\":\"info\"}",
		"{\"type\":\"request\",\"id\":1,\"op\":1}",
		"{\"type\":\"request\",\"id\":1,\"id\":2,\"op\":\"info\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = new_client();

		ask(fd, bad[i]);
		expect_hung_up(fd);
		close(fd);
	}
	/* The others do not notice. */
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}");
	expect(client, "{\"id\":1,\"ok\":true,\"pressure\":\"calm\",\"state\":\"starting\","
		       "\"type\":\"reply\"}");
}

Test(control, a_packet_that_is_too_long)
{
	char *text = malloc(CONTROL_MESSAGE_MAX + 2);
	const int big = 1 << 20;

	memset(text, ' ', CONTROL_MESSAGE_MAX + 1);
	memcpy(text, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"", 37);
	text[CONTROL_MESSAGE_MAX - 1] = '}';
	text[CONTROL_MESSAGE_MAX] = '\0';
	(void)setsockopt(client, SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	ask(client, text);
	json_decref(receive(client));
	text[CONTROL_MESSAGE_MAX - 1] = ' ';
	text[CONTROL_MESSAGE_MAX] = '}';
	text[CONTROL_MESSAGE_MAX + 1] = '\0';
	ask(client, text);
	expect_hung_up(client);
	free(text);
}

/* A request of `len` bytes in a file with these seals. */
static int request_file(size_t len, unsigned int seals)
{
	static const char request[] = "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"";
	const int fd = memfd_create("request", MFD_ALLOW_SEALING);
	char *text = malloc(len);

	memset(text, ' ', len);
	memcpy(text, request, sizeof(request) - 1);
	text[len - 1] = '}';
	cr_assert_eq(write(fd, text, len), (ssize_t)len);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
	free(text);
	return fd;
}

Test(control, a_request_as_a_file)
{
	const int fds[4] = {request_file(CONTROL_FILE_MAX, CONTROL_FILE_SEALS), 0, 0, 0};

	send_with(client, CONTROL_FILE_PACKET, fds, 4);
	expect(client, "{\"id\":1,\"ok\":true,\"pressure\":\"calm\",\"state\":\"starting\","
		       "\"type\":\"reply\"}");
	close(fds[0]);
}

Test(control, files_that_are_no_request)
{
	const int bad[] = {request_file(200000, F_SEAL_WRITE), request_file(200000, F_SEAL_SHRINK),
			   request_file(CONTROL_FILE_MAX + 1, CONTROL_FILE_SEALS),
			   memfd_create("empty", MFD_ALLOW_SEALING), open("/dev/null", O_RDONLY)};
	const int many[] = {request_file(200000, CONTROL_FILE_SEALS), 0, 0, 0, 0, 0};
	int fd;

	cr_assert_eq(fcntl(bad[3], F_ADD_SEALS, CONTROL_FILE_SEALS), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fd = new_client();
		send_with(fd, CONTROL_FILE_PACKET, &bad[i], 1);
		expect_hung_up(fd);
		close(fd);
	}
	fd = new_client();
	send_with(fd, CONTROL_FILE_PACKET, many, 6);
	expect_hung_up(fd);
	close(fd);
	send_with(client, CONTROL_FILE_PACKET, NULL, 0);
	expect_hung_up(client);
}

Test(control, too_many_descriptors)
{
	const int fds[6] = {0, 0, 0, 0, 0, 0};

	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}", fds, 4);
	expect(client, "{\"id\":1,\"ok\":true,\"pressure\":\"calm\",\"state\":\"starting\","
		       "\"type\":\"reply\"}");
	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}", fds, 5);
	expect_hung_up(client);
	close(client);
	client = new_client();
	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}", fds, 6);
	expect_hung_up(client);
}

Test(control, a_client_that_does_not_read_is_hung_up_on)
{
	unsigned int sent = 0;

	while (sent < 100000 && send(client, "{\"type\":\"request\",\"id\":1,\"op\":\"info\"}", 37,
				     MSG_NOSIGNAL) > 0) {
		settle();
		sent++;
	}
	cr_assert_lt(sent, 10000);
	expect_hung_up(client);
}

Test(control, a_client_that_reads_late_gets_everything)
{
	unsigned int got = 0;

	for (unsigned int i = 0; i < 1000; i++)
		ask(client, "{\"type\":\"request\",\"id\":5,\"op\":\"watch\"}");
	while (got < 1000) {
		expect(client, "{\"id\":5,\"ok\":true,\"pressure\":\"calm\",\"state\":\"starting\","
			       "\"type\":\"reply\"}");
		got++;
		settle();
	}
	expect_silence(client);
}

Test(control, clients_are_limited)
{
	int fds[CONTROL_MAX_CLIENTS], ends[2];

	for (unsigned int i = 1; i < CONTROL_MAX_CLIENTS; i++)
		fds[i] = new_client();
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	cr_assert_eq(control_add_client(control, ends[0]), -EBUSY);
	close(ends[1]);
	close(fds[7]);
	settle();
	fds[7] = new_client();
	for (unsigned int i = 1; i < CONTROL_MAX_CLIENTS; i++)
		close(fds[i]);
}

/* ---- requests ---- */

Test(control, requests_that_are_wrong_are_refused_by_name)
{
	static const struct {
		const char *text, *error;
	} wrong[] = {
		{"\"op\":\"dance\"", "unknown-op"},
		{"\"op\":\"signal\"", "bad-request"},
		{"\"op\":\"signal\",\"command\":1,\"signal\":9", "no-such-command"},
		{"\"op\":\"winsize\",\"command\":\"1\"", "bad-request"},
		{"\"op\":\"stop\",\"timeout_ms\":-1", "bad-request"},
		{"\"op\":\"stop\",\"force\":1", "bad-request"},
		{"\"op\":\"exec\"", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[]", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"\"]", "bad-request"},
		{"\"op\":\"exec\",\"argv\":\"ls\"", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[1]", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[{\"hex\":\"00\"}]", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[{\"hex\":\"6\"}]", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"env\":[\"A\"]", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"env\":[\"=A\"]", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"workdir\":\"src\"", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"user\":0", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"tty\":1", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"tty\":true", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"rows\":65536", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"limits\":1", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"limits\":{\"files\":0}", "bad-request"},
		{"\"op\":\"exec\",\"argv\":[\"ls\"],\"limits\":{\"beer\":1}", "bad-request"},
	};

	start_agent();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char text[256];
		json_t *m;

		snprintf(text, sizeof(text), "{\"type\":\"request\",\"id\":%zu,%s}", i,
			 wrong[i].text);
		ask(client, text);
		m = receive(client);
		cr_assert(json_is_false(json_object_get(m, "ok")), "%s", text);
		cr_assert_eq(json_integer_value(json_object_get(m, "id")), (json_int_t)i);
		cr_assert_str_eq(json_string_value(json_object_get(m, "error")), wrong[i].error,
				 "%s", text);
		json_decref(m);
	}
	cr_assert_eq(socks[AGENT].total, agent_read);
	cr_assert_eq(stops, 0);
}

Test(control, a_command_from_exec_to_exited)
{
	int out[2], in[2], fds[3];
	char text[16], fields[512];
	uint32_t id = 0;

	start_agent();
	cr_assert_eq(pipe2(in, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
	fds[0] = in[0];
	fds[1] = fds[2] = out[1];
	send_with(client,
		  "{\"type\":\"request\",\"id\":7,\"op\":\"exec\",\"argv\":[\"ls\",{\"hex\":"
		  "\"2ffF\"}],"
		  "\"env\":[\"A=mine\"],\"workdir\":\"/w\",\"user\":\"root\"}",
		  fds, 3);
	close(in[0]);
	close(out[1]);
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_EXEC);
	cr_assert_eq(id, 1);
	cr_assert_not_null(strstr(fields, "ls"));
	cr_assert_not_null(strstr(fields, "/\xff"));
	cr_assert_not_null(strstr(fields, "LANG=C"));
	cr_assert_not_null(strstr(fields, "A=mine"));
	cr_assert_null(strstr(fields, "A=sandbox"));
	cr_assert_not_null(strstr(fields, "root"));
	expect_silence(client);
	for (uint32_t i = 0; i < 3; i++)
		open_stream(1, i);
	agent_says(SC_MSG_STARTED, 1, SC_FIELD_PID, 212);
	expect(client, "{\"command\":1,\"id\":7,\"ok\":true,\"pid\":212,\"type\":\"reply\"}");
	cr_assert_eq(write(in[1], "typed", 5), 5);
	close(in[1]);
	settle();
	cr_assert_eq(socks[STREAM0].total, 5);
	cr_assert(socks[STREAM0].finished);
	cr_assert_eq(fake_sock_write(&fv, &socks[STREAM1], "out", 3), 3);
	settle();
	ask(client,
	    "{\"type\":\"request\",\"id\":8,\"op\":\"signal\",\"command\":1,\"signal\":15}");
	expect(client, "{\"id\":8,\"ok\":true,\"type\":\"reply\"}");
	cr_assert_eq(agent_hears(&id, NULL, 0), SC_MSG_SIGNAL);
	cr_assert_eq(idles, 0);
	agent_says(SC_MSG_EXITED, 1, SC_FIELD_CODE, 3);
	expect(client, "{\"code\":3,\"command\":1,\"event\":\"exited\",\"type\":\"event\"}");
	cr_assert_eq(read(out[0], text, sizeof(text)), 3);
	cr_assert_eq(read(out[0], text, sizeof(text)), 0);
	cr_assert_eq(idles, 1);
	ask(client,
	    "{\"type\":\"request\",\"id\":9,\"op\":\"signal\",\"command\":1,\"signal\":15}");
	expect(client, "{\"error\":\"no-such-command\",\"id\":9,\"message\":\"no command 1 runs\","
		       "\"ok\":false,\"type\":\"reply\"}");
	close(out[0]);
}

Test(control, a_command_that_cannot_be_run)
{
	static const uint8_t failed[] = {22,
					 0,
					 0,
					 0,
					 SC_MSG_EXEC_FAILED,
					 0,
					 0,
					 0,
					 1,
					 0,
					 0,
					 0,
					 SC_FIELD_ERRNO,
					 0,
					 0,
					 0,
					 4,
					 0,
					 0,
					 0,
					 ENOENT,
					 0,
					 0,
					 0,
					 SC_FIELD_TEXT,
					 0,
					 0,
					 0,
					 2,
					 0,
					 0,
					 0,
					 'r',
					 'u'};

	start_agent();
	ask(client, "{\"type\":\"request\",\"id\":7,\"op\":\"exec\",\"argv\":[\"no\"]}");
	(void)fake_sock_write(&fv, &socks[AGENT], failed, sizeof(failed));
	settle();
	expect(client, "{\"errno\":2,\"error\":\"exec-failed\",\"id\":7,"
		       "\"message\":\"ru\",\"ok\":false,\"type\":\"reply\"}");
	cr_assert_eq(idles, 1);
}

Test(control, a_client_that_leaves_hangs_up_on_its_commands)
{
	uint32_t id;

	start_agent();
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"exec\",\"argv\":[\"a\"]}");
	ask(client,
	    "{\"type\":\"request\",\"id\":2,\"op\":\"exec\",\"argv\":[\"b\"],\"detach\":true}");
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_EXEC);
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_EXEC);
	agent_says(SC_MSG_STARTED, 1, SC_FIELD_PID, 1);
	agent_says(SC_MSG_STARTED, 2, SC_FIELD_PID, 2);
	close(client);
	settle();
	cr_assert_eq(agent_hears(&id, NULL, 0), SC_MSG_SIGNAL);
	cr_assert_eq(id, 1);
	cr_assert_eq(socks[AGENT].total, agent_read);
	client = new_client();
	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"watch\"}");
	json_decref(receive(client));
	agent_says(SC_MSG_EXITED, 1, SC_FIELD_SIGNAL, SIGHUP);
	expect(client, "{\"command\":1,\"event\":\"exited\",\"signal\":1,\"type\":\"event\"}");
	cr_assert_eq(idles, 0);
	agent_says(SC_MSG_EXITED, 2, SC_FIELD_CODE, 0);
	cr_assert_eq(idles, 1);
}

static void run_commands(uint32_t first, uint32_t n)
{
	for (uint32_t id = first; id < first + n; id++) {
		int out[2];

		cr_assert_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
		send_with(client,
			  "{\"type\":\"request\",\"id\":1,\"op\":\"exec\",\"argv\":[\"a\"]}",
			  (const int[]){out[0], out[1], out[1]}, 3);
		close(out[1]);
		for (uint32_t i = 0; i < 3; i++)
			open_stream(id, i);
		agent_says(SC_MSG_STARTED, id, SC_FIELD_PID, 7);
		json_decref(receive(client));
		for (uint32_t i = 0; i < 3; i++)
			fake_sock_shutdown(&fv, &socks[STREAM0 + i], 3);
		settle();
		agent_says(SC_MSG_EXITED, id, SC_FIELD_CODE, 0);
		json_decref(receive(client));
		close(out[0]);
	}
}

/* What each left behind would be seen here two hundred times. */
Test(control, commands_that_have_ended_leave_nothing)
{
	size_t before;

	start_agent();
	run_commands(1, 20);
	before = mallinfo2().uordblks;
	run_commands(21, 200);
	cr_assert_leq(mallinfo2().uordblks, before + 1024, "%zu bytes are left",
		      mallinfo2().uordblks - before);
}

Test(control, output_without_descriptors_goes_to_the_log)
{
	char tail[256];

	start_agent();
	ask(client,
	    "{\"type\":\"request\",\"id\":1,\"op\":\"exec\",\"argv\":[\"a\"],\"detach\":true}");
	for (uint32_t i = 0; i < 3; i++)
		open_stream(1, i);
	agent_says(SC_MSG_STARTED, 1, SC_FIELD_PID, 1);
	cr_assert(socks[STREAM0].finished);
	cr_assert_eq(fake_sock_write(&fv, &socks[STREAM1], "to the log\n", 11), 11);
	settle();
	guest_log_excerpt(&guest_log, NULL, 1, tail, sizeof(tail));
	cr_assert_not_null(strstr(tail, "to the log"));
	expect(client, "{\"command\":1,\"id\":1,\"ok\":true,\"pid\":1,\"type\":\"reply\"}");
	ask(client, "{\"type\":\"request\",\"id\":2,\"op\":\"logs\",\"from\":7}");
	expect(client, "{\"from\":7,\"id\":2,\"next\":11,\"ok\":true,\"text\":\"log\\n\","
		       "\"type\":\"reply\"}");
}

static void expect_in_log(const char *text)
{
	char log[4096];
	uint64_t start;

	(void)guest_log_read(&guest_log, 0, log, sizeof(log), &start);
	cr_assert_str_eq(log, text);
}

Test(control, the_sandboxs_own_commands_run_in_turn)
{
	static char make[] = "make", check[] = "make check", never[] = "never";
	static char *commands[] = {make, check, never, NULL};
	char fields[512];
	uint32_t id = 0;

	cfg.commands = commands;
	start_agent();
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_EXEC);
	cr_assert_not_null(strstr(fields, "-c"));
	cr_assert_not_null(strstr(fields, "make"));
	cr_assert_null(strstr(fields, "check"));
	for (uint32_t i = 0; i < 3; i++)
		open_stream(1, i);
	agent_says(SC_MSG_STARTED, 1, SC_FIELD_PID, 1);
	cr_assert_eq(socks[AGENT].total, agent_read, "one after the other");
	(void)fake_sock_write(&fv, &socks[STREAM1], "built", 5);
	agent_says(SC_MSG_EXITED, 1, SC_FIELD_CODE, 0);
	cr_assert_eq(idles, 0);
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_EXEC);
	cr_assert_eq(id, 2);
	cr_assert_not_null(strstr(fields, "make check"));
	agent_says(SC_MSG_STARTED, 2, SC_FIELD_PID, 2);
	/* Seen as any other, and nobody's to be hung up on. */
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"info\"}");
	{
		json_t *m = receive(client), *list = json_object_get(m, "commands");

		cr_assert_eq(json_array_size(list), 1);
		cr_assert(json_is_true(json_object_get(json_array_get(list, 0), "detached")));
		json_decref(m);
	}
	agent_says(SC_MSG_EXITED, 2, SC_FIELD_CODE, 5);
	cr_assert_eq(socks[AGENT].total, agent_read, "the first that fails is the last");
	cr_assert_eq(idles, 1);
	expect_in_log(
		"sandcastle: command 1: make\nbuilt\nsandcastle: command 2: make check\n"
		"sandcastle: command 2 failed with exit code 5; those after it are not run\n");
}

Test(control, the_sandboxs_own_commands_end_with_it)
{
	static char line[] = "sleep 9", after[] = "after";
	static char *commands[] = {line, after, NULL};
	uint32_t id = 0;

	cfg.commands = commands;
	start_agent();
	cr_assert_eq(agent_hears(&id, NULL, 0), SC_MSG_EXEC);
	agent_says(SC_MSG_STARTED, 1, SC_FIELD_PID, 1);
	control_stopping(control);
	cr_assert_eq(control_signal_all(control, SIGTERM), 1);
	settle();
	cr_assert_eq(agent_hears(&id, NULL, 0), SC_MSG_SIGNAL);
	agent_says(SC_MSG_EXITED, 1, SC_FIELD_CODE, 0);
	cr_assert_eq(socks[AGENT].total, agent_read, "nothing is begun any more");
	cr_assert_eq(idles, 1);
}

Test(control, watchers_hear_of_everything_once)
{
	int other = new_client();

	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}");
	json_decref(receive(client));
	start_agent();
	expect(client, "{\"event\":\"ready\",\"type\":\"event\"}");
	ask(client, "{\"type\":\"request\",\"id\":2,\"op\":\"exec\",\"argv\":[\"a\"]}");
	agent_says(SC_MSG_STARTED, 1, SC_FIELD_PID, 9);
	expect(client, "{\"command\":1,\"id\":2,\"ok\":true,\"pid\":9,\"type\":\"reply\"}");
	expect(client, "{\"command\":1,\"event\":\"started\",\"pid\":9,\"type\":\"event\"}");
	agent_says(SC_MSG_EXITED, 1, SC_FIELD_CODE, 0);
	expect(client, "{\"code\":0,\"command\":1,\"event\":\"exited\",\"type\":\"event\"}");
	expect_silence(other);
	fake_keeper_pressure(&keeper, true);
	expect(client, "{\"event\":\"pressure\",\"pressure\":\"squeezing\",\"type\":\"event\"}");
	control_stopping(control);
	expect(client, "{\"event\":\"stopping\",\"type\":\"event\"}");
	ask(other, "{\"type\":\"request\",\"id\":1,\"op\":\"exec\",\"argv\":[\"a\"]}");
	expect(other,
	       "{\"error\":\"stopping\",\"id\":1,\"message\":\"the sandbox is about to end\","
	       "\"ok\":false,\"type\":\"reply\"}");
	control_end(control, "stopped", "");
	expect(client, "{\"event\":\"ended\",\"message\":\"\",\"reason\":\"stopped\","
		       "\"type\":\"event\"}");
	expect(other, "{\"event\":\"ended\",\"message\":\"\",\"reason\":\"stopped\","
		      "\"type\":\"event\"}");
	close(other);
}

Test(control, stop)
{
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"stop\"}");
	cr_assert(stops == 1 && forced == 0 && stop_timeout == 10000);
	ask(client,
	    "{\"type\":\"request\",\"id\":2,\"op\":\"stop\",\"timeout_ms\":0,\"force\":true}");
	cr_assert(stops == 2 && forced == 1 && stop_timeout == 0);
}

Test(control, info_and_stats)
{
	const struct figures figures = {
		.resident = 4096,
		.pressure = "calm",
	};
	json_t *m, *shares, *files;

	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"info\"}");
	m = receive(client);
	cr_assert_str_eq(json_string_value(json_object_get(m, "state")), "starting");
	cr_assert(json_is_null(json_object_get(m, "main")));
	cr_assert_eq(json_integer_value(json_object_get(m, "memory")), 1 << 30);
	cr_assert_eq(json_integer_value(json_object_get(m, "resident")), 190840832);
	shares = json_object_get(m, "shares");
	cr_assert_eq(json_array_size(shares), 1);
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_object_get(json_array_get(shares, 0), "host"), "hex")),
			 "2f686f73742fff");
	json_decref(m);
	ask(client, "{\"type\":\"request\",\"id\":2,\"op\":\"stats\"}");
	expect_silence(client);
	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"stats\"}");
	m = receive(client);
	cr_assert_str_eq(json_string_value(json_object_get(m, "error")), "busy");
	json_decref(m);
	fake_keeper_answer(&keeper, &figures);
	m = receive(client);
	cr_assert_eq(json_integer_value(json_object_get(m, "id")), 2);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(m, "memory"), "resident")),
		     4096);
	cr_assert(json_is_true(json_object_get(json_object_get(m, "power"), "ac")));
	cr_assert_null(json_object_get(json_object_get(m, "memory"), "power"));
	files = json_object_get(m, "files");
	cr_assert_eq(json_object_size(files), 2);
	files = json_object_get(files, "maps");
	cr_assert_eq(json_integer_value(json_object_get(files, "known_max")), 524288);
	cr_assert_eq(json_integer_value(json_object_get(files, "locks_max")), 16384);
	cr_assert_gt(json_integer_value(json_object_get(files, "descriptors_max")), 0);
	json_decref(m);
	cr_assert_null(keeper.asked);
	expect_silence(client);
}

Test(control, logs_can_be_waited_for)
{
	static const char wait[] = "{\"type\":\"request\",\"id\":1,\"op\":\"logs\","
				   "\"from\":3,\"wait\":true}";

	/* What is there comes at once. */
	guest_log_add(&guest_log, "old\nnew", 7);
	ask(client, wait);
	expect(client, "{\"from\":3,\"id\":1,\"next\":7,\"ok\":true,\"text\":\"\\nnew\","
		       "\"type\":\"reply\"}");
	ask(client, "{\"type\":\"request\",\"id\":2,\"op\":\"logs\",\"from\":7,\"wait\":true}");
	expect_silence(client);
	ask(client, wait);
	expect(client, "{\"error\":\"busy\",\"id\":1,\"message\":\"the logs asked for before are "
		       "not there yet\",\"ok\":false,\"type\":\"reply\"}");
	guest_log_add(&guest_log, "er\n", 3);
	settle();
	expect(client, "{\"from\":7,\"id\":2,\"next\":10,\"ok\":true,\"text\":\"er\\n\","
		       "\"type\":\"reply\"}");
	/* Nobody waits, and what is said wakes nobody. */
	guest_log_add(&guest_log, "more", 4);
	settle();
	expect_silence(client);
	cr_assert_null(guest_log.loop);
	/* The last of it comes before the end. */
	ask(client, "{\"type\":\"request\",\"id\":4,\"op\":\"logs\",\"from\":14,\"wait\":true}");
	guest_log_add(&guest_log, "bye", 3);
	control_end(control, "stopped", "");
	expect(client, "{\"from\":14,\"id\":4,\"next\":17,\"ok\":true,\"text\":\"bye\","
		       "\"type\":\"reply\"}");
	expect(client, "{\"event\":\"ended\",\"message\":\"\",\"reason\":\"stopped\","
		       "\"type\":\"event\"}");
}

Test(control, logs_want_a_truth_value)
{
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"logs\",\"wait\":1}");
	expect(client, "{\"error\":\"bad-request\",\"id\":1,\"message\":\"wait: true or false\","
		       "\"ok\":false,\"type\":\"reply\"}");
}
