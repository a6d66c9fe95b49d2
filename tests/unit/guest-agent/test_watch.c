/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "guest-agent/watch.h"

static struct watch a, b;
static unsigned int n_calls;
static struct watch *last;
static uint32_t last_events;
static int epfd, pipe_a[2], pipe_b[2];

static void heard(struct watch *w, uint32_t events)
{
	n_calls++;
	last = w;
	last_events = events;
}

static void open_all(void)
{
	epfd = epoll_create1(EPOLL_CLOEXEC);
	cr_assert_geq(epfd, 0);
	cr_assert_eq(pipe2(pipe_a, O_CLOEXEC), 0);
	cr_assert_eq(pipe2(pipe_b, O_CLOEXEC), 0);
	watch_init(&a, epfd, pipe_a[0], heard);
	watch_init(&b, epfd, pipe_b[0], heard);
}

Test(watch, the_one_that_is_ready_is_called, .init = open_all)
{
	cr_assert_eq(watch_set(&a, EPOLLIN), 0);
	cr_assert_eq(watch_set(&b, EPOLLIN), 0);
	cr_assert_eq(write(pipe_b[1], "x", 1), 1);
	cr_assert_eq(watch_run_one(epfd, -1), 0);
	cr_assert_eq(n_calls, 1u);
	cr_assert_eq(last, &b);
	cr_assert_eq(last_events, (uint32_t)EPOLLIN);
}

Test(watch, without_events_only_a_hang_up_is_heard, .init = open_all)
{
	cr_assert_eq(watch_set(&a, EPOLLIN), 0);
	cr_assert_eq(watch_set(&a, 0), 0);
	cr_assert_eq(watch_set(&b, EPOLLIN), 0);
	cr_assert_eq(write(pipe_a[1], "x", 1), 1);
	cr_assert_eq(write(pipe_b[1], "x", 1), 1);
	cr_assert_eq(watch_run_one(epfd, -1), 0);
	cr_assert_eq(last, &b);
	watch_off(&b);
	close(pipe_a[1]);
	cr_assert_eq(watch_run_one(epfd, -1), 0);
	cr_assert_eq(last, &a);
	cr_assert_neq(last_events & EPOLLHUP, 0u);
}

/* Ends itself and the other, whose event is due as well. */
static void ends_both(struct watch *w, uint32_t events)
{
	heard(w, events);
	watch_off(&a);
	watch_off(&b);
}

Test(watch, a_callback_may_end_any, .init = open_all)
{
	struct epoll_event ev;

	watch_init(&a, epfd, pipe_a[0], ends_both);
	watch_init(&b, epfd, pipe_b[0], ends_both);
	cr_assert_eq(watch_set(&a, EPOLLIN), 0);
	cr_assert_eq(watch_set(&b, EPOLLIN), 0);
	cr_assert_eq(write(pipe_a[1], "x", 1), 1);
	cr_assert_eq(write(pipe_b[1], "x", 1), 1);
	cr_assert_eq(watch_run_one(epfd, -1), 0);
	cr_assert_eq(n_calls, 1u);
	cr_assert_eq(epoll_wait(epfd, &ev, 1, 0), 0);
}

Test(watch, off_twice_and_what_cannot_be_watched, .init = open_all)
{
	struct watch zeroed = {0};

	watch_off(&zeroed);
	cr_assert_eq(watch_set(&a, EPOLLIN), 0);
	watch_off(&a);
	watch_off(&a);
	/* On again after that. */
	cr_assert_eq(watch_set(&a, EPOLLIN), 0);
	watch_off(&a);
	close(pipe_a[0]);
	cr_assert_eq(watch_set(&a, EPOLLIN), -EBADF);
	cr_assert_eq(watch_run_one(-1, -1), -EBADF);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	cr_assert_eq(watch_run_one(epfd, 0), 1, "the time was up");
	close(epfd);
}
