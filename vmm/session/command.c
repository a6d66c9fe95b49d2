/* SPDX-License-Identifier: MIT */
#include "vmm/session/command.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/vsock/vsock.h"
#include "vmm/session/session_priv.h"
#include "vmm/session/stdio_stream.h"

enum { MAX_SIGNAL = 64 };

/* What the command writes, on its way to the host. */
struct output {
	struct stdio_out out;
	struct command *command;
};

/* A connection from the guest's end of a stdio stream. */
struct stream {
	struct command *command;
	struct vsock_conn *conn; /* NULL: not opened yet, or over */
	unsigned int number;
};

struct command {
	struct exchange exchange;
	const struct command_ops *ops;
	void *owner;

	uint32_t pid;
	bool tty;
	enum command_state state;
	bool started;
	struct command_result result;
	bool tell_started, tell_ended; /* calls that are due */
	bool told_ended;

	struct agent_buffer opening; /* EXEC, until it is said */
	uint64_t signals; /* bit n-1: signal n is to be sent */
	bool winsize_due;
	uint16_t rows, columns;

	struct stream streams[3];
	unsigned int opened; /* bit n: stream n was opened; it can be only once */
	struct output outputs[2]; /* stdout (all output with a tty), stderr */
	struct stdio_in input;
};

static struct command *to_command(struct exchange *x)
{
	return CONTAINER_OF(x, struct command, exchange);
}

static void check_finished(struct command *cmd)
{
	if (cmd->state != COMMAND_ENDED || cmd->told_ended || cmd->tell_ended)
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(cmd->outputs); i++)
		if (!stdio_out_settled(&cmd->outputs[i].out))
			return;
	cmd->tell_ended = true;
	session_notify(cmd->exchange.session);
}

static void output_moved(struct stdio_out *out)
{
	check_finished(CONTAINER_OF(out, struct output, out)->command);
}

/* A terminal's only stream goes both ways. */
static bool is_output(const struct stream *st)
{
	return st->number > 0 || st->command->tty;
}

/* Which of the host's outputs it writes to. */
static struct stdio_out *stream_output(const struct stream *st)
{
	return &st->command->outputs[st->number > 0 ? st->number - 1 : 0].out;
}

/* How much of its input the command has read, said by the agent. */
static void hear_taken(const struct stream *st)
{
	uint32_t total;

	while (vsock_conn_pending(st->conn) >= sizeof(total)) {
		(void)!vsock_conn_read(st->conn, &total, sizeof(total));
		stdio_in_taken(&st->command->input, le32toh(total));
	}
}

static void stream_readable(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;

	(void)conn;
	if (!is_output(st)) {
		hear_taken(st);
		return;
	}
	stdio_out_pump(stream_output(st));
	check_finished(st->command);
}

static void stream_writable(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;

	(void)conn;
	if (st->number == 0)
		stdio_in_pump(&st->command->input);
}

static void stream_stopped(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;

	(void)conn;
	if (st->number == 0)
		stdio_in_detach(&st->command->input);
}

static void stream_closed(struct vsock_conn *conn, void *owner)
{
	struct stream *st = owner;

	(void)conn;
	if (st->number == 0)
		stdio_in_detach(&st->command->input);
	if (is_output(st))
		stdio_out_detach(stream_output(st));
	st->conn = NULL;
	check_finished(st->command);
}

static const struct vsock_conn_ops stream_ops = {
	.readable = stream_readable,
	.writable = stream_writable,
	.peer_stopped_reading = stream_stopped,
	.closed = stream_closed,
};

static bool take_stream(struct exchange *x, struct vsock_conn *conn, uint32_t number)
{
	struct command *cmd = to_command(x);
	struct stream *st;

	if (number > (cmd->tty ? 0u : 2u) || (cmd->opened & 1u << number) ||
	    cmd->state == COMMAND_ENDED)
		return false;
	cmd->opened |= 1u << number;
	st = &cmd->streams[number];
	*st = (struct stream){.command = cmd, .conn = conn, .number = number};
	vsock_conn_set_ops(conn, &stream_ops, st);
	if (number == 0)
		stdio_in_attach(&cmd->input, conn);
	if (is_output(st))
		stdio_out_attach(stream_output(st), conn);
	return true;
}

/*
 * Streams and control share one queue, so what the command wrote before its end
 * was reported is here by now. Whatever comes later is not waited for: it could
 * come for ever.
 */
static void end(struct command *cmd, const struct command_result *result)
{
	if (cmd->state == COMMAND_ENDED)
		return;
	/* They may have come in the same round, and not have had their turn. */
	for (unsigned int i = 0; i < ARRAY_SIZE(cmd->streams); i++)
		if (cmd->streams[i].conn)
			stream_readable(cmd->streams[i].conn, &cmd->streams[i]);
	cmd->state = COMMAND_ENDED;
	cmd->result = *result;
	for (unsigned int i = 0; i < ARRAY_SIZE(cmd->outputs); i++)
		stdio_out_settle(&cmd->outputs[i].out);
	check_finished(cmd);
}

static bool hear(struct exchange *x, const struct agent_message *m)
{
	struct command *cmd = to_command(x);
	struct command_result r = {
		.error = m->error, .code = m->code, .signal = m->signal, .usage = m->usage};

	if (m->type == SC_MSG_STARTED && cmd->state == COMMAND_ASKED && !cmd->opening.data) {
		cmd->state = COMMAND_STARTED;
		cmd->started = true;
		cmd->pid = m->pid;
		cmd->tell_started = true;
		session_notify(cmd->exchange.session);
		return true;
	}
	if (m->type == SC_MSG_EXEC_FAILED && cmd->state == COMMAND_ASKED && !cmd->opening.data) {
		r.kind = COMMAND_EXEC_FAILED;
		snprintf(r.text, sizeof(r.text), "%s", m->text);
	} else if (m->type == SC_MSG_EXITED && cmd->state == COMMAND_STARTED) {
		r.kind = m->signal ? COMMAND_SIGNALED : COMMAND_EXITED;
	} else {
		return false;
	}
	end(cmd, &r);
	return true;
}

static bool compose(struct exchange *x, struct agent_buffer *buf)
{
	struct command *cmd = to_command(x);
	int r = -EAGAIN;

	if (cmd->opening.data) {
		agent_buffer_fini(buf);
		*buf = cmd->opening;
		cmd->opening = (struct agent_buffer){.data = NULL};
		return true;
	}
	if (cmd->state != COMMAND_STARTED)
		return false;
	if (cmd->winsize_due) {
		cmd->winsize_due = false;
		r = agent_wire_winsize(buf, cmd->exchange.id, cmd->rows, cmd->columns);
	} else if (cmd->signals != 0) {
		uint32_t n = (uint32_t)__builtin_ctzll(cmd->signals);

		cmd->signals &= cmd->signals - 1;
		r = agent_wire_signal(buf, cmd->exchange.id, n + 1);
	}
	return r == 0;
}

static bool deliver(struct exchange *x)
{
	struct command *cmd = to_command(x);

	if (cmd->tell_started) {
		cmd->tell_started = false;
		if (cmd->ops->started)
			cmd->ops->started(cmd, cmd->owner);
		return true;
	}
	if (cmd->tell_ended) {
		cmd->tell_ended = false;
		cmd->told_ended = true;
		cmd->ops->ended(cmd, cmd->owner);
		return true;
	}
	return false;
}

static void lose(struct exchange *x, bool failed, const char *why)
{
	struct command_result r = {.kind = failed ? COMMAND_AGENT_FAILED : COMMAND_LOST};

	snprintf(r.text, sizeof(r.text), "%s",
		 failed ? why : "the guest went away before the command had ended");
	end(to_command(x), &r);
}

static const struct exchange_ops exchange_ops = {
	.compose = compose,
	.heard = hear,
	.stream = take_stream,
	.lost = lose,
	.deliver = deliver,
};

static int open_stdio(struct command *cmd, const int stdio[3], int job)
{
	static const char *const names[] = {"stdout", "stderr"};
	struct loop *loop = session_loop(cmd->exchange.session);
	struct vsock *vs = session_vsock(cmd->exchange.session);
	int r = stdio_in_init(&cmd->input, loop, vs, stdio[0]);

	cmd->input.job = job;
	if (r == 0 && !cmd->tty)
		r = stdio_in_count(&cmd->input, job);
	for (unsigned int i = 0; r == 0 && i < ARRAY_SIZE(cmd->outputs); i++) {
		cmd->outputs[i].command = cmd;
		r = stdio_out_init(&cmd->outputs[i].out, loop, vs, stdio[1 + i], names[i],
				   output_moved);
	}
	return r;
}

int command_new(struct session *s, const struct command_spec *spec, const int stdio[3],
		const struct command_ops *ops, void *owner, struct command **out)
{
	struct command *cmd;
	int r;

	if (session_count(s, &exchange_ops) == SESSION_MAX_COMMANDS)
		return -EAGAIN;
	cmd = calloc(1, sizeof(*cmd));
	if (!cmd)
		return -ENOMEM;
	cmd->exchange = (struct exchange){.ops = &exchange_ops, .session = s};
	cmd->ops = ops;
	cmd->owner = owner;
	cmd->tty = spec->tty;
	cmd->rows = spec->rows;
	cmd->columns = spec->columns;
	cmd->state = COMMAND_ASKED;
	if ((r = session_add(s, &cmd->exchange)) < 0 ||
	    (r = agent_wire_exec(&cmd->opening, spec, cmd->exchange.id)) < 0 ||
	    (r = open_stdio(cmd, stdio, spec->job)) < 0) {
		command_free(cmd);
		return r;
	}
	session_speak(s);
	*out = cmd;
	return 0;
}

static void leave(void *arg)
{
	struct command *cmd = arg;

	stdio_in_detach(&cmd->input);
	for (unsigned int i = 0; i < ARRAY_SIZE(cmd->streams); i++)
		if (cmd->streams[i].conn)
			vsock_conn_close(cmd->streams[i].conn);
}

void command_free(struct command *cmd)
{
	if (!cmd)
		return;
	session_remove(&cmd->exchange);
	vsock_run(session_vsock(cmd->exchange.session), leave, cmd);
	stdio_in_fini(&cmd->input);
	for (unsigned int i = 0; i < ARRAY_SIZE(cmd->outputs); i++)
		stdio_out_fini(&cmd->outputs[i].out);
	agent_buffer_fini(&cmd->opening);
	free(cmd);
}

void command_signal(struct command *cmd, int signo)
{
	if (signo < 1 || signo > MAX_SIGNAL)
		return;
	cmd->signals |= 1ull << (signo - 1);
	session_speak(cmd->exchange.session);
}

void command_winsize(struct command *cmd, uint16_t rows, uint16_t columns)
{
	if (!cmd->tty || (cmd->rows == rows && cmd->columns == columns))
		return;
	cmd->rows = rows;
	cmd->columns = columns;
	cmd->winsize_due = true;
	session_speak(cmd->exchange.session);
}

uint32_t command_id(const struct command *cmd)
{
	return cmd->exchange.id;
}

uint32_t command_pid(const struct command *cmd)
{
	return cmd->pid;
}

enum command_state command_state(const struct command *cmd)
{
	return cmd->state;
}

bool command_started(const struct command *cmd)
{
	return cmd->started;
}

const struct command_result *command_result(const struct command *cmd)
{
	return &cmd->result;
}
