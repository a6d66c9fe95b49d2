/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "devices/board/device.h"

struct fake {
	struct device dev;
	struct device_event event;
	struct loop *loop;
	unsigned int n_events;
	bool was_locked;
};

static void no_read(struct device *dev, unsigned int window, uint64_t off, void *data,
		    unsigned int len)
{
	(void)dev;
	(void)window;
	(void)off;
	(void)data;
	(void)len;
}

static void no_write(struct device *dev, unsigned int window, uint64_t off, const void *data,
		     unsigned int len)
{
	(void)dev;
	(void)window;
	(void)off;
	(void)data;
	(void)len;
}

static void no_destroy(struct device *dev)
{
	(void)dev;
}

static const struct device_ops ops = {
	.name = "fake", .read = no_read, .write = no_write, .destroy = no_destroy};

static void heard(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct fake *f = CONTAINER_OF(dev, struct fake, dev);

	cr_assert_eq(ev, &f->event);
	cr_assert_eq(events, (uint32_t)EPOLLIN);
	f->n_events++;
	f->was_locked = pthread_mutex_trylock(&dev->lock) == EBUSY;
	loop_stop(f->loop);
}

Test(device, an_event_comes_under_the_lock_until_it_is_unwatched)
{
	struct fake f = {0};
	const int fd = eventfd(1, EFD_CLOEXEC);

	device_init(&f.dev, &ops);
	cr_assert_eq(loop_new(&f.loop), 0);
	cr_assert_eq(device_watch(&f.dev, f.loop, &f.event, fd, EPOLLIN, heard, "test"), 0);
	cr_assert_eq(loop_run(f.loop), 0);
	cr_assert_eq(f.n_events, 1u);
	cr_assert(f.was_locked);
	/* The lock is free again. */
	cr_assert_eq(pthread_mutex_trylock(&f.dev.lock), 0);
	cr_assert_eq(pthread_mutex_unlock(&f.dev.lock), 0);

	device_unwatch(&f.event);
	device_unwatch(&f.event);
	loop_stop(f.loop);
	cr_assert_eq(loop_run(f.loop), 0);
	cr_assert_eq(f.n_events, 1u);
	loop_free(f.loop);
	device_fini(&f.dev);
	close(fd);
}

Test(device, what_cannot_be_watched_and_zeroes)
{
	struct fake f = {0};

	device_unwatch(&f.event);
	device_fini(&f.dev);
	device_init(&f.dev, &ops);
	cr_assert_eq(loop_new(&f.loop), 0);
	cr_assert_eq(device_watch(&f.dev, f.loop, &f.event, -1, EPOLLIN, heard, "test"), -EBADF);
	loop_free(f.loop);
	device_fini(&f.dev);
}
