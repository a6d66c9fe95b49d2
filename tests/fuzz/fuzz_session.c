/* SPDX-License-Identifier: MIT */
/* The session against an agent that says anything: control bytes, streams, connections, resets. */
#include <endian.h>
#include <fcntl.h>
#include <signal.h>

#include "common/agent_protocol.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/fake_vsock.h"
#include "vmm/config/config.h"
#include "vmm/session/command.h"
#include "vmm/session/session.h"

enum { N_SOCKS = 6, MAX_OPS = 300 };

struct agent {
	struct fake_vsock fv;
	struct fake_sock socks[N_SOCKS]; /* the first is the control connection */
	struct fake_sock *all[N_SOCKS];
	struct session *session;
	struct command *command;
	unsigned int done, over;
};

static void on_ready(struct session *s, void *owner)
{
	(void)owner;
	if (session_state(s) == SESSION_WAITING)
		abort();
}

static void on_over(struct session *s, const char *why, void *owner)
{
	struct agent *a = owner;

	if (++a->over != 1 || !why || session_state(s) != SESSION_ENDED || a->command)
		abort();
}

static const struct session_ops session_ops = {.ready = on_ready, .ended = on_over};

static void on_done(struct command *cmd, void *owner)
{
	struct agent *a = owner;
	const struct command_result *r = command_result(cmd);

	if (++a->done != 1 || command_state(cmd) != COMMAND_ENDED)
		abort();
	for (const char *p = r->text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			abort();
	if (r->code < 0 || r->code > 255 || r->signal < 0 || r->signal > 64)
		abort();
	/* An owner may free it here. */
	command_free(cmd);
	a->command = NULL;
	session_shutdown(a->session);
}

static const struct command_ops command_ops = {.ended = on_done};

static void connect_sock(struct agent *a, unsigned int i)
{
	fake_sock_connect(&a->fv, &a->socks[i], i == 0 ? SC_PORT_CONTROL : SC_PORT_STREAM, 100 + i);
}

/* A message that is well framed, and often right. */
static void send_message(struct agent *a, uint8_t type, struct fuzz_input *in)
{
	uint8_t buf[256] = "";
	struct sc_header h = {.type = htole16(type), .id = htole32(fuzz_u8(in) & 1)};
	uint8_t n_fields = fuzz_u8(in) & 3;
	size_t len = sizeof(h);

	for (uint8_t i = 0; i < n_fields; i++) {
		uint8_t length = fuzz_u8(in) & 31;
		struct sc_field f = {htole32(fuzz_u8(in) & 31), htole32(length)};

		memcpy(buf + len, &f, sizeof(f));
		fuzz_bytes(in, buf + len + sizeof(f), length);
		len += sizeof(f) + length;
	}
	h.length = htole32((uint32_t)(len - sizeof(h)));
	memcpy(buf, &h, sizeof(h));
	(void)fake_sock_write(&a->fv, &a->socks[0], buf, (uint32_t)len);
}

/* What a good agent would say now, so that inputs get beyond the first message. */
static void send_next(struct agent *a, uint8_t code)
{
	const struct {
		uint16_t type;
		uint8_t id, tag, value;
	} next[] = {
		[SESSION_HELLO] = {SC_MSG_READY, 0, 0, 0},
		[SESSION_READY] = {SC_MSG_STARTED, 1, SC_FIELD_PID, 2},
		[SESSION_N_STATES] = {SC_MSG_EXITED, 1, SC_FIELD_CODE, code},
	};
	static const uint8_t hello[] = {
		21,
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
		'6',
	};
	enum session_state state = session_state(a->session);
	uint8_t msg[24] = {0};

	if (state == SESSION_ENDED || !a->command)
		return;
	if (command_state(a->command) == COMMAND_STARTED)
		state = SESSION_N_STATES;
	if (state == SESSION_WAITING) {
		if (!a->socks[0].connected)
			connect_sock(a, 0);
		(void)fake_sock_poll(&a->fv, a->all, N_SOCKS);
		(void)fake_sock_write(&a->fv, &a->socks[0], hello, sizeof(hello));
		return;
	}
	msg[0] = next[state].tag ? 12 : 0;
	msg[4] = (uint8_t)next[state].type;
	msg[8] = next[state].id;
	msg[12] = next[state].tag;
	msg[16] = 4;
	msg[20] = next[state].value;
	(void)fake_sock_write(&a->fv, &a->socks[0], msg, 12u + msg[0]);
}

static void step(struct agent *a, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in), i = fuzz_u8(in) % N_SOCKS, n = fuzz_u8(in);
	struct sc_stream_hello hello = {htole32(1), htole32(n & 3)};
	uint8_t buf[256];

	switch (what % 10) {
	case 0:
		connect_sock(a, i);
		break;
	case 1:
	case 2:
		send_message(a, n & 7, in);
		break;
	case 3:
		fuzz_bytes(in, buf, n);
		(void)fake_sock_write(&a->fv, &a->socks[i], buf, n);
		break;
	case 4:
		(void)fake_sock_write(&a->fv, &a->socks[i], &hello, sizeof(hello));
		break;
	case 5:
		(void)fake_sock_write(&a->fv, &a->socks[i], fake_pattern(0), n * 257u);
		break;
	case 6:
		fake_sock_shutdown(&a->fv, &a->socks[i], n & 3);
		break;
	case 7:
		a->socks[i].lazy = n & 1;
		break;
	case 8:
		if (a->command) {
			command_signal(a->command, n);
			command_winsize(a->command, n, i);
		}
		break;
	default:
		if (n < 250) {
			send_next(a, n);
			break;
		}
		fake_guest_reset(a->fv.g);
		fake_vsock_restart(&a->fv);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char arg[] = "true";
	static char *argv[] = {arg, NULL};
	static struct agent a;
	struct fuzz_input in = {data, size};
	struct sandbox_config cfg = {.name = arg};
	struct command_spec spec = {.argv = argv, .tty = fuzz_u8(&in) & 1};
	int in_fd = open("/dev/zero", O_RDONLY), out_fd = open("/dev/null", O_WRONLY), pipe_fds[2];

	signal(SIGPIPE, SIG_IGN);
	if (pipe(pipe_fds) < 0)
		abort();
	a = (struct agent){.done = 0};
	for (unsigned int i = 0; i < N_SOCKS; i++)
		a.all[i] = &a.socks[i];
	fake_vsock_init(&a.fv, true);
	/* stderr is a pipe that nobody reads. */
	if (session_new(a.fv.g->loop, a.fv.vs, &cfg, &session_ops, &a, &a.session) < 0 ||
	    command_new(a.session, &spec, (int[]){in_fd, out_fd, pipe_fds[1]}, &command_ops, &a,
			&a.command) < 0)
		abort();
	for (unsigned int n = 0; n < MAX_OPS && in.left > 0 && a.over == 0; n++) {
		step(&a, &in);
		if (a.fv.g->vdev->broken)
			abort();
		fake_guest_settle(a.fv.g);
		(void)fake_sock_poll(&a.fv, a.all, N_SOCKS);
	}
	command_free(a.command);
	session_free(a.session);
	fake_vsock_fini(&a.fv);
	close(in_fd);
	close(out_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return 0;
}
