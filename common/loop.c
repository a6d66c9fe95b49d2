/* SPDX-License-Identifier: MIT */
#include "common/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>

enum { LOOP_BATCH = 32 };

struct loop {
	int epfd;
	atomic_bool stopping;
	struct loop_source wake;

	pthread_mutex_t task_lock;
	struct loop_task *tasks, **tasks_end;
	atomic_bool posted; /* there is a task; changes under task_lock */

	/*
	 * The batch being dispatched. A callback may remove a source that a
	 * later event of the same batch names, so loop_remove() strikes it out.
	 */
	struct epoll_event batch[LOOP_BATCH];
	int n_batch;
};

/* Runs the tasks posted so far. One that is posted meanwhile wakes the loop again. */
static void run_tasks(struct loop *loop)
{
	struct loop_task *task;

	pthread_mutex_lock(&loop->task_lock);
	task = loop->tasks;
	loop->tasks = NULL;
	loop->tasks_end = &loop->tasks;
	atomic_store(&loop->posted, false);
	pthread_mutex_unlock(&loop->task_lock);
	while (task) {
		struct loop_task *next = task->next;

		task->fn(task);
		task = next;
	}
}

static void wake_event(struct loop_source *src, uint32_t events)
{
	eventfd_t n;

	(void)events;
	(void)!eventfd_read(src->fd, &n);
	run_tasks(CONTAINER_OF(src, struct loop, wake));
}

int loop_new(struct loop **out)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	int r;

	if (!loop)
		return -ENOMEM;
	loop->wake = (struct loop_source){.fd = -1, .fn = wake_event, .name = "loop-wake"};
	loop->tasks_end = &loop->tasks;
	pthread_mutex_init(&loop->task_lock, NULL);
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0)
		goto fail;
	loop->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake.fd < 0)
		goto fail;
	r = loop_add(loop, &loop->wake, EPOLLIN);
	if (r < 0) {
		loop_free(loop);
		return r;
	}
	*out = loop;
	return 0;
fail:
	r = -errno;
	loop_free(loop);
	return r;
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	if (loop->wake.fd >= 0)
		close(loop->wake.fd);
	if (loop->epfd >= 0)
		close(loop->epfd);
	pthread_mutex_destroy(&loop->task_lock);
	free(loop);
}

int loop_add(struct loop *loop, struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, src->fd, &ev) < 0)
		return -errno;
	src->loop = loop;
	return 0;
}

int loop_modify(struct loop_source *src, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = src};

	if (epoll_ctl(src->loop->epfd, EPOLL_CTL_MOD, src->fd, &ev) < 0)
		return -errno;
	return 0;
}

void loop_remove(struct loop_source *src)
{
	struct loop *loop = src->loop;

	if (!loop)
		return;
	(void)epoll_ctl(loop->epfd, EPOLL_CTL_DEL, src->fd, NULL);
	for (int i = 0; i < loop->n_batch; i++)
		if (loop->batch[i].data.ptr == src)
			loop->batch[i].data.ptr = NULL;
	src->loop = NULL;
}

/* Calls back for the batch; what came meanwhile from elsewhere does not wait for its end. */
static void dispatch(struct loop *loop)
{
	for (int i = 0; i < loop->n_batch && !atomic_load(&loop->stopping); i++) {
		struct loop_source *src = loop->batch[i].data.ptr;

		if (src)
			src->fn(src, loop->batch[i].events);
		if (atomic_load(&loop->posted))
			run_tasks(loop);
	}
	loop->n_batch = 0;
}

int loop_run(struct loop *loop)
{
	while (!atomic_load(&loop->stopping)) {
		int n = epoll_wait(loop->epfd, loop->batch, LOOP_BATCH, -1);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		loop->n_batch = n;
		dispatch(loop);
	}
	atomic_store(&loop->stopping, false);
	return 0;
}

void loop_stop(struct loop *loop)
{
	int saved = errno;

	atomic_store(&loop->stopping, true);
	(void)!eventfd_write(loop->wake.fd, 1);
	errno = saved;
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	task->next = NULL;
	pthread_mutex_lock(&loop->task_lock);
	*loop->tasks_end = task;
	loop->tasks_end = &task->next;
	atomic_store(&loop->posted, true);
	pthread_mutex_unlock(&loop->task_lock);
	(void)!eventfd_write(loop->wake.fd, 1);
}

bool loop_is_wanted(const struct loop *loop)
{
	return atomic_load(&loop->stopping) || atomic_load(&loop->posted);
}

static void timer_event(struct loop_source *src, uint32_t events)
{
	struct loop_timer *timer = CONTAINER_OF(src, struct loop_timer, src);
	uint64_t expirations;

	(void)events;
	/* Nothing to read: it was set again after this batch was collected. */
	if (read(src->fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	timer->fn(timer);
}

int loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_timer_fn fn, const char *name)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	timer->src = (struct loop_source){.fd = fd, .fn = timer_event, .name = name};
	timer->fn = fn;
	r = loop_add(loop, &timer->src, EPOLLIN);
	if (r < 0)
		close(fd);
	return r;
}

void loop_timer_set(struct loop_timer *timer, uint64_t ms)
{
	struct itimerspec spec = {
		.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
	};

	/* Cannot fail: the fd is a timerfd and the values are in range. */
	(void)timerfd_settime(timer->src.fd, 0, &spec, NULL);
}

uint64_t loop_coarse_ms(uint64_t ms)
{
	struct timespec now;
	uint64_t past;

	clock_gettime(CLOCK_MONOTONIC, &now);
	past = ((uint64_t)now.tv_nsec / 1000000 + ms) % 1000;
	return past < 500 ? ms - past : ms + 1000 - past;
}

void loop_timer_fini(struct loop_timer *timer)
{
	if (!timer->src.loop)
		return;
	loop_remove(&timer->src);
	close(timer->src.fd);
}
