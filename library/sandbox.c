/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/control_protocol.h"
#include "library/library_priv.h"

/*
 * How long the sandbox may take to end when the handle is freed, and what asks it waits for its answer
 * if the options say nothing.
 */
enum { FREE_LIMIT_MS = 5000, CALL_LIMIT_MS = 60 * 1000 };

int lib_fail(struct sandcastle_sandbox *sb, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sb->message, sizeof(sb->message), fmt, ap);
	va_end(ap);
	return status;
}

int lib_take_options(struct sandcastle_sandbox *sb, void *to, size_t ours, const void *from)
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

int sandcastle_new(struct sandcastle_sandbox **out)
{
	struct sandcastle_sandbox *sb = out ? calloc(1, sizeof(*sb)) : NULL;
	struct epoll_event ev = {.events = EPOLLIN};
	pthread_condattr_t monotonic;

	if (!sb)
		return out ? SANDCASTLE_E_MEMORY : SANDCASTLE_E_INVALID;
	sb->maker = getpid();
	sb->process_fd = -1;
	sb->call_limit_ms = CALL_LIMIT_MS;
	(void)pthread_mutex_init(&sb->lock, NULL);
	(void)pthread_condattr_init(&monotonic);
	(void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&sb->changed, &monotonic);
	(void)pthread_condattr_destroy(&monotonic);
	sb->name_from = (struct source){.kind = SOURCE_NAME, .fd = -1};
	sb->said_from = (struct source){.kind = SOURCE_SAID, .fd = -1};
	sb->control = (struct source){.kind = SOURCE_CONTROL, .fd = -1};
	sb->starter = (struct source){.kind = SOURCE_STARTER, .fd = -1};
	sb->wake =
		(struct source){.kind = SOURCE_WAKE, .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	sb->inner_fd = epoll_create1(EPOLL_CLOEXEC);
	sb->outer_fd = epoll_create1(EPOLL_CLOEXEC);
	sb->pending_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sb->inner_fd < 0 || sb->outer_fd < 0 || sb->pending_fd < 0 || sb->wake.fd < 0 ||
	    lib_watch(sb, &sb->wake) < 0 ||
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
	return ((struct sandcastle_sandbox *)data)->state == LIB_ENDED;
}

bool lib_is_ready_or_ended(void *data)
{
	const struct sandcastle_sandbox *sb = data;

	return sb->state == LIB_READY || sb->state == LIB_ENDED;
}

/* Ends the sandbox, with all that runs in it, by force. */
static void end_by_force(struct sandcastle_sandbox *sb)
{
	siginfo_t info;
	int64_t id;

	if (sb->outlive)
		return;
	/* Until it is ready the sandbox dies with the command that starts it. */
	if (sb->state == LIB_READY &&
	    client_send(sb->client, json_pack("{s:s, s:b}", "op", "stop", "force", 1), NULL, 0,
			&id) == 0)
		(void)lib_wait(sb, has_ended, sb, FREE_LIMIT_MS);
	/* One that has said that it ends tidies up behind itself. */
	if (!sb->said_end)
		lib_signal_process(sb, SIGKILL);
	if (sb->starter.fd < 0)
		return;
	while (waitid(P_PIDFD, (id_t)sb->starter.fd, &info, WEXITED) < 0 && errno == EINTR)
		;
}

void sandcastle_free(struct sandcastle_sandbox *sb)
{
	if (!sb)
		return;
	/* In a forked child there is nothing to end, and the lock may be another thread's. */
	if (sb->maker == getpid()) {
		(void)pthread_mutex_lock(&sb->lock);
		end_by_force(sb);
		sb->state = LIB_ENDED;
		(void)pthread_mutex_unlock(&sb->lock);
	}
	while (sb->commands)
		lib_forget_command(sb->commands);
	lib_unwatch(sb, &sb->name_from);
	lib_unwatch(sb, &sb->said_from);
	lib_unwatch(sb, &sb->control);
	lib_unwatch(sb, &sb->starter);
	lib_unwatch(sb, &sb->wake);
	client_free(sb->client);
	free(sb->top);
	for (int i = 0; i < 4; i++) {
		const int fd = (const int[]){sb->inner_fd, sb->outer_fd, sb->pending_fd,
					     sb->process_fd}[i];

		if (fd >= 0)
			close(fd);
	}
	if (sb->maker == getpid()) {
		(void)pthread_cond_destroy(&sb->changed);
		(void)pthread_mutex_destroy(&sb->lock);
	}
	free(sb);
}

int sandcastle_start(struct sandcastle_sandbox *sb, const struct sandcastle_options *options)
{
	struct sandcastle_options ours;
	int r;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	r = lib_take_options(sb, &ours, sizeof(ours), options);
	if (r == SANDCASTLE_OK && sb->state != LIB_NEW)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "a handle can be started once");
	if (r == SANDCASTLE_OK)
		r = lib_check_options(sb, &ours);
	if (r == SANDCASTLE_OK && ours.call_timeout_ms)
		sb->call_limit_ms = ours.call_timeout_ms;
	if (r == SANDCASTLE_OK)
		r = lib_spawn(sb, &ours);
	sb->pressure_wanted = r == SANDCASTLE_OK && ours.pressure_events != 0;
	if (r == SANDCASTLE_OK)
		sb->state = LIB_STARTING;
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

/* Why a start has failed, for a program that does without sandboxes where there can be none. */
static int start_failure(const struct sandcastle_sandbox *sb)
{
	return strstr(sb->end_message, "/dev/kvm") && sandcastle_probe() != SANDCASTLE_OK
		       ? SANDCASTLE_E_NO_KVM
		       : SANDCASTLE_E_START;
}

int sandcastle_probe(void)
{
	AUTO_CLOSE int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	return fd < 0 ? SANDCASTLE_E_NO_KVM : SANDCASTLE_OK;
}

int sandcastle_wait_ready(struct sandcastle_sandbox *sb, int timeout_ms)
{
	int r;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (sb->state == LIB_NEW)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox was not started");
	else
		r = lib_wait_long(sb, lib_is_ready_or_ended, sb, timeout_ms);
	if (r == SANDCASTLE_OK && sb->state == LIB_ENDED)
		r = sb->was_ready ? lib_ended_failure(sb)
				  : lib_fail(sb, start_failure(sb), "%s", sb->end_message);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_stop(struct sandcastle_sandbox *sb, uint32_t grace_ms)
{
	json_t *reply = NULL;
	int r = SANDCASTLE_OK;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (sb->state == LIB_STARTING) {
		lib_signal_process(sb, SIGTERM);
	} else if (sb->state != LIB_ENDED) {
		r = lib_call(sb,
			     json_pack("{s:s, s:I, s:b}", "op", "stop", "timeout_ms",
				       (json_int_t)grace_ms, "force", grace_ms == 0),
			     NULL, 0, NULL, &reply);
		/* It ended meanwhile, which is what the caller asked for. */
		if (r == SANDCASTLE_E_ENDED)
			r = SANDCASTLE_OK;
	}
	json_decref(reply);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_wait(struct sandcastle_sandbox *sb, int timeout_ms)
{
	int r;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (sb->state == LIB_NEW)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox was not started");
	else
		r = lib_wait_long(sb, has_ended, sb, timeout_ms);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

const char *sandcastle_name(struct sandcastle_sandbox *sb)
{
	const char *name;

	(void)pthread_mutex_lock(&sb->lock);
	name = sb->was_ready ? sb->name : NULL;
	(void)pthread_mutex_unlock(&sb->lock);
	return name;
}

size_t sandcastle_message(struct sandcastle_sandbox *sb, char *buf, size_t len)
{
	size_t whole;

	(void)pthread_mutex_lock(&sb->lock);
	whole = strlen(sb->message);
	if (buf && len > 0)
		snprintf(buf, len, "%s", sb->message);
	(void)pthread_mutex_unlock(&sb->lock);
	return whole;
}

int sandcastle_fd(const struct sandcastle_sandbox *sb)
{
	return sb ? sb->outer_fd : -1;
}

void sandcastle_wake(struct sandcastle_sandbox *sb)
{
	const uint64_t once = 1;

	if (sb)
		(void)!write(sb->wake.fd, &once, sizeof(once));
}

void sandcastle_set_data(struct sandcastle_sandbox *sb, void *data)
{
	sb->data = data;
}

void *sandcastle_data(const struct sandcastle_sandbox *sb)
{
	return sb->data;
}

static void fetch_event(struct sandcastle_sandbox *sb, struct sandcastle_event *event)
{
	*event = (struct sandcastle_event){.type = SANDCASTLE_EVENT_NONE};
	if (sb->was_ready && !sb->ready_fetched) {
		sb->ready_fetched = true;
		event->type = SANDCASTLE_EVENT_READY;
		return;
	}
	for (struct sandcastle_command *c = sb->commands; c; c = c->next) {
		if (c->fetched || !lib_command_is_done(c))
			continue;
		c->fetched = true;
		*event = (struct sandcastle_event){.type = SANDCASTLE_EVENT_EXITED,
						   .code = c->code,
						   .signal = c->signal,
						   .command = c,
						   .data = c->data};
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

int sandcastle_next_event(struct sandcastle_sandbox *sb, int timeout_ms,
			  struct sandcastle_event *event)
{
	struct sandcastle_event ours;
	int r = SANDCASTLE_OK;

	if (!sb || !event)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (event->size < sizeof(event->size) || event->size > 65536)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the size of the event is not set");
	else if (sb->state == LIB_NEW)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the sandbox was not started");
	else if (sb->state == LIB_ENDED && !lib_has_event(sb))
		r = lib_fail(sb, SANDCASTLE_E_ENDED, "nothing more can happen");
	else
		r = lib_wait_long(sb, lib_has_event, sb, timeout_ms);
	if (r == SANDCASTLE_OK) {
		fetch_event(sb, &ours);
		ours.size = event->size;
		memcpy(event, &ours, min_size(event->size, sizeof(ours)));
	}
	lib_show_pending(sb);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_logs(struct sandcastle_sandbox *sb, uint64_t *position, char *buf, size_t len)
{
	json_t *reply = NULL;
	int r;

	if (!sb || !position || !buf)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (len < 2 || *position > (uint64_t)CONTROL_MAX_ID)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "there is no room, or no such position");
	else
		r = lib_call(sb,
			     json_pack("{s:s, s:I}", "op", "logs", "from", (json_int_t)*position),
			     NULL, 0, NULL, &reply);
	if (r == SANDCASTLE_OK) {
		const char *text = lib_text(reply, "text");
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

int sandcastle_stats(struct sandcastle_sandbox *sb, struct sandcastle_stats *stats)
{
	struct sandcastle_stats all = {0};
	json_t *reply = NULL;
	size_t size;
	int r;

	if (!sb || !stats)
		return SANDCASTLE_E_INVALID;
	size = stats->size;
	(void)pthread_mutex_lock(&sb->lock);
	if (size < sizeof(size) || size > 65536)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "the size of the stats is not set");
	else
		r = lib_call(sb, json_pack("{s:s}", "op", "stats"), NULL, 0, NULL, &reply);
	if (r == SANDCASTLE_OK) {
		const json_t *memory = json_object_get(reply, "memory");
		const json_t *guest = json_object_get(memory, "guest");

		all.size = size;
		all.uptime_ms = (uint64_t)json_integer_value(json_object_get(reply, "uptime_ms"));
		all.cpu_ms = (uint64_t)json_integer_value(json_object_get(reply, "cpu_ms"));
		all.commands = (uint32_t)json_integer_value(json_object_get(reply, "commands"));
		all.resident = (uint64_t)json_integer_value(json_object_get(memory, "resident"));
		all.private_bytes =
			(uint64_t)json_integer_value(json_object_get(memory, "private"));
		all.guest_total = (uint64_t)json_integer_value(json_object_get(guest, "total"));
		all.guest_available =
			(uint64_t)json_integer_value(json_object_get(guest, "available"));
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
