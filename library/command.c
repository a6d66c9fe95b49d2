/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/control_bytes.h"
#include "common/control_protocol.h"
#include "common/exit_codes.h"
#include "library/library_priv.h"

bool lib_command_is_done(const struct sandcastle_command *cmd)
{
	return cmd->exited && cmd->output[1].fd < 0 && cmd->output[2].fd < 0;
}

static uint64_t figure(const json_t *event, const char *name)
{
	const json_int_t v = json_integer_value(json_object_get(event, name));

	return v < 0 ? 0 : (uint64_t)v;
}

void lib_command_event(struct sandcastle_sandbox *sb, const json_t *event)
{
	const json_int_t number = json_integer_value(json_object_get(event, "command"));
	const int code = exit_code_of_message(event);

	for (struct sandcastle_command *c = sb->commands; c; c = c->next) {
		if (c->number != number || c->exited)
			continue;
		c->exited = true;
		c->code = code >= 0 ? code : EXIT_SANDCASTLE_FAILED;
		c->signal = (int)json_integer_value(json_object_get(event, "signal"));
		c->user_us = figure(event, "user_us");
		c->system_us = figure(event, "system_us");
		c->memory = figure(event, "memory");
		return;
	}
}

void lib_command_output(struct sandcastle_sandbox *sb, struct source *src)
{
	const struct sandcastle_command *cmd = src->command;
	char buf[16384];
	ssize_t n = read(src->fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lib_unwatch(sb, src);
		return;
	}
	/* Whoever pumps is alone in here, so that the order of the output stays. */
	sb->in_output = true;
	sb->output_thread = pthread_self();
	(void)pthread_mutex_unlock(&sb->lock);
	cmd->fn(cmd->data, src->stream, buf, (size_t)n);
	(void)pthread_mutex_lock(&sb->lock);
	sb->in_output = false;
}

int lib_memory_file(const void *bytes, size_t len)
{
	AUTO_CLOSE int made = memfd_create("input", MFD_CLOEXEC);
	AUTO_CLOSE int fd = made < 0 ? -1 : fcntl(made, F_DUPFD_CLOEXEC, 3);

	for (size_t done = 0; fd >= 0 && done < len;) {
		const ssize_t n = pwrite(fd, (const char *)bytes + done, len - done, (off_t)done);

		if (n < 0 && errno != EINTR)
			return -1;
		done += n > 0 ? (size_t)n : 0;
	}
	return steal_fd(&fd);
}

/* theirs: what the sandbox gets for this stream. */
static int open_stream(struct sandcastle_sandbox *sb, struct sandcastle_command *cmd, int stream,
		       const struct sandcastle_exec_options *o, int *theirs)
{
	const struct sandcastle_stdio io = o->stdio[stream];
	const int our_end = stream == 0 ? 1 : 0;
	int ends[2];

	switch (io.kind) {
	case SANDCASTLE_STDIO_BYTES:
		if (stream != 0 || (!o->input && o->input_len > 0))
			return lib_fail(sb, SANDCASTLE_E_INVALID,
					"bytes are for stdin, and have to be there");
		*theirs = lib_memory_file(o->input, o->input_len);
		break;
	case SANDCASTLE_STDIO_NULL:
		*theirs = open("/dev/null", O_RDWR | O_CLOEXEC);
		break;
	case SANDCASTLE_STDIO_FD:
		*theirs = fcntl(io.fd, F_DUPFD_CLOEXEC, 3);
		break;
	case SANDCASTLE_STDIO_CALLBACK:
	case SANDCASTLE_STDIO_PIPE:
		if (io.kind == SANDCASTLE_STDIO_CALLBACK && (stream == 0 || !cmd->fn))
			return lib_fail(sb, SANDCASTLE_E_INVALID,
					"a callback is for stdout and stderr, and has to be there");
		if (pipe2(ends, O_CLOEXEC) < 0)
			return lib_fail(sb, SANDCASTLE_E_SYSTEM, "no pipe: %s", strerror(errno));
		*theirs = ends[!our_end];
		/* docs/control.md: ends that the sandbox moves bytes through at its own pace. */
		(void)fcntl(*theirs, F_SETFL, O_NONBLOCK);
		if (io.kind == SANDCASTLE_STDIO_PIPE) {
			cmd->pipes[stream] = ends[our_end];
			return SANDCASTLE_OK;
		}
		cmd->output[stream].fd = ends[our_end];
		(void)fcntl(ends[our_end], F_SETFL, O_NONBLOCK);
		if (lib_watch(sb, &cmd->output[stream]) < 0)
			return lib_fail(sb, SANDCASTLE_E_SYSTEM, "cannot watch a pipe");
		return SANDCASTLE_OK;
	default:
		return lib_fail(sb, SANDCASTLE_E_INVALID, "stdio[%d].kind %d is not known", stream,
				io.kind);
	}
	if (*theirs < 0)
		return lib_fail(sb, SANDCASTLE_E_SYSTEM, "stdio[%d]: %s", stream, strerror(errno));
	return SANDCASTLE_OK;
}

static json_t *strings(const char *const *list)
{
	json_t *array = json_array();

	for (; array && list && *list; list++)
		if (json_array_append_new(array, control_bytes_new(*list)) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

/* Puts those limits into the request that are not 0. -1: there was no memory. */
static int add_limits(json_t *request, const struct sandcastle_exec_options *o)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{"memory", o->limit_memory}, {"file-size", o->limit_file_size},
		{"cpu-s", o->limit_cpu_s},   {"processes", o->limit_processes},
		{"files", o->limit_files},
	};
	json_t *object = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].value == 0)
			continue;
		if (!object) {
			object = json_object();
			if (json_object_set_new(request, "limits", object) < 0)
				return -1;
		}
		if (json_object_set_new(object, all[i].name,
					json_integer((json_int_t)all[i].value)) < 0)
			return -1;
	}
	return 0;
}

static json_t *compose(const struct sandcastle_exec_options *o)
{
	json_t *request = json_pack("{s:s, s:o, s:o}", "op", "exec", "argv", strings(o->argv),
				    "env", strings(o->env));

	if (request &&
	    (add_limits(request, o) < 0 ||
	     (o->workdir &&
	      json_object_set_new(request, "workdir", control_bytes_new(o->workdir)) < 0) ||
	     (o->tty && json_object_update_new(request, json_pack("{s:b, s:i, s:i}", "tty", 1,
								  "rows", (int)o->rows, "columns",
								  (int)o->columns)) < 0) ||
	     (o->user && json_object_set_new(request, "user", json_string(o->user)) < 0))) {
		json_decref(request);
		return NULL;
	}
	return request;
}

/* A refusal to run a command, as a status. */
static int exec_status(const json_t *reply)
{
	const char *error = json_string_value(json_object_get(reply, "error"));

	if (!error || strcmp(error, "exec-failed") != 0)
		return SANDCASTLE_E_REFUSED;
	return json_integer_value(json_object_get(reply, "errno")) == ENOENT
		       ? SANDCASTLE_E_NOT_FOUND
		       : SANDCASTLE_E_EXEC;
}

static struct sandcastle_command *new_command(struct sandcastle_sandbox *sb,
					      const struct sandcastle_exec_options *o)
{
	struct sandcastle_command *cmd = calloc(1, sizeof(*cmd));

	if (!cmd)
		return NULL;
	cmd->sb = sb;
	cmd->fn = o->output;
	cmd->data = o->data;
	for (int i = 0; i < 3; i++) {
		cmd->pipes[i] = -1;
		cmd->output[i] = (struct source){SOURCE_OUTPUT, -1, cmd, i};
	}
	cmd->next = sb->commands;
	sb->commands = cmd;
	return cmd;
}

void lib_forget_command(struct sandcastle_command *cmd)
{
	struct sandcastle_command **link = &cmd->sb->commands;

	for (int i = 0; i < 3; i++) {
		if (cmd->pipes[i] >= 0)
			close(cmd->pipes[i]);
		lib_unwatch(cmd->sb, &cmd->output[i]);
	}
	while (*link != cmd)
		link = &(*link)->next;
	*link = cmd->next;
	free(cmd);
}

static int exec_command(struct sandcastle_sandbox *sb, const struct sandcastle_exec_options *o,
			struct sandcastle_command **out)
{
	struct sandcastle_command *cmd;
	int fds[3] = {-1, -1, -1}, r = SANDCASTLE_OK;
	json_t *reply = NULL;

	if (!o->argv || !o->argv[0])
		return lib_fail(sb, SANDCASTLE_E_INVALID, "there is no command");
	if (o->reserved)
		return lib_fail(sb, SANDCASTLE_E_INVALID, "the reserved member has to be 0");
	if (o->limit_memory > INT64_MAX || o->limit_file_size > INT64_MAX)
		return lib_fail(sb, SANDCASTLE_E_INVALID, "a limit is too large");
	for (const char *const *e = o->env; e && *e; e++)
		if (!strchr(*e, '='))
			return lib_fail(sb, SANDCASTLE_E_INVALID, "env '%.100s' is not NAME=VALUE",
					*e);
	if (sb->state == LIB_NEW)
		return lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox was not started");
	r = lib_wait_ready(sb);
	if (r != SANDCASTLE_OK)
		return r;
	cmd = new_command(sb, o);
	if (!cmd)
		return lib_fail(sb, SANDCASTLE_E_MEMORY, "out of memory");
	for (int i = 0; i < 3 && r == SANDCASTLE_OK; i++)
		r = open_stream(sb, cmd, i, o, &fds[i]);
	if (r == SANDCASTLE_OK)
		r = lib_call(sb, compose(o), fds, 3, cmd, &reply);
	if (r == SANDCASTLE_E_REFUSED)
		r = exec_status(reply);
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	json_decref(reply);
	if (r == SANDCASTLE_OK)
		*out = cmd;
	else
		lib_forget_command(cmd);
	return r;
}

int sandcastle_exec(struct sandcastle_sandbox *sb, const struct sandcastle_exec_options *options,
		    struct sandcastle_command **out)
{
	struct sandcastle_exec_options ours;
	int r;

	if (!sb || !out)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	r = lib_take_options(sb, &ours, sizeof(ours), options);
	if (r == SANDCASTLE_OK)
		r = exec_command(sb, &ours, out);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_command_pipe(struct sandcastle_command *cmd, int stream)
{
	return cmd && stream >= 0 && stream < 3 ? cmd->pipes[stream] : -1;
}

void sandcastle_command_close(struct sandcastle_command *cmd, int stream)
{
	if (!cmd || stream < 0 || stream > 2 || cmd->pipes[stream] < 0)
		return;
	close(cmd->pipes[stream]);
	cmd->pipes[stream] = -1;
}

static bool is_over(void *data)
{
	const struct sandcastle_command *cmd = data;

	return lib_command_is_done(cmd) || cmd->sb->state == LIB_ENDED;
}

int sandcastle_command_wait(struct sandcastle_command *cmd, int timeout_ms, int *code)
{
	struct sandcastle_sandbox *sb = cmd ? cmd->sb : NULL;
	int r;

	if (!cmd)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	r = lib_wait_long(sb, is_over, cmd, timeout_ms);
	if (r == SANDCASTLE_OK && !cmd->exited)
		r = lib_fail(sb, SANDCASTLE_E_ENDED, "the sandbox ended before the command%s%s",
			     sb->end_message[0] ? ": " : "", sb->end_message);
	if (r == SANDCASTLE_OK && code)
		*code = cmd->code;
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_command_end_signal(struct sandcastle_command *cmd)
{
	int signal;

	if (!cmd)
		return 0;
	(void)pthread_mutex_lock(&cmd->sb->lock);
	signal = cmd->signal;
	(void)pthread_mutex_unlock(&cmd->sb->lock);
	return signal;
}

void *sandcastle_command_data(const struct sandcastle_command *cmd)
{
	return cmd ? cmd->data : NULL;
}

/* Whether a request was refused since the command has ended, which is no error then. */
static bool had_ended(const struct sandcastle_command *cmd, const json_t *reply)
{
	return cmd->exited || strcmp(lib_text(reply, "error"), CONTROL_E_NO_COMMAND) == 0;
}

static int signal_command(struct sandcastle_command *cmd, int signal)
{
	json_t *reply = NULL;
	int r;

	if (signal < 1 || signal > 64)
		return lib_fail(cmd->sb, SANDCASTLE_E_INVALID, "there is no signal %d", signal);
	if (cmd->exited)
		return SANDCASTLE_OK;
	r = lib_call(cmd->sb,
		     json_pack("{s:s, s:I, s:i}", "op", "signal", "command", cmd->number, "signal",
			       signal),
		     NULL, 0, NULL, &reply);
	if (r == SANDCASTLE_E_REFUSED && had_ended(cmd, reply))
		r = SANDCASTLE_OK;
	json_decref(reply);
	return r;
}

int sandcastle_command_usage(struct sandcastle_command *cmd, struct sandcastle_usage *usage)
{
	int r = SANDCASTLE_OK;

	if (!cmd || !usage || usage->size < sizeof(*usage))
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&cmd->sb->lock);
	if (cmd->exited) {
		usage->user_us = cmd->user_us;
		usage->system_us = cmd->system_us;
		usage->memory = cmd->memory;
	} else {
		r = SANDCASTLE_E_TIMEOUT;
	}
	(void)pthread_mutex_unlock(&cmd->sb->lock);
	return r;
}

int sandcastle_command_signal(struct sandcastle_command *cmd, int signal)
{
	int r;

	if (!cmd)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&cmd->sb->lock);
	r = signal_command(cmd, signal);
	(void)pthread_mutex_unlock(&cmd->sb->lock);
	return r;
}

int sandcastle_command_winsize(struct sandcastle_command *cmd, uint16_t rows, uint16_t columns)
{
	json_t *reply = NULL;
	int r = SANDCASTLE_OK;

	if (!cmd)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&cmd->sb->lock);
	if (!cmd->exited)
		r = lib_call(cmd->sb,
			     json_pack("{s:s, s:I, s:i, s:i}", "op", "winsize", "command",
				       cmd->number, "rows", (int)rows, "columns", (int)columns),
			     NULL, 0, NULL, &reply);
	if (r == SANDCASTLE_E_REFUSED && had_ended(cmd, reply))
		r = SANDCASTLE_OK;
	json_decref(reply);
	(void)pthread_mutex_unlock(&cmd->sb->lock);
	return r;
}

void sandcastle_command_free(struct sandcastle_command *cmd)
{
	struct sandcastle_sandbox *sb;

	if (!cmd)
		return;
	sb = cmd->sb;
	(void)pthread_mutex_lock(&sb->lock);
	if (!cmd->exited && sb->state == LIB_READY)
		lib_kill_command(sb, cmd->number);
	lib_forget_command(cmd);
	(void)pthread_mutex_unlock(&sb->lock);
}
