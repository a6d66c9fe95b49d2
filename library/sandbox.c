/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>

#include "common/clock.h"
#include "common/control_protocol.h"
#include "library/client/rundir.h"
#include "library/library_priv.h"

/* How long the sandbox may take to end when the handle is freed. */
enum { FREE_LIMIT_MS = 5000 };

int lib_fail(struct sandcastle *sb, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sb->message, sizeof(sb->message), fmt, ap);
	va_end(ap);
	return status;
}

int lib_take_options(struct sandcastle *sb, void *to, size_t ours, const void *from)
{
	size_t theirs;

	memset(to, 0, ours);
	if (!from)
		return lib_fail(sb, SANDCASTLE_E_INVALID, "the options are missing");
	memcpy(&theirs, from, sizeof(theirs));
	if (theirs < sizeof(theirs) || theirs > 65536)
		return lib_fail(sb, SANDCASTLE_E_INVALID,
				"the size of the options is not set: begin with ..._INIT");
	for (size_t i = ours; i < theirs; i++)
		if (((const unsigned char *)from)[i])
			return lib_fail(sb, SANDCASTLE_E_INVALID,
					"an option is set that this version does not know");
	memcpy(to, from, min_size(ours, theirs));
	return SANDCASTLE_OK;
}

int lib_watch(struct sandcastle *sb, struct source *src)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = src};

	return epoll_ctl(sb->inner_fd, EPOLL_CTL_ADD, src->fd, &ev) < 0 ? -errno : 0;
}

void lib_unwatch(struct sandcastle *sb, struct source *src)
{
	if (src->fd < 0)
		return;
	(void)epoll_ctl(sb->inner_fd, EPOLL_CTL_DEL, src->fd, NULL);
	if (src->kind != SOURCE_CONTROL)
		close(src->fd);
	src->fd = -1;
}

static const struct sandcastle_command *ended_command(const struct sandcastle *sb)
{
	for (const struct sandcastle_command *c = sb->commands; c; c = c->next)
		if (!c->fetched && lib_command_is_done(c))
			return c;
	return NULL;
}

static bool has_event(void *data)
{
	const struct sandcastle *sb = data;

	return (sb->client && !sb->ready_fetched) || ended_command(sb) ||
	       sb->pressure != sb->pressure_fetched ||
	       (sb->state == LIB_ENDED && !sb->ended_fetched);
}

/* Makes outer_fd readable exactly while an event waits. */
static void show_pending(struct sandcastle *sb)
{
	const bool pending = has_event(sb);
	uint64_t one = 1;

	if (pending == sb->pending_shown)
		return;
	if (pending)
		(void)!write(sb->pending_fd, &one, sizeof(one));
	else
		(void)!read(sb->pending_fd, &one, sizeof(one));
	sb->pending_shown = pending;
}

static void end(struct sandcastle *sb, int reason, const char *message)
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

static void read_said(struct sandcastle *sb)
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
static const char *why_not(struct sandcastle *sb)
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

static const char *text_of(const json_t *message, const char *key)
{
	const char *text = json_string_value(json_object_get(message, key));

	return text ? text : "";
}

/* Takes the pressure out of an event or the reply to "watch"; either may lack it. */
static void take_pressure(struct sandcastle *sb, const json_t *message)
{
	const char *word = text_of(message, "pressure");

	if (strcmp(word, "squeezing") == 0)
		sb->pressure = SANDCASTLE_PRESSURE_SQUEEZING;
	else if (strcmp(word, "calm") == 0)
		sb->pressure = SANDCASTLE_PRESSURE_CALM;
}

/* Asks for the events of the whole sandbox. The reply is taken in as an event is. */
static int watch_pressure(struct sandcastle *sb)
{
	int64_t id;

	if (!sb->pressure_wanted)
		return 0;
	return client_send(sb->client, json_pack("{s:s}", "op", "watch"), NULL, 0, &id);
}

/* Connects to the sandbox, which has said its name and that it is ready. */
static void connect_client(struct sandcastle *sb)
{
	int dir_fd = rundir_open(sb->top, sb->name);
	int r = dir_fd < 0 ? dir_fd : client_new(dir_fd, &sb->client);
	char text[128];

	if (dir_fd >= 0)
		close(dir_fd);
	if (r == 0) {
		sb->control.fd = client_fd(sb->client);
		r = watch_pressure(sb);
	}
	if (r == 0) {
		r = lib_watch(sb, &sb->control);
	}
	if (r == 0) {
		sb->state = LIB_READY;
		return;
	}
	snprintf(text, sizeof(text), "cannot connect to the sandbox: %s", strerror(-r));
	end(sb, SANDCASTLE_REASON_FAILED, text);
}

static void read_name(struct sandcastle *sb)
{
	ssize_t n = read(sb->name_from.fd, sb->name + sb->name_len,
			 sizeof(sb->name) - 1 - sb->name_len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		sb->name_len += (size_t)n;
		return;
	}
	/* The starting command has ended, or is about to. */
	lib_unwatch(sb, &sb->name_from);
	(void)waitpid(sb->starter, NULL, 0);
	sb->starter = 0;
	sb->name[strcspn(sb->name, "\n")] = '\0';
	if (sb->name[0]) {
		connect_client(sb);
		return;
	}
	while (sb->said_from.fd >= 0) {
		struct pollfd p = {.fd = sb->said_from.fd, .events = POLLIN};

		if (poll(&p, 1, 0) <= 0)
			break;
		read_said(sb);
	}
	end(sb, SANDCASTLE_REASON_FAILED, why_not(sb));
}

static void take_reply(struct sandcastle *sb, json_t *reply)
{
	const json_int_t id = json_integer_value(json_object_get(reply, "id"));

	for (struct call *c = sb->calls; c; c = c->next) {
		if (c->id != id || c->reply)
			continue;
		c->reply = json_incref(reply);
		/* Give it its number now: the next message may say that the command has ended. */
		if (c->command)
			c->command->number = json_integer_value(json_object_get(reply, "command"));
		return;
	}
}

static int reason_of(const char *word)
{
	if (strcmp(word, "stopped") == 0 || strcmp(word, "command") == 0)
		return SANDCASTLE_REASON_STOPPED;
	if (strcmp(word, "powered-off") == 0 || strcmp(word, "rebooted") == 0)
		return SANDCASTLE_REASON_POWERED_OFF;
	return strcmp(word, "panicked") == 0 ? SANDCASTLE_REASON_PANICKED
					     : SANDCASTLE_REASON_FAILED;
}

static void read_control(struct sandcastle *sb)
{
	json_t *message = NULL;
	int r = client_receive(sb->client, 0, &message);

	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r < 0) {
		end(sb, SANDCASTLE_REASON_FAILED, "the sandbox's process was killed");
		return;
	}
	take_pressure(sb, message);
	if (strcmp(text_of(message, "type"), "reply") == 0)
		take_reply(sb, message);
	else if (strcmp(text_of(message, "event"), "ended") == 0)
		end(sb, reason_of(text_of(message, "reason")), text_of(message, "message"));
	else if (strcmp(text_of(message, "event"), "exited") == 0)
		lib_command_event(sb, message);
	json_decref(message);
}

/* Takes in what can be read now; a flood of output does not keep the caller for ever. */
static void drain(struct sandcastle *sb)
{
	struct epoll_event ev;

	for (int i = 0; i < 64 && epoll_wait(sb->inner_fd, &ev, 1, 0) > 0; i++) {
		struct source *src = ev.data.ptr;

		switch (src->kind) {
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

static void wait_for_other(struct sandcastle *sb, int64_t end_ms, int timeout_ms)
{
	const struct timespec until = {end_ms / 1000, end_ms % 1000 * 1000000};

	if (timeout_ms < 0)
		(void)pthread_cond_wait(&sb->changed, &sb->lock);
	else
		(void)pthread_cond_timedwait(&sb->changed, &sb->lock, &until);
}

int lib_wait(struct sandcastle *sb, bool (*is_so)(void *data), void *data, int timeout_ms)
{
	const int64_t end_ms = (int64_t)now_ms() + timeout_ms;

	for (;;) {
		int64_t left;

		if (!sb->pumping) {
			sb->pumping = true;
			drain(sb);
			sb->pumping = false;
			(void)pthread_cond_broadcast(&sb->changed);
		}
		show_pending(sb);
		if (is_so(data))
			return SANDCASTLE_OK;
		left = end_ms - (int64_t)now_ms();
		if (timeout_ms >= 0 && left <= 0)
			return SANDCASTLE_E_TIMEOUT;
		if (sb->pumping) {
			wait_for_other(sb, end_ms, timeout_ms);
		} else {
			struct pollfd p = {.fd = sb->inner_fd, .events = POLLIN};

			sb->pumping = true;
			(void)pthread_mutex_unlock(&sb->lock);
			(void)poll(&p, 1, timeout_ms < 0 ? -1 : (int)left);
			(void)pthread_mutex_lock(&sb->lock);
			sb->pumping = false;
		}
	}
}

struct waited_call {
	struct sandcastle *sb;
	struct call *call;
};

static bool is_answered(void *data)
{
	const struct waited_call *w = data;

	return w->call->reply || w->sb->state == LIB_ENDED;
}

static int ended_failure(struct sandcastle *sb)
{
	return lib_fail(sb, SANDCASTLE_E_ENDED, "the sandbox has ended%s%s",
			sb->end_message[0] ? ": " : "", sb->end_message);
}

int lib_call(struct sandcastle *sb, json_t *request, const int *fds, size_t n_fds,
	     struct sandcastle_command *command, json_t **reply)
{
	struct call call = {.command = command, .next = sb->calls};
	struct waited_call w = {sb, &call};
	struct call **link;
	int r;

	if (!request)
		return lib_fail(sb, SANDCASTLE_E_MEMORY, "out of memory");
	if (sb->state != LIB_READY) {
		json_decref(request);
		return sb->state == LIB_ENDED
			       ? ended_failure(sb)
			       : lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox is not ready");
	}
	r = client_send(sb->client, request, fds, n_fds, &call.id);
	if (r < 0)
		return r == -ENOMEM || r == -E2BIG
			       ? lib_fail(sb, SANDCASTLE_E_INVALID, "the request is too long")
			       : lib_fail(sb, SANDCASTLE_E_ENDED, "the sandbox has ended");
	/* cppcheck-suppress autoVariables; it is taken out below, before we return */
	sb->calls = &call;
	(void)lib_wait(sb, is_answered, &w, -1);
	for (link = &sb->calls; *link != &call; link = &(*link)->next)
		;
	*link = call.next;
	if (!call.reply)
		return ended_failure(sb);
	*reply = call.reply;
	if (json_is_true(json_object_get(call.reply, "ok")))
		return SANDCASTLE_OK;
	return lib_fail(sb, SANDCASTLE_E_REFUSED, "%s", text_of(call.reply, "message"));
}

int sandcastle_new(struct sandcastle **out)
{
	struct sandcastle *sb = calloc(1, sizeof(*sb));
	struct epoll_event ev = {.events = EPOLLIN};
	pthread_condattr_t monotonic;

	if (!sb)
		return SANDCASTLE_E_MEMORY;
	(void)pthread_mutex_init(&sb->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&sb->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	sb->name_from = (struct source){.kind = SOURCE_NAME, .fd = -1};
	sb->said_from = (struct source){.kind = SOURCE_SAID, .fd = -1};
	sb->control = (struct source){.kind = SOURCE_CONTROL, .fd = -1};
	sb->inner_fd = epoll_create1(EPOLL_CLOEXEC);
	sb->outer_fd = epoll_create1(EPOLL_CLOEXEC);
	sb->pending_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sb->inner_fd < 0 || sb->outer_fd < 0 || sb->pending_fd < 0 ||
	    epoll_ctl(sb->outer_fd, EPOLL_CTL_ADD, sb->inner_fd, &ev) < 0 ||
	    epoll_ctl(sb->outer_fd, EPOLL_CTL_ADD, sb->pending_fd, &ev) < 0) {
		sandcastle_free(sb);
		return SANDCASTLE_E_SYSTEM;
	}
	*out = sb;
	return SANDCASTLE_OK;
}

static bool has_ended(void *data)
{
	return ((struct sandcastle *)data)->state == LIB_ENDED;
}

bool lib_is_ready_or_ended(void *data)
{
	const struct sandcastle *sb = data;

	return sb->state == LIB_READY || sb->state == LIB_ENDED;
}

/* Ends the sandbox, with all that runs in it, by force. */
static void end_by_force(struct sandcastle *sb)
{
	int64_t id;

	if (sb->starter > 0) {
		/* Until it is ready the sandbox dies with the command that starts it. */
		(void)kill(sb->starter, sb->outlive ? 0 : SIGKILL);
		if (!sb->outlive)
			(void)waitpid(sb->starter, NULL, 0);
		return;
	}
	if (sb->state != LIB_READY || sb->outlive)
		return;
	(void)!client_send(sb->client, json_pack("{s:s, s:b}", "op", "stop", "force", 1), NULL, 0,
			   &id);
	if (lib_wait(sb, has_ended, sb, FREE_LIMIT_MS) == SANDCASTLE_E_TIMEOUT)
		(void)kill(client_pid(sb->client), SIGKILL);
}

void sandcastle_free(struct sandcastle *sb)
{
	if (!sb)
		return;
	(void)pthread_mutex_lock(&sb->lock);
	end_by_force(sb);
	(void)pthread_mutex_unlock(&sb->lock);
	while (sb->commands)
		sandcastle_command_free(sb->commands);
	lib_unwatch(sb, &sb->name_from);
	lib_unwatch(sb, &sb->said_from);
	lib_unwatch(sb, &sb->control);
	client_free(sb->client);
	free(sb->top);
	for (int i = 0; i < 3; i++) {
		const int fd = (const int[]){sb->inner_fd, sb->outer_fd, sb->pending_fd}[i];

		if (fd >= 0)
			close(fd);
	}
	(void)pthread_cond_destroy(&sb->changed);
	(void)pthread_mutex_destroy(&sb->lock);
	free(sb);
}

int sandcastle_start(struct sandcastle *sb, const struct sandcastle_options *options)
{
	struct sandcastle_options ours;
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	r = lib_take_options(sb, &ours, sizeof(ours), options);
	if (r == SANDCASTLE_OK && sb->state != LIB_NEW)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "a handle can be started once");
	if (r == SANDCASTLE_OK && ours.reserved != 0)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the reserved member has to be 0");
	if (r == SANDCASTLE_OK)
		r = lib_spawn(sb, &ours);
	sb->pressure_wanted = r == SANDCASTLE_OK && ours.pressure_events != 0;
	if (r == SANDCASTLE_OK)
		sb->state = LIB_STARTING;
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_wait_ready(struct sandcastle *sb, int timeout_ms)
{
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	if (sb->state == LIB_NEW)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox was not started");
	else
		r = lib_wait(sb, lib_is_ready_or_ended, sb, timeout_ms);
	if (r == SANDCASTLE_OK && sb->state == LIB_ENDED)
		r = sb->client ? ended_failure(sb)
			       : lib_fail(sb, SANDCASTLE_E_START, "%s", sb->end_message);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_stop(struct sandcastle *sb, uint32_t grace_ms)
{
	json_t *reply = NULL;
	int r = SANDCASTLE_OK;

	(void)pthread_mutex_lock(&sb->lock);
	if (sb->state == LIB_STARTING) {
		(void)kill(sb->starter, SIGTERM);
	} else {
		r = lib_call(sb,
			     json_pack("{s:s, s:I, s:b}", "op", "stop", "timeout_ms",
				       (json_int_t)grace_ms, "force", grace_ms == 0),
			     NULL, 0, NULL, &reply);
		/* The sandbox has ended, which is what the caller asked for. */
		if (r == SANDCASTLE_E_ENDED)
			r = SANDCASTLE_OK;
	}
	json_decref(reply);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_wait(struct sandcastle *sb, int timeout_ms)
{
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	if (sb->state == LIB_NEW)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox was not started");
	else
		r = lib_wait(sb, has_ended, sb, timeout_ms);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

const char *sandcastle_name(struct sandcastle *sb)
{
	const char *name;

	(void)pthread_mutex_lock(&sb->lock);
	name = sb->client ? sb->name : NULL;
	(void)pthread_mutex_unlock(&sb->lock);
	return name;
}

size_t sandcastle_message(struct sandcastle *sb, char *buf, size_t len)
{
	size_t whole;

	(void)pthread_mutex_lock(&sb->lock);
	whole = strlen(sb->message);
	if (len > 0)
		snprintf(buf, len, "%s", sb->message);
	(void)pthread_mutex_unlock(&sb->lock);
	return whole;
}

int sandcastle_fd(const struct sandcastle *sb)
{
	return sb->outer_fd;
}

static void fetch_event(struct sandcastle *sb, struct sandcastle_event *event)
{
	*event = (struct sandcastle_event){.type = SANDCASTLE_EVENT_NONE};
	if (sb->client && !sb->ready_fetched) {
		sb->ready_fetched = true;
		event->type = SANDCASTLE_EVENT_READY;
		return;
	}
	for (struct sandcastle_command *c = sb->commands; c; c = c->next) {
		if (c->fetched || !lib_command_is_done(c))
			continue;
		c->fetched = true;
		*event = (struct sandcastle_event){SANDCASTLE_EVENT_EXITED, 0, c->code, c};
		return;
	}
	if (sb->pressure != sb->pressure_fetched) {
		sb->pressure_fetched = sb->pressure;
		event->type = SANDCASTLE_EVENT_PRESSURE;
		event->code = sb->pressure;
		return;
	}
	sb->ended_fetched = true;
	event->type = SANDCASTLE_EVENT_ENDED;
	event->reason = sb->reason;
	if (sb->reason == SANDCASTLE_REASON_FAILED)
		(void)lib_fail(sb, 0, "%s", sb->end_message);
}

int sandcastle_next_event(struct sandcastle *sb, int timeout_ms, struct sandcastle_event *event)
{
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	if (sb->state == LIB_ENDED && !has_event(sb))
		r = lib_fail(sb, SANDCASTLE_E_ENDED, "nothing more can happen");
	else
		r = lib_wait(sb, has_event, sb, timeout_ms);
	if (r == SANDCASTLE_OK)
		fetch_event(sb, event);
	show_pending(sb);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_logs(struct sandcastle *sb, uint64_t *position, char *buf, size_t len)
{
	json_t *reply = NULL;
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	if (len < 2 || *position > (uint64_t)CONTROL_MAX_ID)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "there is no room, or no such position");
	else
		r = lib_call(sb,
			     json_pack("{s:s, s:I}", "op", "logs", "from", (json_int_t)*position),
			     NULL, 0, NULL, &reply);
	if (r == SANDCASTLE_OK) {
		const char *text = text_of(reply, "text");
		const size_t n = min_size(strlen(text), len - 1);

		memcpy(buf, text, n);
		buf[n] = '\0';
		/* A byte of the text is a position. */
		*position = (uint64_t)json_integer_value(json_object_get(reply, "from")) + n;
	}
	json_decref(reply);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_stats(struct sandcastle *sb, struct sandcastle_stats *stats)
{
	struct sandcastle_stats all = {0};
	json_t *reply = NULL;
	size_t size = stats->size;
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	if (size < sizeof(size) || size > 65536)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the size of the stats is not set");
	else
		r = lib_call(sb, json_pack("{s:s}", "op", "stats"), NULL, 0, NULL, &reply);
	if (r == SANDCASTLE_OK) {
		const json_t *memory = json_object_get(reply, "memory");

		all.size = size;
		all.uptime_ms = (uint64_t)json_integer_value(json_object_get(reply, "uptime_ms"));
		all.cpu_ms = (uint64_t)json_integer_value(json_object_get(reply, "cpu_ms"));
		all.commands = (uint32_t)json_integer_value(json_object_get(reply, "commands"));
		all.resident = (uint64_t)json_integer_value(json_object_get(memory, "resident"));
		all.private_bytes =
			(uint64_t)json_integer_value(json_object_get(memory, "private"));
		all.pid = (uint32_t)client_pid(sb->client);
		/* A newer program's members that we do not know stay as they are: zero. */
		memcpy(stats, &all, min_size(size, sizeof(all)));
	}
	json_decref(reply);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

const char *sandcastle_version(void)
{
	return SANDCASTLE_VERSION;
}
