/* SPDX-License-Identifier: MIT */
#include "guest-agent/watch.h"

#include <errno.h>
#include <sys/epoll.h>

void watch_init(struct watch *w, int epfd, int fd, watch_fn fn)
{
	*w = (struct watch){.epfd = epfd, .fd = fd, .fn = fn};
}

int watch_set(struct watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (w->on && w->events == events)
		return 0;
	if (epoll_ctl(w->epfd, w->on ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, w->fd, &ev) < 0)
		return -errno;
	w->on = true;
	w->events = events;
	return 0;
}

void watch_off(struct watch *w)
{
	if (w->on)
		(void)epoll_ctl(w->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	w->on = false;
}

int watch_run_one(int epfd, int timeout_ms)
{
	struct epoll_event ev;
	struct watch *w;
	int n = epoll_wait(epfd, &ev, 1, timeout_ms);

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	if (n == 0)
		return 1;
	w = ev.data.ptr;
	w->fn(w, ev.events);
	return 0;
}
