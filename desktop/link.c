/* SPDX-License-Identifier: MIT */
#include "desktop/link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "library/client/client.h"
#include "library/client/rundir.h"

/* How long the guest's programs may take to end when the window is closed. */
enum { STOP_MS = 2000 };

static int connect_to(struct link *l, const char *name)
{
	AUTO_FREE char *top = rundir_top();
	AUTO_CLOSE int dir = -1;

	if (!top)
		return -ENOMEM;
	dir = rundir_open(top, name);
	return dir < 0 ? dir : client_new(dir, &l->client);
}

static int ask_display(struct link *l, char *why, size_t why_size)
{
	json_t *reply = NULL;
	int r = client_call(l->client, json_pack("{ss}", "op", "display"), NULL, 0, &reply);

	if (r == -EREMOTEIO) {
		const char *message = json_string_value(json_object_get(reply, "message"));

		snprintf(why, why_size, "%s", message ? message : "it has no display");
	}
	json_decref(reply);
	if (r < 0)
		return r;
	l->wire = client_take_fd(l->client);
	return l->wire < 0 ? -EPROTO : 0;
}

/* Closed ends are skipped by poll(), as their number is negative. */
static int watch(void *arg)
{
	const struct link *l = arg;
	struct pollfd fds[] = {
		{.fd = l->stop_fd, .events = POLLIN},
		{.fd = l->wire, .events = POLLIN},
		{.fd = client_fd(l->client), .events = POLLIN},
	};

	for (;;) {
		SDL_Event event = {.type = l->event_type};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return 0;
		if (fds[0].revents)
			return 0;
		SDL_PushEvent(&event);
		SDL_SemWait(l->resume);
		/* Only this thread is outside of SDL_SemWait() while the main one closes an end. */
		fds[1].fd = l->wire;
		fds[2].fd = l->client ? client_fd(l->client) : -1;
	}
}

static int start_watch(struct link *l)
{
	l->resume = SDL_CreateSemaphore(0);
	l->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (!l->resume || l->stop_fd < 0)
		return -ENOMEM;
	l->thread = SDL_CreateThread(watch, "sockets", l);
	return l->thread ? 0 : -ENOMEM;
}

int link_open(struct link *l, const char *name, uint32_t event_type, char *why, size_t why_size)
{
	int r;

	*l = (struct link){.wire = -1, .stop_fd = -1, .event_type = event_type};
	r = connect_to(l, name);
	if (r < 0) {
		snprintf(why, why_size, "%s",
			 r == -ENOENT || r == -ECONNREFUSED ? "no sandbox of that name runs"
			 : r == -EPROTONOSUPPORT ? "the sandbox is of another version of Sandcastle"
						 : strerror(-r));
		return r;
	}
	snprintf(why, why_size, "the sandbox hung up");
	r = ask_display(l, why, why_size);
	return r < 0 ? r : start_watch(l);
}

void link_close(struct link *l)
{
	const uint64_t one = 1;

	if (l->thread) {
		if (write(l->stop_fd, &one, sizeof(one)) != sizeof(one))
			abort();
		SDL_SemPost(l->resume);
		SDL_WaitThread(l->thread, NULL);
	}
	if (l->resume)
		SDL_DestroySemaphore(l->resume);
	if (l->stop_fd >= 0)
		close(l->stop_fd);
	link_end_wire(l);
	client_free(l->client);
	*l = (struct link){.wire = -1, .stop_fd = -1};
}

void link_resume(struct link *l)
{
	SDL_SemPost(l->resume);
}

void link_end_wire(struct link *l)
{
	if (l->wire >= 0)
		close(l->wire);
	l->wire = -1;
}

int link_receive(struct link *l, union window_message *m, int *fd)
{
	int r = l->wire < 0 ? -EPIPE : window_wire_receive(l->wire, WINDOW_END_WINDOW, m, fd);

	if (r < 0 && r != -EAGAIN)
		link_end_wire(l);
	return r;
}

bool link_send(struct link *l, const union window_message *m)
{
	static const union window_message release = {.focus = {.type = WINDOW_FOCUS}};

	if (l->wire < 0)
		return false;
	if (l->unheard && window_wire_send(l->wire, &release, -1) < 0)
		return false;
	l->unheard = window_wire_send(l->wire, m, -1) < 0;
	return !l->unheard;
}

static void drop_client(struct link *l)
{
	client_free(l->client);
	l->client = NULL;
}

/* The event `ended`: an end that somebody wanted has nothing to be told. */
static bool is_end(const json_t *message, char *why, size_t why_size)
{
	const char *event = json_string_value(json_object_get(message, "event"));
	const char *reason = json_string_value(json_object_get(message, "reason"));
	const char *text = json_string_value(json_object_get(message, "message"));

	if (!event || strcmp(event, "ended") != 0)
		return false;
	if (!reason)
		reason = "failed";
	if (strcmp(reason, "stopped") == 0 || strcmp(reason, "command") == 0 ||
	    strcmp(reason, "powered-off") == 0)
		why[0] = '\0';
	else
		snprintf(why, why_size, "%s", text && *text ? text : reason);
	return true;
}

enum link_news link_control(struct link *l, int wait_ms, char *why, size_t why_size)
{
	json_t *message;
	bool ended;
	int r;

	if (!l->client)
		return LINK_NOTHING;
	while ((r = client_receive(l->client, wait_ms, &message)) == 0) {
		ended = is_end(message, why, why_size);
		json_decref(message);
		if (ended) {
			drop_client(l);
			return LINK_ENDED;
		}
	}
	if (r == -EAGAIN)
		return LINK_NOTHING;
	drop_client(l);
	snprintf(why, why_size, "The sandbox was killed.");
	return LINK_ENDED;
}

void link_stop(struct link *l)
{
	int64_t id;

	if (l->client &&
	    client_send(l->client, json_pack("{sssi}", "op", "stop", "timeout_ms", STOP_MS), NULL,
			0, &id) < 0)
		drop_client(l);
}
