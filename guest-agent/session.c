/* SPDX-License-Identifier: MIT */
#include "guest-agent/session.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "guest-agent/graphics.h"

enum { UNTOLD_MS = 20 };

static int handle_exec(struct session *s, const struct sc_header *h, const uint8_t *body)
{
	struct exec_request req;
	session_fn started = s->started;
	int r = exec_parse(body, h->length, &req);

	if (r < 0)
		return r;
	if (s->clock)
		clock_wake(s->clock);
	r = commands_exec(&s->commands, h->id, &req);
	exec_fini(&req);
	s->started = NULL;
	if (started)
		started(s);
	return r;
}

static int handle_map(struct session *s, const struct sc_header *h, const uint8_t *body)
{
	AUTO_FREE char *path = NULL;
	struct text why = {.len = 0};
	struct setup_map map;
	struct wire_message m;
	int r = map_parse(body, h->length, &map, &path);

	if (r < 0)
		return r;
	if (s->map)
		r = s->map(s, &map, h->type == SC_MSG_UNMAP, &why);
	else
		r = text_fail(&why, -EOPNOTSUPP, "mount", path);
	wire_begin(&m, r < 0 ? SC_MSG_MAP_FAILED : SC_MSG_MAP_DONE, h->id);
	if (r < 0) {
		wire_put_u32(&m, SC_FIELD_ERRNO, (uint32_t)-r);
		wire_put_str(&m, SC_FIELD_TEXT, why.buf);
	}
	return link_send(s->link, &m);
}

static int handle_connect(struct session *s, const struct sc_header *h, const uint8_t *body)
{
	struct connect_request req;
	int r = connect_parse(body, h->length, &req);

	if (r < 0)
		return r;
	return req.udp ? datagrams_open(&s->datagrams, h->id, req.port)
		       : connections_open(&s->connections, h->id, req.port);
}

/* In a process of its own: the kernel waits for what is on its way in the driver. */
static int handle_graphics_lost(void)
{
	if (fork() == 0)
		_exit(graphics_rebind(GRAPHICS_DRIVER) < 0);
	return 0;
}

static int handle(struct session *s, const struct sc_header *h, const uint8_t *body)
{
	struct winsize_request w;
	int sig, r;

	switch (h->type) {
	case SC_MSG_EXEC:
		return handle_exec(s, h, body);
	case SC_MSG_SIGNAL:
		r = signal_parse(body, h->length, &sig);
		if (r == 0)
			commands_signal(&s->commands, h->id, sig);
		return r;
	case SC_MSG_WINSIZE:
		r = winsize_parse(body, h->length, &w);
		if (r == 0)
			commands_winsize(&s->commands, h->id, &w);
		return r;
	case SC_MSG_MAP:
	case SC_MSG_UNMAP:
		return handle_map(s, h, body);
	case SC_MSG_CONNECT:
		return handle_connect(s, h, body);
	case SC_MSG_GRAPHICS_LOST:
		return handle_graphics_lost();
	case SC_MSG_SHUTDOWN:
		s->over = true;
		return 0;
	default:
		return -EPROTO;
	}
}

static void control_event(struct watch *w, uint32_t events)
{
	struct session *s = CONTAINER_OF(w, struct session, control);
	struct sc_header h;
	uint8_t *body;
	int r;

	(void)events;
	/* One message an event: what follows it makes the next event. */
	r = link_receive(s->link, &h, &body);
	if (r > 0) {
		r = handle(s, &h, body);
		free(body);
	}
	if (r < 0)
		s->error = r;
}

static void children_event(struct watch *w, uint32_t events)
{
	struct session *s = CONTAINER_OF(w, struct session, children);
	struct signalfd_siginfo info;

	(void)events;
	/* Signals of one kind merge, so it only says that there is something to collect. */
	(void)!read(w->fd, &info, sizeof(info));
	commands_reap(&s->commands);
}

int session_init(struct session *s, struct link *link, const struct user *invoker,
		 const struct sc_network *network)
{
	sigset_t mask;
	int fd = -1, r;

	*s = (struct session){.epfd = epoll_create1(EPOLL_CLOEXEC), .link = link};
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	if (s->epfd < 0 || sigprocmask(SIG_BLOCK, &mask, NULL) < 0 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    (fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
		r = -errno;
		session_fini(s);
		return r;
	}
	commands_init(&s->commands, s->epfd, link, invoker);
	connections_init(&s->connections, s->epfd, link, network);
	datagrams_init(&s->datagrams, s->epfd, link, network);
	watch_init(&s->children, s->epfd, fd, children_event);
	watch_init(&s->control, s->epfd, link->control, control_event);
	r = watch_set(&s->children, EPOLLIN);
	if (r == 0)
		r = watch_set(&s->control, EPOLLIN);
	if (r < 0)
		session_fini(s);
	return r;
}

void session_fini(struct session *s)
{
	commands_fini(&s->commands);
	connections_fini(&s->connections);
	datagrams_fini(&s->datagrams);
	watch_off(&s->control);
	if (s->clock)
		watch_off(&s->clock_watch);
	if (s->children.fn)
		close(s->children.fd);
	if (s->epfd >= 0)
		close(s->epfd);
	*s = (struct session){.epfd = -1};
}

static void clock_event(struct watch *w, uint32_t events)
{
	struct session *s = CONTAINER_OF(w, struct session, clock_watch);

	(void)events;
	if (clock_hear(s->clock))
		return;
	/* Closed, it is watched no more. */
	s->clock = NULL;
}

int session_keep_clock(struct session *s, struct clock *clock)
{
	watch_init(&s->clock_watch, s->epfd, clock->fd, clock_event);
	s->clock = clock;
	return watch_set(&s->clock_watch, EPOLLIN);
}

/* A guest without commands has no use for the time, and sleeps. */
static int time_to_wait(struct session *s)
{
	if (commands_untold(&s->commands))
		return UNTOLD_MS;
	return s->clock && commands_running(&s->commands) ? clock_turn(s->clock) : -1;
}

static int run_one(struct session *s)
{
	int r = watch_run_one(s->epfd, time_to_wait(s));

	if (r == 1 && commands_untold(&s->commands))
		commands_tell(&s->commands);
	return r < 0 ? r : 0;
}

int session_run(struct session *s)
{
	int r = 0;

	while (r == 0 && !s->over) {
		r = run_one(s);
		if (r == 0)
			r = s->error ? s->error : s->commands.error;
		if (r == 0)
			r = s->connections.error ? s->connections.error : s->datagrams.error;
	}
	return r;
}
