/* SPDX-License-Identifier: MIT */
/* What a sandbox's descriptors have to say is taken in here, and waited for (DOC: who waits). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "library/client/rundir.h"
#include "library/library_priv.h"

int lib_watch(struct sandcastle_sandbox *sb, struct source *src)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = src};

	return epoll_ctl(sb->inner_fd, EPOLL_CTL_ADD, src->fd, &ev) < 0 ? -errno : 0;
}

void lib_unwatch(struct sandcastle_sandbox *sb, struct source *src)
{
	if (src->fd < 0)
		return;
	/* A forked child has the same epoll as its parent, to whom the sandbox belongs. */
	if (sb->maker == getpid())
		(void)epoll_ctl(sb->inner_fd, EPOLL_CTL_DEL, src->fd, NULL);
	if (src->kind != SOURCE_CONTROL)
		close(src->fd);
	src->fd = -1;
}

static const struct sandcastle_command *ended_command(const struct sandcastle_sandbox *sb)
{
	for (const struct sandcastle_command *c = sb->commands; c; c = c->next)
		if (!c->fetched && lib_command_is_done(c))
			return c;
	return NULL;
}

bool lib_has_event(void *data)
{
	const struct sandcastle_sandbox *sb = data;

	return (sb->was_ready && !sb->ready_fetched) || ended_command(sb) ||
	       sb->pressure != sb->pressure_fetched ||
	       (sb->state == LIB_ENDED && !sb->ended_fetched);
}

void lib_show_pending(struct sandcastle_sandbox *sb)
{
	const bool pending = lib_has_event(sb);
	uint64_t one = 1;

	if (pending == sb->pending_shown)
		return;
	if (pending)
		(void)!write(sb->pending_fd, &one, sizeof(one));
	else
		(void)!read(sb->pending_fd, &one, sizeof(one));
	sb->pending_shown = pending;
}

static void end(struct sandcastle_sandbox *sb, int reason, const char *message)
{
	if (sb->state == LIB_ENDED)
		return;
	sb->state = LIB_ENDED;
	sb->reason = reason;
	snprintf(sb->end_message, sizeof(sb->end_message), "%.*s", LIB_MESSAGE_MAX - 1, message);
	lib_unwatch(sb, &sb->name_from);
	lib_unwatch(sb, &sb->said_from);
	lib_unwatch(sb, &sb->control);
	/* A sandbox that has ended is not short of memory. */
	sb->pressure = sb->pressure_fetched;
}

static void read_said(struct sandcastle_sandbox *sb)
{
	char buf[SAID_MAX];
	ssize_t n = read(sb->said_from.fd, buf, sizeof(buf));
	size_t keep;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		lib_unwatch(sb, &sb->said_from);
		return;
	}
	keep = min_size(sb->said_len, SAID_MAX - 1 - min_size((size_t)n, SAID_MAX - 1));
	memmove(sb->said, sb->said + sb->said_len - keep, keep);
	sb->said_len = keep + min_size((size_t)n, SAID_MAX - 1);
	memcpy(sb->said + keep, buf, sb->said_len - keep);
	sb->said[sb->said_len] = '\0';
}

/* The last line of what the command said, which is why it could not. */
static const char *why_not(struct sandcastle_sandbox *sb)
{
	static const char prefix[] = "sandcastle: ";
	char *line;

	while (sb->said_len > 0 && strchr("\r\n", sb->said[sb->said_len - 1]))
		sb->said[--sb->said_len] = '\0';
	line = strrchr(sb->said, '\n');
	line = line ? line + 1 : sb->said;
	if (strncmp(line, prefix, sizeof(prefix) - 1) == 0)
		line += sizeof(prefix) - 1;
	return *line ? line : "the sandbox's process ended before it was ready";
}

const char *lib_text(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));

	return text ? text : "";
}

/* Takes the pressure out of an event or the reply to "watch"; either may lack it. */
static void take_pressure(struct sandcastle_sandbox *sb, const json_t *message)
{
	const char *word = lib_text(message, "pressure");

	if (strcmp(word, "squeezing") == 0)
		sb->pressure = SANDCASTLE_PRESSURE_SQUEEZING;
	else if (strcmp(word, "calm") == 0)
		sb->pressure = SANDCASTLE_PRESSURE_CALM;
}

/* Asks for the events of the whole sandbox. The reply is taken in as an event is. */
static int watch_pressure(struct sandcastle_sandbox *sb)
{
	int64_t id;

	if (!sb->pressure_wanted)
		return 0;
	return client_send(sb->client, json_pack("{s:s}", "op", "watch"), NULL, 0, &id);
}

static void end_unconnected(struct sandcastle_sandbox *sb, int error)
{
	char text[128];

	snprintf(text, sizeof(text), "cannot connect to the sandbox: %s", strerror(-error));
	end(sb, SANDCASTLE_REASON_FAILED, text);
}

int lib_connect(struct sandcastle_sandbox *sb)
{
	AUTO_CLOSE int dir_fd = rundir_open(sb->top, sb->name);
	int r = dir_fd < 0 ? dir_fd : client_connect(dir_fd, &sb->client);

	if (r < 0)
		return r;
	/* In another PID namespace it cannot be seen; then only the connection ends it. */
	sb->process_fd = client_process(sb->client);
	sb->control.fd = client_fd(sb->client);
	/* A sandbox that does not read its requests keeps nobody waiting who sends one more. */
	(void)fcntl(sb->control.fd, F_SETFL, O_NONBLOCK);
	return lib_watch(sb, &sb->control);
}

static void read_hello(struct sandcastle_sandbox *sb)
{
	int r = client_greet(sb->client, 0);

	if (r == -ETIMEDOUT)
		return;
	if (r == 0)
		r = watch_pressure(sb);
	if (r < 0) {
		end_unconnected(sb, r);
		return;
	}
	sb->was_ready = true;
	sb->state = LIB_READY;
}

/* It has ended without a name. What it said is why. */
static void end_unstarted(struct sandcastle_sandbox *sb)
{
	while (sb->said_from.fd >= 0) {
		struct pollfd p = {.fd = sb->said_from.fd, .events = POLLIN};

		if (poll(&p, 1, 0) <= 0)
			break;
		read_said(sb);
	}
	end(sb, SANDCASTLE_REASON_FAILED, why_not(sb));
}

static void read_name(struct sandcastle_sandbox *sb)
{
	ssize_t n = read(sb->name_from.fd, sb->name + sb->name_len,
			 sizeof(sb->name) - 1 - sb->name_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		sb->name_len += (size_t)n;
		return;
	}
	lib_unwatch(sb, &sb->name_from);
	sb->name[strcspn(sb->name, "\n")] = '\0';
	if (sb->name[0]) {
		const int error = lib_connect(sb);

		if (error < 0)
			end_unconnected(sb, error);
	} else if (sb->starter.fd < 0) {
		end_unstarted(sb);
	}
}

/* The command that starts the sandbox has ended. The program may have reaped it itself. */
static void reap_starter(struct sandcastle_sandbox *sb)
{
	siginfo_t info;

	(void)waitid(P_PIDFD, (id_t)sb->starter.fd, &info, WEXITED | WNOHANG);
	lib_unwatch(sb, &sb->starter);
	if (sb->state == LIB_STARTING && sb->name_from.fd < 0 && !sb->name[0])
		end_unstarted(sb);
}

void lib_kill_command(struct sandcastle_sandbox *sb, json_int_t number)
{
	int64_t id;

	(void)!client_send(
		sb->client,
		json_pack("{s:s, s:I, s:i}", "op", "signal", "command", number, "signal", SIGKILL),
		NULL, 0, &id);
}

/* A command that runs after all, though the call that started it has given up: nobody has it. */
static void end_orphan(struct sandcastle_sandbox *sb, const json_t *reply)
{
	const json_int_t number = json_integer_value(json_object_get(reply, "command"));

	if (number > 0)
		lib_kill_command(sb, number);
}

static void take_reply(struct sandcastle_sandbox *sb, json_t *reply)
{
	const json_int_t id = json_integer_value(json_object_get(reply, "id"));

	for (struct call *c = sb->calls; c; c = c->next) {
		if (c->id != id || c->reply)
			continue;
		c->reply = json_incref(reply);
		c->fd = client_take_fd(sb->client);
		/* Give it its number now: the next message may say that the command has ended. */
		if (c->command)
			c->command->number = json_integer_value(json_object_get(reply, "command"));
		return;
	}
	end_orphan(sb, reply);
}

static int reason_of(const char *word)
{
	if (strcmp(word, "time-limit") == 0)
		return SANDCASTLE_REASON_TIME_LIMIT;
	if (strcmp(word, "stopped") == 0 || strcmp(word, "command") == 0)
		return SANDCASTLE_REASON_STOPPED;
	if (strcmp(word, "powered-off") == 0 || strcmp(word, "rebooted") == 0)
		return SANDCASTLE_REASON_POWERED_OFF;
	return strcmp(word, "panicked") == 0 ? SANDCASTLE_REASON_PANICKED
					     : SANDCASTLE_REASON_FAILED;
}

static void read_control(struct sandcastle_sandbox *sb)
{
	json_t *message = NULL;
	int r;

	if (!sb->was_ready) {
		read_hello(sb);
		return;
	}
	r = client_receive(sb->client, 0, &message);
	if (r == -EAGAIN)
		return;
	if (r < 0) {
		end(sb, SANDCASTLE_REASON_FAILED, "the sandbox's process was killed");
		return;
	}
	take_pressure(sb, message);
	if (strcmp(lib_text(message, "type"), "reply") == 0) {
		take_reply(sb, message);
	} else if (strcmp(lib_text(message, "event"), "ended") == 0) {
		sb->said_end = true;
		end(sb, reason_of(lib_text(message, "reason")), lib_text(message, "message"));
	} else if (strcmp(lib_text(message, "event"), "exited") == 0) {
		lib_command_event(sb, message);
	}
	json_decref(message);
}

static void read_wake(struct sandcastle_sandbox *sb)
{
	uint64_t times;

	sb->woken = sb->woken || read(sb->wake.fd, &times, sizeof(times)) == sizeof(times);
}

/* What the sandbox itself has to say, not its commands' output. */
static void drain_control(struct sandcastle_sandbox *sb)
{
	struct pollfd p = {.events = POLLIN};

	for (int i = 0; i < 64 && sb->control.fd >= 0; i++) {
		p.fd = sb->control.fd;
		if (poll(&p, 1, 0) <= 0)
			break;
		read_control(sb);
	}
}

/* Takes in what can be read now; a flood of output does not keep the caller for ever. */
static void drain(struct sandcastle_sandbox *sb)
{
	struct epoll_event ev;

	for (int i = 0; i < 64 && epoll_wait(sb->inner_fd, &ev, 1, 0) > 0; i++) {
		struct source *src = ev.data.ptr;

		switch (src->kind) {
		case SOURCE_STARTER:
			reap_starter(sb);
			break;
		case SOURCE_WAKE:
			read_wake(sb);
			break;
		case SOURCE_NAME:
			read_name(sb);
			break;
		case SOURCE_SAID:
			read_said(sb);
			break;
		case SOURCE_CONTROL:
			read_control(sb);
			break;
		case SOURCE_OUTPUT:
			lib_command_output(sb, src);
			break;
		}
	}
}

static void wait_for_other(struct sandcastle_sandbox *sb, int64_t end_ms, int timeout_ms)
{
	const struct timespec until = {end_ms / 1000, end_ms % 1000 * 1000000};

	if (timeout_ms < 0)
		(void)pthread_cond_wait(&sb->changed, &sb->lock);
	else
		(void)pthread_cond_timedwait(&sb->changed, &sb->lock, &until);
}

/* True in output(), which was called from drain(): `pumping` is then this thread's. */
static bool is_in_output(const struct sandcastle_sandbox *sb)
{
	return sb->in_output && pthread_equal(sb->output_thread, pthread_self());
}

/* Takes in what is there, unless another thread does. */
static void take_in(struct sandcastle_sandbox *sb, bool in_output)
{
	if (in_output) {
		drain_control(sb);
	} else if (sb->pumping) {
		return;
	} else {
		sb->pumping = true;
		drain(sb);
		sb->pumping = false;
	}
	(void)pthread_cond_broadcast(&sb->changed);
}

int lib_wait(struct sandcastle_sandbox *sb, bool (*is_so)(void *data), void *data, int timeout_ms)
{
	const int64_t end_ms = (int64_t)now_ms() + timeout_ms;
	const bool in_output = is_in_output(sb);

	for (;;) {
		int64_t left;

		take_in(sb, in_output);
		lib_show_pending(sb);
		if (is_so(data))
			return SANDCASTLE_OK;
		left = end_ms - (int64_t)now_ms();
		if (timeout_ms >= 0 && left <= 0)
			return SANDCASTLE_E_TIMEOUT;
		if (sb->pumping && !in_output) {
			wait_for_other(sb, end_ms, timeout_ms);
		} else {
			struct pollfd p = {.fd = in_output ? sb->control.fd : sb->inner_fd,
					   .events = POLLIN};

			sb->pumping = true;
			(void)pthread_mutex_unlock(&sb->lock);
			(void)poll(&p, 1, timeout_ms < 0 ? -1 : (int)left);
			(void)pthread_mutex_lock(&sb->lock);
			sb->pumping = in_output;
		}
	}
}

struct long_wait {
	struct sandcastle_sandbox *sb;
	bool (*is_so)(void *data);
	void *data;
};

static bool is_so_or_woken(void *data)
{
	const struct long_wait *w = data;

	return w->is_so(w->data) || w->sb->woken;
}

int lib_wait_long(struct sandcastle_sandbox *sb, bool (*is_so)(void *data), void *data,
		  int timeout_ms)
{
	struct long_wait w = {sb, is_so, data};

	if (is_in_output(sb))
		return lib_fail(sb, SANDCASTLE_E_INVALID, "output() may not wait");
	if (lib_wait(sb, is_so_or_woken, &w, timeout_ms) != SANDCASTLE_OK)
		return SANDCASTLE_E_TIMEOUT;
	if (is_so(data))
		return SANDCASTLE_OK;
	sb->woken = false;
	return SANDCASTLE_E_INTERRUPTED;
}

struct waited_call {
	struct sandcastle_sandbox *sb;
	struct call *call;
};

static bool is_answered(void *data)
{
	const struct waited_call *w = data;

	return w->call->reply || w->sb->state == LIB_ENDED;
}

int lib_ended_failure(struct sandcastle_sandbox *sb)
{
	return lib_fail(sb, SANDCASTLE_E_ENDED, "the sandbox has ended%s%s",
			sb->end_message[0] ? ": " : "", sb->end_message);
}

static int no_answer(struct sandcastle_sandbox *sb)
{
	return lib_fail(sb, SANDCASTLE_E_TIMEOUT, "the sandbox has not answered within %d ms",
			sb->call_limit_ms);
}

static int send_failure(struct sandcastle_sandbox *sb, int error)
{
	if (error == -ENOMEM || error == -E2BIG)
		return lib_fail(sb, SANDCASTLE_E_INVALID, "the request is too long");
	if (error == -EAGAIN)
		return lib_fail(sb, SANDCASTLE_E_TIMEOUT,
				"the sandbox does not take requests any more");
	/* It has hung up. What it said before that is why. */
	drain_control(sb);
	end(sb, SANDCASTLE_REASON_FAILED, "the sandbox's process was killed");
	return lib_ended_failure(sb);
}

/* Sends it and waits; what came of it is in `call`. */
static int call_and_wait(struct sandcastle_sandbox *sb, struct call *call, json_t *request,
			 const int *fds, size_t n_fds)
{
	struct waited_call w = {sb, call};
	struct call **link;
	int r;

	if (!request)
		return lib_fail(sb, SANDCASTLE_E_MEMORY, "out of memory");
	if (sb->state != LIB_READY) {
		json_decref(request);
		return sb->state == LIB_ENDED
			       ? lib_ended_failure(sb)
			       : lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox is not ready");
	}
	r = client_send(sb->client, request, fds, n_fds, &call->id);
	if (r < 0)
		return send_failure(sb, r);
	call->next = sb->calls;
	sb->calls = call;
	(void)lib_wait(sb, is_answered, &w, sb->call_limit_ms);
	for (link = &sb->calls; *link != call; link = &(*link)->next)
		;
	*link = call->next;
	if (!call->reply)
		return sb->state == LIB_ENDED ? lib_ended_failure(sb) : no_answer(sb);
	if (json_is_true(json_object_get(call->reply, "ok")))
		return SANDCASTLE_OK;
	return lib_fail(sb, SANDCASTLE_E_REFUSED, "%s", lib_text(call->reply, "message"));
}

int lib_call(struct sandcastle_sandbox *sb, json_t *request, const int *fds, size_t n_fds,
	     struct sandcastle_command *command, json_t **reply)
{
	struct call call = {.command = command, .fd = -1};
	int r = call_and_wait(sb, &call, request, fds, n_fds);

	if (call.fd >= 0)
		close(call.fd);
	if (call.reply)
		*reply = call.reply;
	return r;
}

int lib_call_for_fd(struct sandcastle_sandbox *sb, json_t *request, json_t **reply, int *fd)
{
	struct call call = {.fd = -1};
	int r = call_and_wait(sb, &call, request, NULL, 0);

	if (call.reply)
		*reply = call.reply;
	*fd = call.fd;
	return r;
}

int lib_wait_ready(struct sandcastle_sandbox *sb)
{
	if (sb->state != LIB_STARTING)
		return SANDCASTLE_OK;
	return lib_wait(sb, lib_is_ready_or_ended, sb, sb->call_limit_ms) == SANDCASTLE_OK
		       ? SANDCASTLE_OK
		       : lib_fail(sb, SANDCASTLE_E_TIMEOUT, "it was not ready within %d ms",
				  sb->call_limit_ms);
}

void lib_signal_process(const struct sandcastle_sandbox *sb, int signal)
{
	const int fd = sb->process_fd >= 0 ? sb->process_fd : sb->starter.fd;

	if (fd >= 0)
		(void)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
}
