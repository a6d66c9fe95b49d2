/* SPDX-License-Identifier: MIT */
#include "tests/unit/vmm/session/fake_agent.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct fake_vsock fv;
struct session *session;
struct command *command;
struct fake_sock socks[N_SOCKS], *all_socks[N_SOCKS];
int far[3], near[3];
unsigned int done_calls, ready_calls, session_ends, parked_calls;
struct timeline timeline;
bool unread;

static uint32_t said_read;
static char arg0[] = "true", name[] = "box";
static char *argv[] = {arg0, NULL};
static struct sandbox_config cfg = {.name = name};
struct command_spec spec = {.argv = argv};

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

static void on_parked(struct session *s, void *owner)
{
	(void)owner;
	cr_assert_eq(s, session);
	parked_calls++;
}

static const struct session_ops session_ops = {
	.ready = on_ready,
	.parked = on_parked,
	.ended = on_session_ended,
};

static void on_done(struct command *cmd, void *owner)
{
	cr_assert_eq(cmd, command);
	cr_assert_eq(owner, &done_calls);
	done_calls++;
	session_shutdown(session);
}

const struct command_ops command_ops = {.ended = on_done};

void open_pipes(void)
{
	for (int i = 0; i < 3; i++) {
		int fds[2];

		cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
		near[i] = fds[i == 0 ? 0 : 1];
		far[i] = fds[i == 0 ? 1 : 0];
		cr_assert_eq(fcntl(far[i], F_SETFL, O_NONBLOCK), 0);
	}
}

void close_far(int i)
{
	close(far[i]);
	far[i] = -1;
}

void new_session(void)
{
	signal(SIGPIPE, SIG_IGN);
	for (unsigned int i = 0; i < N_SOCKS; i++)
		all_socks[i] = &socks[i];
	cr_assert_eq(session_new(fv.g->loop, fv.vs, &cfg, &session_ops, &done_calls, &session), 0);
	timeline_init(&timeline);
	session_set_timeline(session, &timeline);
	cr_assert_eq(command_new(session, &spec, near, &command_ops, &done_calls, &command), 0);
}

void start_session(void)
{
	fake_vsock_init(&fv, true);
	new_session();
}

void agent_setup(void)
{
	open_pipes();
	start_session();
}

void agent_teardown(void)
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

bool say_read(uint32_t total)
{
	const uint32_t message = htole32(total);

	if (total == said_read || !socks[STREAM0].connected || spec.tty)
		return false;
	said_read = total;
	send_bytes(STREAM0, &message, sizeof(message));
	return true;
}

bool read_all(void)
{
	return !unread && say_read((uint32_t)socks[STREAM0].total);
}

void settle(void)
{
	do
		fake_guest_settle(fv.g);
	while (fake_sock_poll(&fv, all_socks, N_SOCKS) || read_all());
}

void connect_sock(unsigned int i)
{
	fake_sock_connect(&fv, &socks[i], i == CONTROL ? SC_PORT_CONTROL : SC_PORT_STREAM, 100 + i);
	settle();
}

void send_bytes(unsigned int i, const void *data, size_t len)
{
	cr_assert_eq(fake_sock_write(&fv, &socks[i], data, (uint32_t)len), len);
}

void say(uint16_t type, uint32_t id, uint32_t number_tag, uint32_t number, uint32_t text_tag,
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

void say_hello(void)
{
	connect_sock(CONTROL);
	cr_assert(socks[CONTROL].connected);
	say(SC_MSG_HELLO, 0, SC_FIELD_VERSION, SC_PROTOCOL_VERSION, SC_FIELD_KERNEL, "6.1");
	settle();
}

void open_stream(uint32_t number)
{
	struct sc_stream_hello h = {htole32(1), htole32(number)};

	connect_sock(STREAM0 + number);
	cr_assert(socks[STREAM0 + number].connected);
	send_bytes(STREAM0 + number, &h, sizeof(h));
	settle();
}

void start_command(void)
{
	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	for (uint32_t i = 0; i < (spec.tty ? 1u : 3u); i++)
		open_stream(i);
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	settle();
	cr_assert_eq(command_state(command), COMMAND_STARTED);
}

void exit_command(uint32_t code)
{
	say(SC_MSG_EXITED, 1, SC_FIELD_CODE, code, 0, NULL);
	settle();
}

void expect_far(int i, const char *text)
{
	char buf[256];
	ssize_t n = read(far[i], buf, sizeof(buf));

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd bytes", n);
	cr_assert_eq(memcmp(buf, text, strlen(text)), 0);
}

size_t heard(size_t off, uint16_t *type, uint32_t *number)
{
	struct sc_header h;

	cr_assert_leq(off + sizeof(h), socks[CONTROL].total, "no message");
	memcpy(&h, socks[CONTROL].first + off, sizeof(h));
	*type = le16toh(h.type);
	if (number)
		memcpy(number, socks[CONTROL].first + off + sizeof(h) + sizeof(struct sc_field), 4);
	return sizeof(h) + le32toh(h.length);
}

size_t skip_opening(void)
{
	uint16_t type;
	size_t off = heard(0, &type, NULL);

	cr_assert_eq(type, SC_MSG_RESUME);
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_SETUP);
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_EXEC);
	return off;
}
