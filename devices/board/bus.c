/* SPDX-License-Identifier: MIT */
#include "devices/board/bus.h"

#include <errno.h>
#include <string.h>

struct bus_window {
	uint64_t base;
	uint64_t len;
	struct device *dev;
	unsigned int number;
};

struct bus {
	struct bus_window windows[BUS_MAX_WINDOWS]; /* sorted by base */
	unsigned int n_windows;
};

int bus_new(struct bus **out)
{
	struct bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		return -ENOMEM;
	*out = bus;
	return 0;
}

void bus_free(struct bus *bus)
{
	free(bus);
}

/* Index of the first window that starts above addr. */
static unsigned int first_above(const struct bus *bus, uint64_t addr)
{
	unsigned int lo = 0, hi = bus->n_windows;

	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;

		if (bus->windows[mid].base > addr)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

int bus_map(struct bus *bus, uint64_t base, uint64_t len, struct device *dev, unsigned int window)
{
	unsigned int i;

	if (len == 0 || base > UINT64_MAX - len)
		return -EINVAL;
	if (bus->n_windows == BUS_MAX_WINDOWS)
		return -ENOSPC;
	i = first_above(bus, base);
	if (i > 0 && base - bus->windows[i - 1].base < bus->windows[i - 1].len)
		return -EEXIST;
	if (i < bus->n_windows && bus->windows[i].base - base < len)
		return -EEXIST;
	memmove(&bus->windows[i + 1], &bus->windows[i],
		(bus->n_windows - i) * sizeof(bus->windows[0]));
	bus->windows[i] = (struct bus_window){base, len, dev, window};
	bus->n_windows++;
	return 0;
}

static const struct bus_window *find(const struct bus *bus, uint64_t addr, unsigned int len)
{
	unsigned int i = first_above(bus, addr);
	const struct bus_window *w;

	if (i == 0)
		return NULL;
	w = &bus->windows[i - 1];
	if (addr - w->base >= w->len || w->len - (addr - w->base) < len)
		return NULL;
	return w;
}

int bus_read(struct bus *bus, uint64_t addr, void *data, unsigned int len)
{
	const struct bus_window *w = find(bus, addr, len);

	if (!w) {
		memset(data, 0xff, len);
		return -ENXIO;
	}
	pthread_mutex_lock(&w->dev->lock);
	w->dev->ops->read(w->dev, w->number, addr - w->base, data, len);
	pthread_mutex_unlock(&w->dev->lock);
	return 0;
}

int bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned int len)
{
	const struct bus_window *w = find(bus, addr, len);

	if (!w)
		return -ENXIO;
	pthread_mutex_lock(&w->dev->lock);
	w->dev->ops->write(w->dev, w->number, addr - w->base, data, len);
	pthread_mutex_unlock(&w->dev->lock);
	return 0;
}
