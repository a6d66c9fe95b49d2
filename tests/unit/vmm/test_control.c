/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "balloon/figures.h"
#include "devices/fs/fs.h"
#include "guest-agent/protocol.h"
#include "tests/support/fake_vsock.h"
#include "vmm/command.h"
#include "vmm/config.h"
#include "vmm/control.h"
#include "vmm/control_protocol.h"
#include "vmm/guest_log.h"
#include "vmm/session.h"
#include "vmm/shares.h"

/* The control channel between clients made of sockets and an agent made of fake ones. */
enum { AGENT, STREAM0, STREAM1, STREAM2, N_SOCKS };

static struct fake_vsock fv;
static struct fake_sock socks[N_SOCKS];
static struct fake_sock *all[N_SOCKS];
static struct session *session;
static struct fs_server *server;
static pthread_mutex_t server_lock = PTHREAD_MUTEX_INITIALIZER;
static struct shares *all_shares;
static uint64_t detach_limit_ms = 1000000;
static struct control *control;
static struct guest_log guest_log;
static int client;
static size_t agent_read; /* of what the agent got */

static uint64_t stop_timeout;
static unsigned int stops, forced, idles;

static char name[] = "quiet-dune", home[] = "/home/kim", shell[] = "/bin/sh", user[] = "kim",
	    env_lang[] = "LANG=C", env_a[] = "A=sandbox", guest[] = "/src", host[] = "/host/\xff";
static char *env[] = {env_lang, env_a, NULL};
static struct config_map map = {.host = host, .guest = guest, .fd = -1};
static struct sandbox_config cfg = {
	.name = name,
	.cpus = 2,
	.memory = 1u << 30,
	.env = env,
	.maps = &map,
	.n_maps = 1,
	.user = {.name = user, .home = home, .shell = shell, .uid = 1000, .gid = 1000},
};

static void on_stop(void *owner, uint64_t timeout_ms, bool force)
{
	(void)owner;
	stops++;
	forced += force;
	stop_timeout = timeout_ms;
}

static int on_stats(void *owner)
{
	(void)owner;
	return 0;
}

static uint64_t on_resident(void *owner)
{
	(void)owner;
	return 190840832;
}

static char typed[256];
static size_t typed_len, console_room;
static uint16_t console_rows, console_columns;

static size_t on_typed(void *owner, const void *buf, size_t len)
{
	const size_t n = min_size(len, console_room);

	(void)owner;
	memcpy(typed + typed_len, buf, n);
	typed_len += n;
	console_room -= n;
	return n;
}

static void on_resized(void *owner, uint16_t rows, uint16_t columns)
{
	(void)owner;
	console_rows = rows;
	console_columns = columns;
}

static void on_idle(void *owner)
{
	(void)owner;
	idles++;
}

static const struct control_ops ops = {
	.stop = on_stop,
	.stats = on_stats,
	.resident = on_resident,
	.console_input = on_typed,
	.console_resize = on_resized,
	.idle = on_idle,
};

static void on_ready(struct session *s, void *owner)
{
	(void)s;
	(void)owner;
	control_ready(control);
}

static void on_session_ended(struct session *s, const char *why, void *owner)
{
	(void)s;
	(void)why;
	(void)owner;
}

static const struct session_ops session_ops = {.ready = on_ready, .ended = on_session_ended};

static void settle(void)
{
	do {
		fake_guest_settle(fv.g);
		/* What is posted to the file server's loop comes back by this one as well. */
		fake_guest_settle(fv.g);
	} while (fake_sock_poll(&fv, all, N_SOCKS));
}

static json_t *receive(int fd)
{
	static char buf[CONTROL_MESSAGE_MAX + 1];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	json_t *m;

	if (n <= 0)
		return NULL;
	m = json_loadb(buf, (size_t)n, 0, NULL);
	cr_assert(json_is_object(m));
	return m;
}

/* The next message is that one; compared as text with sorted keys. */
static void expect(int fd, const char *text)
{
	json_t *m = receive(fd);
	char *got = m ? json_dumps(m, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	cr_assert_not_null(got, "nothing came, expected %s", text);
	cr_assert_str_eq(got, text);
	free(got);
	json_decref(m);
}

static void expect_silence(int fd)
{
	char c;

	cr_assert(recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

static void expect_hung_up(int fd)
{
	char buf[1024];
	ssize_t n;

	settle();
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		;
	cr_assert_eq(n, 0);
}

static int new_client(void)
{
	int ends[2];
	json_t *hello;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
		     0);
	cr_assert_eq(control_add_client(control, ends[0]), 0);
	hello = receive(ends[1]);
	cr_assert_str_eq(json_string_value(json_object_get(hello, "name")), "quiet-dune");
	cr_assert_eq(json_integer_value(json_object_get(hello, "protocol")), CONTROL_PROTOCOL);
	json_decref(hello);
	return ends[1];
}

static void send_with(int fd, const char *text, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(8 * sizeof(int))];
	} space = {.buf = ""};
	struct iovec iov = {.iov_base = strdup(text), .iov_len = strlen(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		struct cmsghdr *head;

		msg.msg_control = space.buf;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(head), fds, n * sizeof(int));
	}
	cr_assert_eq(sendmsg(fd, &msg, 0), (ssize_t)strlen(text));
	free(iov.iov_base);
	settle();
}

static void ask(int fd, const char *text)
{
	send_with(fd, text, NULL, 0);
}

/* ---- the guest's side ---- */

static void agent_says(uint16_t type, uint32_t id, uint32_t tag, uint32_t number)
{
	uint8_t buf[64];
	struct sc_header h = {
		.length = htole32(tag ? 12 : 0), .type = htole16(type), .id = htole32(id)};
	struct sc_field f = {htole32(tag), htole32(4)};

	number = htole32(number);
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &f, sizeof(f));
	memcpy(buf + sizeof(h) + sizeof(f), &number, 4);
	(void)fake_sock_write(&fv, &socks[AGENT], buf, (uint32_t)sizeof(h) + (tag ? 12u : 0u));
	settle();
}

/* The agent's next message: its type and id; its body as text in `fields` where one is wanted. */
static uint16_t agent_hears(uint32_t *id, char *fields, size_t size)
{
	const uint8_t *at = socks[AGENT].first + agent_read;
	struct sc_header h;
	size_t len;

	cr_assert_leq(agent_read + sizeof(h), socks[AGENT].total, "no message");
	memcpy(&h, at, sizeof(h));
	len = le32toh(h.length);
	agent_read += sizeof(h) + len;
	if (id)
		*id = le32toh(h.id);
	if (fields) {
		cr_assert_lt(len, size);
		for (size_t i = 0; i < len; i++)
			fields[i] = at[sizeof(h) + i] >= 32 ? (char)at[sizeof(h) + i] : '.';
		fields[len] = '\0';
	}
	return le16toh(h.type);
}

static void start_agent(void)
{
	static const uint8_t hello[] = {21,
					0,
					0,
					0,
					SC_MSG_HELLO,
					0,
					0,
					0,
					0,
					0,
					0,
					0,
					SC_FIELD_VERSION,
					0,
					0,
					0,
					4,
					0,
					0,
					0,
					SC_PROTOCOL_VERSION,
					0,
					0,
					0,
					SC_FIELD_KERNEL,
					0,
					0,
					0,
					1,
					0,
					0,
					0,
					'6'};

	fake_sock_connect(&fv, &socks[AGENT], SC_PORT_CONTROL, 100);
	settle();
	(void)fake_sock_write(&fv, &socks[AGENT], hello, sizeof(hello));
	settle();
	agent_says(SC_MSG_READY, 0, 0, 0);
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_SETUP);
}

static void open_stream(uint32_t id, uint32_t number)
{
	struct sc_stream_hello h = {htole32(id), htole32(number)};

	fake_sock_connect(&fv, &socks[STREAM0 + number], SC_PORT_STREAM, 200 + 8 * id + number);
	settle();
	(void)fake_sock_write(&fv, &socks[STREAM0 + number], &h, sizeof(h));
	settle();
}

static void setup(void)
{
	struct control_setup s = {
		.config = &cfg,
		.log = &guest_log,
		.kernel = "6.1",
		.ops = &ops,
	};
	struct shares_setup sh = {
		.files.lock = &server_lock,
		.config = &cfg,
		.done = control_shared,
		.mount_limit_ms = 1000000,
		.detach_limit_ms = detach_limit_ms,
	};
	struct fs_export_config first = {.name = "map0"};

	signal(SIGPIPE, SIG_IGN);
	for (unsigned int i = 0; i < N_SOCKS; i++)
		all[i] = &socks[i];
	guest_log_init(&guest_log, false);
	fake_vsock_init(&fv, true);
	cr_assert_eq(session_new(fv.g->loop, fv.vs, &cfg, &session_ops, NULL, &session), 0);
	s.loop = fv.g->loop;
	s.session = session;
	cr_assert_eq(fs_server_new(&server), 0);
	first.fd = open("/tmp", O_PATH | O_CLOEXEC);
	cr_assert_eq(fs_server_add_export(server, &first), 0);
	sh.loop = sh.files.loop = fv.g->loop;
	sh.files.server = server;
	sh.session = session;
	cr_assert_eq(shares_new(&sh, &all_shares), 0);
	s.shares = all_shares;
	cr_assert_eq(control_new(&s, -1, &control), 0);
	client = new_client();
}

static void teardown(void)
{
	control_free(control);
	session_free(session);
	shares_free(all_shares);
	fs_server_free(server);
	fake_vsock_fini(&fv);
	guest_log_fini(&guest_log);
	close(client);
}

TestSuite(control, .init = setup, .fini = teardown);

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

Test(control, too_many_descriptors)
{
	const int fds[5] = {0, 0, 0, 0, 0};

	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}", fds, 3);
	expect(client, "{\"id\":1,\"ok\":true,\"pressure\":\"calm\",\"state\":\"starting\","
		       "\"type\":\"reply\"}");
	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}", fds, 4);
	expect_hung_up(client);
	close(client);
	client = new_client();
	send_with(client, "{\"type\":\"request\",\"id\":1,\"op\":\"watch\"}", fds, 5);
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

Test(control, what_it_takes_to_attach)
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

Test(control, the_console_and_its_shell)
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
	control_console_output(control, "# ", 2);
	expect_shown(one, "# ");
	expect_shown(two, "# ");
	/* Input waits where it is until there is room for it. */
	console_room = 3;
	cr_assert_eq(write(one, "ls -l\n", 6), 6);
	settle();
	settle();
	cr_assert_eq(typed_len, 3);
	console_room = 100;
	control_console_room(control);
	settle();
	cr_assert_eq(memcmp(typed, "ls -l\n", 6), 0);
	cr_assert_eq(typed_len, 6);
	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"winsize\",\"console\":true,"
		    "\"rows\":33,\"columns\":99}");
	expect(client, "{\"id\":3,\"ok\":true,\"type\":\"reply\"}");
	cr_assert(console_rows == 33 && console_columns == 99);
	/* Who types no more may go on looking. */
	shutdown(two, SHUT_WR);
	settle();
	control_console_output(control, "x", 1);
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

Test(control, one_at_the_console_who_does_not_read)
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
		control_console_output(control, flood, sizeof(flood));
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
	control_console_output(control, "again", 5);
	expect_shown(one, "again");
	/* One that is gone costs nothing more. */
	close(one);
	for (int i = 0; i < 3; i++)
		control_console_output(control, flood, sizeof(flood));
	settle();
	control_end(control, "stopped", "");
	while ((n = read(two, text, 4096)) > 0)
		;
	cr_assert_eq(n, 0);
	close(two);
	free(text);
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
	control_pressure(control, true);
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
		.more = "\"power\":{\"ac\":true}",
	};
	json_t *m, *shares;

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
	control_stats(control, &figures);
	m = receive(client);
	cr_assert_eq(json_integer_value(json_object_get(m, "id")), 2);
	cr_assert_eq(json_integer_value(json_object_get(json_object_get(m, "memory"), "resident")),
		     4096);
	cr_assert(json_is_true(json_object_get(json_object_get(m, "power"), "ac")));
	cr_assert_null(json_object_get(json_object_get(m, "memory"), "power"));
	json_decref(m);
	/* Nobody waits any more. */
	control_stats(control, &figures);
	expect_silence(client);
}

/* ---- shares ---- */

/* Asks for a new share of /tmp, or of what fd is, there. */
static void ask_share(int fd, const char *guest_path, bool write)
{
	char text[256];
	int tmp = open("/tmp", O_PATH | O_CLOEXEC);

	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":1,\"op\":\"share\",\"host\":\"/"
		 "tmp\",\"guest\":\"%s\","
		 "\"write\":%s}",
		 guest_path, write ? "true" : "false");
	send_with(fd, text, &tmp, 1);
	close(tmp);
}

static void ask_unshare(int fd, const char *guest_path)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":2,\"op\":\"unshare\",\"guest\":\"%s\"}", guest_path);
	ask(fd, text);
}

/* The reply that came is a refusal of that kind. */
static void expect_refusal(int fd, const char *error)
{
	json_t *m = receive(fd);

	cr_assert_not_null(m);
	cr_assert(json_is_false(json_object_get(m, "ok")));
	cr_assert_str_eq(json_string_value(json_object_get(m, "error")), error);
	json_decref(m);
}

static void expect_ok(int fd)
{
	json_t *m = receive(fd);

	cr_assert_not_null(m);
	cr_assert(json_is_true(json_object_get(m, "ok")), "%s",
		  json_string_value(json_object_get(m, "message")));
	json_decref(m);
}

/* "guest" of the shares that "info" tells of, in their order. */
static void expect_shares(const char *const *paths)
{
	json_t *m, *list;
	size_t n = 0;

	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"info\"}");
	m = receive(client);
	list = json_object_get(m, "shares");
	for (; paths[n]; n++)
		cr_assert_str_eq(
			json_string_value(json_object_get(json_array_get(list, n), "guest")),
			paths[n]);
	cr_assert_eq(json_array_size(list), n);
	json_decref(m);
}

static bool is_exported(const char *export_name)
{
	const struct fs_export_config export = {.name = export_name,
						.fd = open("/tmp", O_PATH | O_CLOEXEC)};

	if (fs_server_add_export(server, &export) == -EEXIST)
		return true;
	cr_assert_eq(fs_server_remove_export(server, export_name), 0);
	return false;
}

static void agent_fails(uint32_t id, uint32_t error, const char *text)
{
	uint8_t buf[128];
	const uint32_t len = (uint32_t)strlen(text);
	const uint32_t words[] = {htole32(20 + len),
				  htole32(SC_MSG_MAP_FAILED),
				  htole32(id),
				  htole32(SC_FIELD_ERRNO),
				  htole32(4),
				  htole32(error),
				  htole32(SC_FIELD_TEXT),
				  htole32(len)};

	memcpy(buf, words, sizeof(words));
	memcpy(buf + sizeof(words), text, len);
	(void)fake_sock_write(&fv, &socks[AGENT], buf, (uint32_t)sizeof(words) + len);
	settle();
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(control, a_share_comes_and_goes)
{
	static const char *const one[] = {"/src", NULL}, *const two[] = {"/src", "/srv/tmp", NULL};
	unsigned int fds = count_fds();
	char fields[256];
	uint32_t id;

	start_agent();
	ask_share(client, "//srv/./tmp/", false);
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_MAP);
	cr_assert_eq(id, 1);
	cr_assert_not_null(strstr(fields, "/srv/tmp"));
	expect_silence(client);
	cr_assert(is_exported("map1"));
	expect_shares(one);
	ask_unshare(client, "/srv/tmp");
	expect_refusal(client, "busy");
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect(client, "{\"id\":1,\"ok\":true,\"type\":\"reply\"}");
	expect_shares(two);
	/* Read-only: it is taken back before the guest is asked. */
	ask_unshare(client, "/srv/tmp/");
	cr_assert_eq(agent_hears(&id, NULL, 0), SC_MSG_UNMAP);
	cr_assert_eq(id, 2);
	cr_assert_not(is_exported("map1"));
	agent_says(SC_MSG_MAP_DONE, 2, 0, 0);
	expect(client, "{\"id\":2,\"ok\":true,\"type\":\"reply\"}");
	expect_shares(one);
	cr_assert_eq(count_fds(), fds);
}

Test(control, a_writable_share_goes_when_the_guest_has_written_back)
{
	start_agent();
	ask_share(client, "/srv/tmp", true);
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_MAP);
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_ok(client);
	cr_assert(shares_writable(all_shares));
	ask_unshare(client, "/srv/tmp");
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_UNMAP);
	cr_assert(is_exported("map1"));
	agent_fails(2, EIO, "cannot write back");
	expect(client,
	       "{\"id\":2,\"ok\":true,\"type\":\"reply\",\"warning\":\"cannot write back\"}");
	cr_assert_not(is_exported("map1"));
	cr_assert_not(shares_writable(all_shares));
}

static void setup_impatient(void)
{
	detach_limit_ms = 1;
	setup();
}

TestSuite(impatient_control, .init = setup_impatient, .fini = teardown);

Test(impatient_control, a_guest_that_does_not_answer_keeps_no_share)
{
	static const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	start_agent();
	ask_share(client, "/srv/tmp", true);
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_ok(client);
	ask_unshare(client, "/srv/tmp");
	nanosleep(&pause, NULL);
	settle();
	expect_ok(client);
	cr_assert_not(is_exported("map1"));
	/* Nor does what it says too late harm anybody; a word nobody asked for does. */
	agent_says(SC_MSG_MAP_DONE, 2, 0, 0);
	ask_share(client, "/srv/tmp", false);
	agent_says(SC_MSG_MAP_DONE, 3, 0, 0);
	expect_ok(client);
	cr_assert_eq(session_state(session), SESSION_READY);
	agent_says(SC_MSG_MAP_DONE, 4, 0, 0);
	cr_assert_eq(session_state(session), SESSION_ENDED);
	ask_share(client, "/srv/other", false);
	expect_refusal(client, "busy");
}

Test(control, a_share_that_the_guest_cannot_mount)
{
	static const char *const one[] = {"/src", NULL};
	unsigned int fds = count_fds();

	start_agent();
	ask_share(client, "/srv/tmp", false);
	agent_fails(1, ENOTDIR, "cannot mount the share");
	expect(client,
	       "{\"errno\":20,\"error\":\"failed\",\"id\":1,\"message\":\"cannot mount the share\","
	       "\"ok\":false,\"type\":\"reply\"}");
	expect_shares(one);
	cr_assert_not(is_exported("map1"));
	cr_assert_eq(count_fds(), fds);
}

Test(control, shares_that_are_refused)
{
	static const struct {
		const char *guest, *error;
	} places[] = {
		{"srv", "bad-request"},	 {"/srv/../etc", "bad-request"},
		{"/", "taken"},		 {"/proc/self", "taken"},
		{"/usr", "taken"},	 {"/src", "taken"},
		{"/src/below", "taken"}, {"", "bad-request"},
	};
	static const char *const wrong[] = {
		"\"host\":\"/tmp\"",
		"\"guest\":\"/srv\"",
		"\"host\":\"tmp\",\"guest\":\"/srv\"",
		"\"host\":\"/tmp\",\"guest\":\"/srv\",\"write\":1",
		"\"host\":1,\"guest\":\"/srv\"",
	};
	int tmp = open("/tmp", O_PATH | O_CLOEXEC), dir = open("/tmp", O_RDONLY | O_CLOEXEC);
	int link = open("/proc/self/exe", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int two[2] = {tmp, tmp};
	static char text[8192], longer[300];
	unsigned int fds = count_fds();

	ask_share(client, "/srv", false);
	expect_refusal(client, "busy");
	start_agent();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		ask_share(client, places[i].guest, true);
		expect_refusal(client, places[i].error);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"request\",\"id\":1,\"op\":\"share\",%s}",
			 wrong[i]);
		send_with(client, text, &tmp, 1);
		expect_refusal(client, "bad-request");
	}
	memset(longer, 'n', 256);
	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":1,\"op\":\"share\",\"host\":\"/tmp\",\"guest\":\"/"
		 "%s\"}",
		 longer);
	send_with(client, text, &tmp, 1);
	expect_refusal(client, "bad-request");
	snprintf(text, sizeof(text), "{\"type\":\"request\",\"id\":1,\"op\":\"share\",%s}",
		 "\"host\":\"/tmp\",\"guest\":\"/srv\"");
	send_with(client, text, NULL, 0);
	expect_refusal(client, "bad-request");
	send_with(client, text, two, 2);
	expect_refusal(client, "bad-request");
	send_with(client, text, &dir, 1);
	expect_refusal(client, "bad-request");
	send_with(client, text, &link, 1);
	expect_refusal(client, "bad-request");
	ask_unshare(client, "/srv");
	expect_refusal(client, "no-such-share");
	ask_unshare(client, "srv");
	expect_refusal(client, "bad-request");
	cr_assert_eq(socks[AGENT].total, agent_read);
	cr_assert_eq(count_fds(), fds);
	control_stopping(control);
	ask_share(client, "/srv", false);
	expect_refusal(client, "stopping");
	close(tmp);
	close(dir);
	close(link);
}

Test(control, a_share_below_another_goes_first)
{
	start_agent();
	ask_share(client, "/mnt/a/b", false);
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_ok(client);
	/* It would hide that one. */
	ask_share(client, "/mnt/a", false);
	expect_refusal(client, "taken");
	ask_unshare(client, "/src");
	agent_says(SC_MSG_MAP_DONE, 2, 0, 0);
	expect_ok(client);
	/* /tmp/x within /tmp at the same place, as maps of `run` may be. */
	ask_share(client, "/src", false);
	agent_says(SC_MSG_MAP_DONE, 3, 0, 0);
	expect_ok(client);
	{
		const int tmp = open("/tmp", O_PATH | O_CLOEXEC);

		send_with(client,
			  "{\"type\":\"request\",\"id\":1,\"op\":\"share\",\"host\":\"/tmp/x\","
			  "\"guest\":\"/src/x\",\"write\":true}",
			  &tmp, 1);
		close(tmp);
	}
	agent_says(SC_MSG_MAP_DONE, 4, 0, 0);
	expect_ok(client);
	ask_unshare(client, "/src");
	expect_refusal(client, "busy");
}

Test(control, a_client_that_leaves_its_share_behind)
{
	static const char *const two[] = {"/src", "/srv/tmp", NULL};
	int other = new_client();

	start_agent();
	ask_share(other, "/srv/tmp", false);
	close(other);
	settle();
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_shares(two);
	/* One whose answer never comes is no one's when all ends. */
	ask_share(client, "/srv/other", false);
}

Test(control, shares_come_and_go_a_thousand_times)
{
	unsigned int fds;

	start_agent();
	fds = count_fds();
	for (uint32_t i = 0; i < 1000; i++) {
		ask_share(client, "/srv/tmp", i % 2);
		agent_says(SC_MSG_MAP_DONE, 2 * i + 1, 0, 0);
		expect_ok(client);
		ask_unshare(client, "/srv/tmp");
		agent_says(SC_MSG_MAP_DONE, 2 * i + 2, 0, 0);
		expect_ok(client);
	}
	cr_assert_eq(count_fds(), fds);
	/* No more at once than there may be of them at the start. */
	for (uint32_t i = 1; i < CONFIG_MAX_MAPS; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/srv/%u", i);
		ask_share(client, path, false);
		agent_says(SC_MSG_MAP_DONE, 2000 + i, 0, 0);
		expect_ok(client);
	}
	ask_share(client, "/srv/more", false);
	expect_refusal(client, "busy");
}
