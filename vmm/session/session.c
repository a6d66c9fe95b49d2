/* SPDX-License-Identifier: MIT */
#include "vmm/session/session.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "common/agent_protocol.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/loop.h"
#include "devices/vsock/vsock.h"
#include "vmm/config/timeline.h"
#include "vmm/session/host_clock.h"
#include "vmm/session/session_priv.h"

/* Connections that have not said which stream they are; the agent opens one at a time. */
enum {
	MAX_NEWCOMERS = 16,
	NEWCOMER_MS = 500, /* for a stream to say whom it is for, where another needs its place */
};

/* A connection to SC_PORT_STREAM, until its hello has come. */
struct newcomer {
	struct session *session;
	struct vsock_conn *conn; /* NULL: the slot is free */
	uint8_t hello[sizeof(struct sc_stream_hello)];
	size_t hello_len;
	uint64_t since_ms; /* CLOCK_MONOTONIC */
};

struct session {
	struct loop *loop;
	struct vsock *vs;
	const struct session_ops *ops;
	void *owner;

	enum session_state state;
	uint32_t address; /* of the guest's card, as it says; 0: none */
	bool greeted;
	bool park; /* it is to be parked */
	bool held; /* it is parked, or about to be: only PARK goes out */
	struct timeline *timeline; /* or NULL */
	bool tell_ready, tell_parked, tell_ended; /* calls that are due */
	char why[AGENT_TEXT_MAX];
	struct loop_source notify; /* an eventfd: owners are to be told something */

	struct host_clock *clock;
	struct vsock_conn *control;
	bool had_control;
	uint8_t heard[AGENT_MESSAGE_MAX];
	size_t heard_len;

	struct agent_buffer setup; /* until RESUME goes out, with it */
	struct agent_buffer say;
	size_t said;
	bool graphics_lost_due, shutdown_due;
	struct loop_task graphics_lost;

	struct exchanges exchanges;
	struct newcomer newcomers[MAX_NEWCOMERS];
};

static void enter(struct session *s, enum session_state state)
{
	static const struct {
		enum timeline_phase phase;
		const char *name;
	} steps[SESSION_N_STATES] = {
		[SESSION_HELLO] = {TIMELINE_BOOT, "kernel and modules, to the agent's greeting"},
		[SESSION_READY] = {TIMELINE_GUEST_SET_UP, "set-up of the guest"},
	};

	s->state = state;
	if (s->timeline && steps[state].name)
		timeline_mark(s->timeline, steps[state].phase, steps[state].name);
}

void session_notify(struct session *s)
{
	(void)!eventfd_write(s->notify.fd, 1);
}

static void notify_event(struct loop_source *src, uint32_t events)
{
	struct session *s = CONTAINER_OF(src, struct session, notify);
	eventfd_t n;

	(void)events;
	(void)!eventfd_read(src->fd, &n);
	if (s->tell_ready) {
		s->tell_ready = false;
		s->ops->ready(s, s->owner);
	}
	if (s->tell_parked) {
		s->tell_parked = false;
		s->ops->parked(s, s->owner);
	}
	exchanges_deliver(&s->exchanges);
	if (s->tell_ended) {
		s->tell_ended = false;
		s->ops->ended(s, s->why, s->owner);
	}
}

static void newcomer_readable(struct vsock_conn *conn, void *owner);

/* A short command's streams may have come in the same round as its end, and not had their turn. */
static void greet_newcomers(struct session *s)
{
	for (unsigned int i = 0; i < MAX_NEWCOMERS; i++)
		if (s->newcomers[i].conn)
			newcomer_readable(s->newcomers[i].conn, &s->newcomers[i]);
}

static void end_session(struct session *s, bool failed, const char *why)
{
	if (s->state == SESSION_ENDED)
		return;
	greet_newcomers(s);
	enter(s, SESSION_ENDED);
	snprintf(s->why, sizeof(s->why), "%s", failed ? why : "");
	exchanges_lose(&s->exchanges, failed, why);
	s->shutdown_due = true;
	s->tell_ended = true;
	session_notify(s);
}

static void agent_failed(struct session *s, const char *fmt, const char *what)
{
	char why[AGENT_TEXT_MAX];

	snprintf(why, sizeof(why), fmt, what);
	end_session(s, true, why);
}

static void lost(struct session *s)
{
	end_session(s, false, "the guest is gone");
}

/* Composes what is to be said next; false if there is nothing. */
static bool next_message(struct session *s)
{
	s->say.len = s->said = 0;
	if (s->held)
		return false;
	if (s->shutdown_due) {
		s->shutdown_due = false;
		return agent_wire_shutdown(&s->say) == 0;
	}
	if (s->graphics_lost_due) {
		s->graphics_lost_due = false;
		return agent_wire_graphics_lost(&s->say) == 0;
	}
	return exchanges_compose(&s->exchanges, &s->say);
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

void session_speak(struct session *s)
{
	vsock_run(s->vs, speak, s);
}

/* What the guest is told before all else; SETUP follows in the same breath. */
static void resume_guest(struct session *s)
{
	int r;

	s->held = false;
	s->say.len = s->said = 0;
	r = agent_wire_resume(&s->say);
	if (r == 0)
		r = agent_buffer_append(&s->say, &s->setup);
	agent_buffer_fini(&s->setup);
	if (r < 0)
		agent_failed(s, "cannot be told to go on: %s", strerror(-r));
	else
		s->greeted = true;
}

static void take_hello(struct session *s, const struct agent_message *m)
{
	if (m->version != SC_PROTOCOL_VERSION) {
		agent_failed(s, "%s", "the guest agent speaks another version of the protocol");
		return;
	}
	log_debug("the agent is up, kernel %s", m->text);
	enter(s, SESSION_HELLO);
	if (!s->park) {
		resume_guest(s);
	} else if (agent_wire_park(&s->say) < 0) {
		agent_failed(s, "cannot be told to wait: %s", strerror(ENOMEM));
	} else {
		s->held = true;
		s->greeted = true;
	}
}

static void take_parked(struct session *s)
{
	s->park = false;
	s->tell_parked = true;
	session_notify(s);
}

static void take_ready(struct session *s, const struct agent_message *m)
{
	enter(s, SESSION_READY);
	s->address = m->address;
	for (unsigned int i = 0; s->timeline && i < m->n_steps; i++) {
		const struct agent_step *step = &m->steps[i];

		timeline_add_guest(s->timeline, step->name, step->kernel, step->begin, step->end);
	}
	if (s->timeline)
		timeline_align_guest(s->timeline);
	s->tell_ready = true;
	session_notify(s);
}

/* STARTED, EXEC_FAILED, EXITED, MAP_DONE, MAP_FAILED. */
static void take_answer(struct session *s, const struct agent_message *m)
{
	const char *wrong;

	if (m->type == SC_MSG_EXITED)
		greet_newcomers(s);
	wrong = exchanges_hear(&s->exchanges, m);
	if (wrong)
		agent_failed(s, "the guest agent %s", wrong);
}

/* What may be said when. */
static void take_message(struct session *s, const struct agent_message *m)
{
	if (m->type == SC_MSG_FAILED)
		agent_failed(s, "%s", m->text);
	else if (m->type == SC_MSG_HELLO && s->state == SESSION_WAITING)
		take_hello(s, m);
	else if (m->type == SC_MSG_PARKED && s->state == SESSION_HELLO && s->park)
		take_parked(s);
	else if (m->type == SC_MSG_READY && s->state == SESSION_HELLO && !s->held)
		take_ready(s, m);
	else if (m->id > 0 && s->state == SESSION_READY)
		take_answer(s, m);
	else
		agent_failed(s, "the guest agent %s", "sent a message out of order");
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

/* Whoever else runs in the guest is not to stand in the agent's way, or in its place. */
static bool comes_from_root(const struct vsock_conn *conn)
{
	return vsock_conn_guest_port(conn) <= SC_PORT_GUEST_MAX;
}

static int accept_control(struct vsock_conn *conn, void *owner)
{
	struct session *s = owner;

	if (!comes_from_root(conn))
		return -EPERM;
	if (s->had_control)
		return -EBUSY;
	s->had_control = true;
	s->control = conn;
	vsock_conn_set_ops(conn, &control_ops, s);
	return 0;
}

/* True if the stream has found whom it is for. */
static bool place_newcomer(struct newcomer *nc)
{
	struct sc_stream_hello h;
	struct exchange *x;

	memcpy(&h, nc->hello, sizeof(h));
	x = exchanges_find(&nc->session->exchanges, le32toh(h.id));
	return x && x->ops->stream && x->ops->stream(x, nc->conn, le32toh(h.stream));
}

static void newcomer_readable(struct vsock_conn *conn, void *owner)
{
	struct newcomer *nc = owner;
	ssize_t n =
		vsock_conn_read(conn, nc->hello + nc->hello_len, sizeof(nc->hello) - nc->hello_len);

	if (n > 0)
		nc->hello_len += (size_t)n;
	if (nc->hello_len < sizeof(nc->hello) && n != 0)
		return;
	if (nc->hello_len < sizeof(nc->hello) || !place_newcomer(nc))
		vsock_conn_close(conn);
	nc->conn = NULL;
}

static void newcomer_writable(struct vsock_conn *conn, void *owner)
{
	(void)conn;
	(void)owner;
}

static void newcomer_closed(struct vsock_conn *conn, void *owner)
{
	struct newcomer *nc = owner;

	(void)conn;
	nc->conn = NULL;
}

static const struct vsock_conn_ops newcomer_ops = {
	.readable = newcomer_readable,
	.writable = newcomer_writable,
	.closed = newcomer_closed,
};

/*
 * A free place, else that of the oldest one which had its time: any program of the guest's root
 * can connect, and say nothing. NULL: there is none.
 */
static struct newcomer *place_for_newcomer(struct session *s)
{
	struct newcomer *oldest = &s->newcomers[0];

	for (unsigned int i = 0; i < MAX_NEWCOMERS; i++) {
		struct newcomer *nc = &s->newcomers[i];

		if (!nc->conn)
			return nc;
		if (nc->since_ms < oldest->since_ms)
			oldest = nc;
	}
	return now_ms() - oldest->since_ms >= NEWCOMER_MS ? oldest : NULL;
}

static int accept_stream(struct vsock_conn *conn, void *owner)
{
	struct session *s = owner;
	struct newcomer *nc;

	if (!comes_from_root(conn))
		return -EPERM;
	/* Not before the agent is known: streams are part of an answer to EXEC. */
	if (s->state == SESSION_WAITING || s->state == SESSION_ENDED)
		return -ECONNREFUSED;
	nc = place_for_newcomer(s);
	if (!nc)
		return -EBUSY;
	if (nc->conn)
		vsock_conn_close(nc->conn);
	*nc = (struct newcomer){.session = s, .conn = conn, .since_ms = now_ms()};
	vsock_conn_set_ops(conn, &newcomer_ops, nc);
	return 0;
}

int session_add(struct session *s, struct exchange *x)
{
	int r = s->state == SESSION_ENDED ? -ENOTCONN : exchanges_add(&s->exchanges, x);

	if (r == 0)
		x->session = s;
	return r;
}

void session_remove(struct exchange *x)
{
	if (x->session)
		exchanges_remove(&x->session->exchanges, x);
}

unsigned int session_count(const struct session *s, const struct exchange_ops *ops)
{
	return exchanges_count(&s->exchanges, ops);
}

struct loop *session_loop(struct session *s)
{
	return s->loop;
}

struct vsock *session_vsock(struct session *s)
{
	return s->vs;
}

int session_new(struct loop *loop, struct vsock *vs, const struct sandbox_config *cfg,
		const struct session_ops *ops, void *owner, struct session **out)
{
	struct session *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->vs = vs;
	s->ops = ops;
	s->owner = owner;
	s->notify = (struct loop_source){.fn = notify_event, .name = "session-notify"};
	s->notify.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	enter(s, SESSION_WAITING);
	r = s->notify.fd < 0 ? -errno : loop_add(loop, &s->notify, EPOLLIN);
	if (r < 0 || (r = agent_wire_setup(&s->setup, cfg)) < 0 ||
	    (r = vsock_listen(vs, SC_PORT_CONTROL, accept_control, s)) < 0 ||
	    (r = vsock_listen(vs, SC_PORT_STREAM, accept_stream, s)) < 0 ||
	    (r = host_clock_new(loop, vs, &s->clock)) < 0) {
		session_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void session_park(struct session *s)
{
	s->park = true;
}

static void adopt(void *arg)
{
	struct session *s = arg;

	if (vsock_adopt(s->vs) < 0)
		return;
	s->held = true;
	enter(s, SESSION_HELLO);
}

int session_adopt(struct session *s)
{
	vsock_run(s->vs, adopt, s);
	return s->state == SESSION_HELLO && s->control ? 0 : -ENOENT;
}

static void resume_and_speak(void *arg)
{
	resume_guest(arg);
	speak(arg);
}

void session_resume(struct session *s)
{
	if (s->state == SESSION_HELLO && s->held)
		vsock_run(s->vs, resume_and_speak, s);
}

static void leave(void *arg)
{
	struct session *s = arg;

	vsock_unlisten(s->vs, SC_PORT_CONTROL);
	vsock_unlisten(s->vs, SC_PORT_STREAM);
	for (unsigned int i = 0; i < MAX_NEWCOMERS; i++)
		if (s->newcomers[i].conn)
			vsock_conn_close(s->newcomers[i].conn);
	if (s->control)
		vsock_conn_close(s->control);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	host_clock_free(s->clock);
	vsock_run(s->vs, leave, s);
	loop_remove(&s->notify);
	if (s->notify.fd >= 0)
		close(s->notify.fd);
	agent_buffer_fini(&s->setup);
	agent_buffer_fini(&s->say);
	free(s);
}

void session_shutdown(struct session *s)
{
	s->shutdown_due = true;
	session_speak(s);
}

static void graphics_lost(struct loop_task *task)
{
	struct session *s = CONTAINER_OF(task, struct session, graphics_lost);

	s->graphics_lost_due = true;
	session_speak(s);
}

struct loop_task *session_graphics_lost(struct session *s)
{
	s->graphics_lost.fn = graphics_lost;
	return &s->graphics_lost;
}

enum session_state session_state(const struct session *s)
{
	return s->state;
}

uint32_t session_address(const struct session *s)
{
	return s->address;
}

void session_set_timeline(struct session *s, struct timeline *tl)
{
	s->timeline = tl;
}
