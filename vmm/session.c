/* SPDX-License-Identifier: MIT */
#include "vmm/session.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "devices/vsock.h"
#include "guest-agent/protocol.h"
#include "vmm/agent_wire.h"
#include "vmm/config.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/stdio_stream.h"
#include "vmm/timeline.h"

enum {
	COMMAND_ID = 1, /* the one command of a session */
	MAX_STREAMS = 8, /* three in use, some that have not said which they are */
	MAX_SIGNAL = 64,
};

/* A connection to SC_PORT_STREAM. */
struct stream {
	struct session *session;
	struct vsock_conn *conn; /* NULL: the slot is free */
	uint8_t hello[sizeof(struct sc_stream_hello)];
	size_t hello_len;
	int number; /* 0 to 2, or -1 until it was said */
};

/* What the command writes, on its way to the host. */
struct output {
	struct stdio_out out;
	struct session *session;
};

struct session {
	struct loop *loop;
	struct vsock *vs;
	session_done_fn done;
	void *owner;
	bool tty;

	enum session_state state;
	bool greeted;
	struct timeline *timeline; /* or NULL */
	struct session_result result;
	bool told; /* done() is on its way */
	struct loop_source finish; /* an eventfd: done() is due */

	struct vsock_conn *control;
	bool had_control;
	uint8_t heard[AGENT_MESSAGE_MAX];
	size_t heard_len;

	/* Begins as SETUP and EXEC; what follows is shorter, so it never grows again. */
	struct agent_buffer say;
	size_t said;
	uint64_t signals; /* bit n-1: signal n is to be sent */
	bool winsize_due, shutdown_due;
	uint16_t rows, columns;

	struct stream streams[MAX_STREAMS];
	unsigned int opened; /* bit n: stream n was opened; it can be only once */
	struct output outputs[2]; /* stdout (all output with a tty), stderr */
	struct stdio_in input;
};

static void enter(struct session *s, enum session_state state)
{
	static const struct {
		enum timeline_phase phase;
		const char *name;
	} steps[SESSION_N_STATES] = {
		[SESSION_HELLO] = {TIMELINE_BOOT, "kernel and modules, to the agent's greeting"},
		[SESSION_READY] = {TIMELINE_GUEST_SET_UP, "set-up of the guest"},
		[SESSION_STARTED] = {TIMELINE_START, "start of the command"},
		[SESSION_ENDED] = {TIMELINE_COMMAND, "command, until its end is known"},
	};

	s->state = state;
	if (s->timeline)
		timeline_mark(s->timeline, steps[state].phase, steps[state].name);
}

static void check_finished(struct session *s)
{
	if (s->state != SESSION_ENDED || s->told)
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(s->outputs); i++)
		if (!stdio_out_settled(&s->outputs[i].out))
			return;
	s->told = true;
	(void)!eventfd_write(s->finish.fd, 1);
}

static void finish_event(struct loop_source *src, uint32_t events)
{
	struct session *s = CONTAINER_OF(src, struct session, finish);
	eventfd_t n;

	(void)events;
	(void)!eventfd_read(src->fd, &n);
	s->done(s, s->owner);
}

static void output_moved(struct stdio_out *out)
{
	check_finished(CONTAINER_OF(out, struct output, out)->session);
}

static void stream_readable(struct vsock_conn *conn, void *owner);

/*
 * Streams and control share one queue, so what the command wrote before its end
 * was reported is here by now. Whatever comes later is not waited for: it could
 * come for ever.
 */
static void end_session(struct session *s, const struct session_result *result)
{
	if (s->state == SESSION_ENDED)
		return;
	/* A short command's streams may have come in the same round, and not have had their turn. */
	for (unsigned int i = 0; i < MAX_STREAMS; i++)
		if (s->streams[i].conn)
			stream_readable(s->streams[i].conn, &s->streams[i]);
	enter(s, SESSION_ENDED);
	s->result = *result;
	s->shutdown_due = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(s->outputs); i++)
		stdio_out_settle(&s->outputs[i].out);
	check_finished(s);
}

static void agent_failed(struct session *s, const char *fmt, const char *what)
{
	struct session_result r = {.kind = SESSION_AGENT_FAILED};

	snprintf(r.text, sizeof(r.text), fmt, what);
	end_session(s, &r);
}

/* Composes what is to be said next; false if there is nothing. */
static bool next_message(struct session *s)
{
	int r = -EAGAIN;

	s->say.len = s->said = 0;
	if (s->shutdown_due) {
		s->shutdown_due = false;
		r = agent_wire_shutdown(&s->say);
	} else if (s->state == SESSION_STARTED && s->winsize_due) {
		s->winsize_due = false;
		r = agent_wire_winsize(&s->say, COMMAND_ID, s->rows, s->columns);
	} else if (s->state == SESSION_STARTED && s->signals != 0) {
		uint32_t n = (uint32_t)__builtin_ctzll(s->signals);

		s->signals &= s->signals - 1;
		r = agent_wire_signal(&s->say, COMMAND_ID, n + 1);
	}
	return r == 0;
}

static void speak(void *arg)
{
	struct session *s = arg;

	/* Nothing before HELLO: it may not be the agent. */
	if (!s->control || !s->greeted)
		return;
	while (s->said < s->say.len || next_message(s)) {
		ssize_t n =
			vsock_conn_write(s->control, s->say.data + s->said, s->say.len - s->said);

		if (n < 0)
			return;
		s->said += (size_t)n;
		if (s->said < s->say.len)
			return;
	}
}

static void take_hello(struct session *s, const struct agent_message *m)
{
	if (m->version != SC_PROTOCOL_VERSION) {
		agent_failed(s, "%s", "the guest agent speaks another version of the protocol");
		return;
	}
	log_debug("the agent is up, kernel %s", m->text);
	s->greeted = true;
	enter(s, SESSION_HELLO);
}

static void take_ready(struct session *s, const struct agent_message *m)
{
	enter(s, SESSION_READY);
	if (!s->timeline)
		return;
	for (unsigned int i = 0; i < m->n_steps; i++) {
		const struct agent_step *step = &m->steps[i];

		timeline_add_guest(s->timeline, step->name, step->kernel, step->begin, step->end);
	}
	timeline_align_guest(s->timeline);
}

static void take_exit(struct session *s, const struct agent_message *m)
{
	struct session_result r = {
		.kind = m->signal ? SESSION_SIGNALED : SESSION_EXITED,
		.code = m->code,
		.signal = m->signal,
	};

	end_session(s, &r);
}

static void take_exec_failed(struct session *s, const struct agent_message *m)
{
	struct session_result r = {.kind = SESSION_EXEC_FAILED, .error = m->error};

	snprintf(r.text, sizeof(r.text), "%s", m->text);
	end_session(s, &r);
}

/* What may be said when. */
static void take_message(struct session *s, const struct agent_message *m)
{
	if (m->type == SC_MSG_FAILED)
		agent_failed(s, "%s", m->text);
	else if (m->type == SC_MSG_HELLO && s->state == SESSION_WAITING)
		take_hello(s, m);
	else if (m->type == SC_MSG_READY && s->state == SESSION_HELLO)
		take_ready(s, m);
	else if (m->id > COMMAND_ID)
		agent_failed(s, "the guest agent %s", "spoke of a command it was not given");
	else if (m->type == SC_MSG_STARTED && s->state == SESSION_READY)
		enter(s, SESSION_STARTED);
	else if (m->type == SC_MSG_EXEC_FAILED && s->state == SESSION_READY)
		take_exec_failed(s, m);
	else if (m->type == SC_MSG_EXITED && s->state == SESSION_STARTED)
		take_exit(s, m);
	else
		agent_failed(s, "the guest agent %s", "sent a message out of order");
}

static void lost(struct session *s)
{
	struct session_result r = {
		.kind = SESSION_LOST,
		.text = "the guest went away before the command had ended",
	};

	end_session(s, &r);
}

static void control_readable(struct vsock_conn *conn, void *owner)
{
	struct session *s = owner;

	while (s->state != SESSION_ENDED) {
		struct agent_message m;
		const char *why = NULL;
		ssize_t n = agent_wire_decode(s->heard, s->heard_len, &m, &why);

		if (n > 0) {
			s->heard_len -= (size_t)n;
			memmove(s->heard, s->heard + n, s->heard_len);
			take_message(s, &m);
			continue;
		}
		if (n < 0) {
			agent_failed(s, "the guest agent sent %s", why);
			break;
		}
		n = vsock_conn_read(conn, s->heard + s->heard_len, sizeof(s->heard) - s->heard_len);
		if (n == 0)
			lost(s);
		if (n <= 0)
			break;
		s->heard_len += (size_t)n;
	}
	/* Nobody reads the rest; dropping it lets the connection end. */
	if (s->state == SESSION_ENDED)
		vsock_conn_consume(conn, vsock_conn_pending(conn));
	speak(s);
}

static void control_writable(struct vsock_conn *conn, void *owner)
{
	(void)conn;
	speak(owner);
}

static void control_closed(struct vsock_conn *conn, void *owner)
{
	struct session *s = owner;

	(void)conn;
	s->control = NULL;
	lost(s);
}

static const struct vsock_conn_ops control_ops = {
	.readable = control_readable,
	.writable = control_writable,
	.closed = control_closed,
};

static int accept_control(struct vsock_conn *conn, void *owner)
{
	struct session *s = owner;

	if (s->had_control)
		return -EBUSY;
	s->had_control = true;
	s->control = conn;
	vsock_conn_set_ops(conn, &control_ops, s);
	return 0;
}

/* False if a stream like that is not wanted. */
static bool stream_begin(struct stream *st)
{
	struct session *s = st->session;
	struct sc_stream_hello h;
	uint32_t number;

	memcpy(&h, st->hello, sizeof(h));
	number = le32toh(h.stream);
	if (le32toh(h.id) != COMMAND_ID || number > (s->tty ? 0u : 2u) ||
	    (s->opened & 1u << number) || s->state == SESSION_ENDED)
		return false;
	s->opened |= 1u << number;
	st->number = (int)number;
	if (number == 0)
		stdio_in_attach(&s->input, st->conn);
	if (number > 0)
		stdio_out_attach(&s->outputs[number - 1].out, st->conn);
	else if (s->tty)
		stdio_out_attach(&s->outputs[0].out, st->conn);
	return true;
}

/* Which of the host's outputs this stream writes to; -1 for stdin. */
static int stream_output(const struct stream *st)
{
	if (st->number > 0)
		return st->number - 1;
	return st->number == 0 && st->session->tty ? 0 : -1;
}

static void stream_readable(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;
	int output;

	if (st->number < 0) {
		ssize_t n = vsock_conn_read(conn, st->hello + st->hello_len,
					    sizeof(st->hello) - st->hello_len);

		if (n > 0)
			st->hello_len += (size_t)n;
		if (st->hello_len < sizeof(st->hello) && n != 0)
			return;
		if (st->hello_len < sizeof(st->hello) || !stream_begin(st)) {
			st->conn = NULL;
			vsock_conn_close(conn);
		}
		return;
	}
	output = stream_output(st);
	if (output < 0)
		return;
	stdio_out_pump(&st->session->outputs[output].out);
	check_finished(st->session);
}

static void stream_writable(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;

	(void)conn;
	if (st->number == 0)
		stdio_in_pump(&st->session->input);
}

static void stream_stopped(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;

	(void)conn;
	if (st->number == 0)
		stdio_in_detach(&st->session->input);
}

static void stream_closed(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;
	int output = stream_output(st);

	(void)conn;
	if (st->number == 0)
		stdio_in_detach(&st->session->input);
	if (output >= 0)
		stdio_out_detach(&st->session->outputs[output].out);
	st->conn = NULL;
	check_finished(st->session);
}

static const struct vsock_conn_ops stream_ops = {
	.readable = stream_readable,
	.writable = stream_writable,
	.peer_stopped_reading = stream_stopped,
	.closed = stream_closed,
};

static int accept_stream(struct vsock_conn *conn, void *owner)
{
	struct session *s = owner;

	/* Not before the agent is known: streams are part of an answer to EXEC. */
	if (s->state == SESSION_WAITING || s->state == SESSION_ENDED)
		return -ECONNREFUSED;
	for (unsigned int i = 0; i < MAX_STREAMS; i++) {
		struct stream *st = &s->streams[i];

		if (st->conn)
			continue;
		*st = (struct stream){.session = s, .conn = conn, .number = -1};
		vsock_conn_set_ops(conn, &stream_ops, st);
		return 0;
	}
	return -EBUSY;
}

static int compose_opening(struct session *s, const struct sandbox_config *cfg, int tty_fd)
{
	struct winsize ws = {.ws_row = 0};
	int r;

	if (cfg->tty && ioctl(tty_fd, TIOCGWINSZ, &ws) == 0) {
		s->rows = ws.ws_row;
		s->columns = ws.ws_col;
	}
	r = agent_wire_setup(&s->say, cfg);
	if (r < 0)
		return r;
	return agent_wire_exec(&s->say, cfg, COMMAND_ID, s->rows, s->columns);
}

static int open_stdio(struct session *s, const int stdio[3])
{
	static const char *const names[] = {"stdout", "stderr"};
	int r = stdio_in_init(&s->input, s->loop, s->vs, stdio[0]);

	for (unsigned int i = 0; r == 0 && i < ARRAY_SIZE(s->outputs); i++) {
		s->outputs[i].session = s;
		r = stdio_out_init(&s->outputs[i].out, s->loop, s->vs, stdio[1 + i], names[i],
				   output_moved);
	}
	return r;
}

int session_new(struct loop *loop, struct vsock *vs, const struct sandbox_config *cfg,
		const int stdio[3], session_done_fn done, void *owner, struct session **out)
{
	struct session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->vs = vs;
	s->done = done;
	s->owner = owner;
	s->tty = cfg->tty;
	s->finish = (struct loop_source){.fn = finish_event, .name = "session-finish"};
	s->finish.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->finish.fd < 0 ? -errno : loop_add(loop, &s->finish, EPOLLIN);
	if (r < 0 || (r = compose_opening(s, cfg, stdio[0])) < 0 ||
	    (r = open_stdio(s, stdio)) < 0 ||
	    (r = vsock_listen(vs, SC_PORT_CONTROL, accept_control, s)) < 0 ||
	    (r = vsock_listen(vs, SC_PORT_STREAM, accept_stream, s)) < 0) {
		session_free(s);
		return r;
	}
	*out = s;
	return 0;
}

static void leave(void *arg)
{
	struct session *s = arg;

	vsock_unlisten(s->vs, SC_PORT_CONTROL);
	vsock_unlisten(s->vs, SC_PORT_STREAM);
	stdio_in_detach(&s->input);
	for (unsigned int i = 0; i < MAX_STREAMS; i++)
		if (s->streams[i].conn)
			vsock_conn_close(s->streams[i].conn);
	if (s->control)
		vsock_conn_close(s->control);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	vsock_run(s->vs, leave, s);
	stdio_in_fini(&s->input);
	for (unsigned int i = 0; i < ARRAY_SIZE(s->outputs); i++)
		stdio_out_fini(&s->outputs[i].out);
	loop_remove(&s->finish);
	if (s->finish.fd >= 0)
		close(s->finish.fd);
	agent_buffer_fini(&s->say);
	free(s);
}

void session_signal(struct session *s, int signo)
{
	if (signo < 1 || signo > MAX_SIGNAL)
		return;
	s->signals |= 1ull << (signo - 1);
	vsock_run(s->vs, speak, s);
}

void session_winsize(struct session *s, uint16_t rows, uint16_t columns)
{
	if (!s->tty || (s->rows == rows && s->columns == columns))
		return;
	s->rows = rows;
	s->columns = columns;
	s->winsize_due = true;
	vsock_run(s->vs, speak, s);
}

enum session_state session_state(const struct session *s)
{
	return s->state;
}

void session_set_timeline(struct session *s, struct timeline *tl)
{
	s->timeline = tl;
}

const struct session_result *session_result(const struct session *s)
{
	return &s->result;
}
