/* SPDX-License-Identifier: MIT */
#include "devices/board/device.h"

#include <assert.h>
#include <errno.h>

#include "common/state.h"

void device_init(struct device *dev, const struct device_ops *ops)
{
	assert(ops->name && ops->read && ops->write && ops->destroy);
	dev->ops = ops;
	pthread_mutex_init(&dev->lock, NULL);
}

void device_fini(struct device *dev)
{
	if (dev->ops)
		pthread_mutex_destroy(&dev->lock);
}

static void device_event_run(struct loop_source *src, uint32_t events)
{
	struct device_event *ev = CONTAINER_OF(src, struct device_event, src);

	pthread_mutex_lock(&ev->dev->lock);
	ev->fn(ev->dev, ev, events);
	pthread_mutex_unlock(&ev->dev->lock);
}

int device_watch(struct device *dev, struct loop *loop, struct device_event *ev, int fd,
		 uint32_t events, device_event_fn fn, const char *name)
{
	ev->src = (struct loop_source){.fd = fd, .fn = device_event_run, .name = name};
	ev->dev = dev;
	ev->fn = fn;
	return loop_add(loop, &ev->src, events);
}

void device_unwatch(struct device_event *ev)
{
	loop_remove(&ev->src);
}

void device_save(struct device *dev, struct state_writer *w)
{
	if (!dev->ops->save) {
		state_refuse(w, -EOPNOTSUPP);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	dev->ops->save(dev, w);
	pthread_mutex_unlock(&dev->lock);
}

void device_load(struct device *dev, struct state_reader *r)
{
	if (!dev->ops->load) {
		state_fail(r, -EOPNOTSUPP);
		return;
	}
	pthread_mutex_lock(&dev->lock);
	dev->ops->load(dev, r);
	pthread_mutex_unlock(&dev->lock);
}

void device_wake(struct device *dev)
{
	if (!dev->ops->wake)
		return;
	pthread_mutex_lock(&dev->lock);
	dev->ops->wake(dev);
	pthread_mutex_unlock(&dev->lock);
}
