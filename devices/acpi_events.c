/* SPDX-License-Identifier: MIT */
#include "devices/acpi_events.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/state.h"

enum {
	SLEEP_ENABLE = 1 << 5,
	SLEEP_TYPE_SHIFT = 2,
	SLEEP_TYPE_MASK = 7,
	SLEEP_TYPE_S5 = 5, /* what \_S5 of dsdt.asl says */
};

struct acpi_events_state {
	uint32_t pending;
};

struct acpi_events {
	struct device dev;
	struct acpi_events_state state;
	acpi_request_fn requested;
	void *owner;
	int line_fd;
};

static void events_read(struct device *dev, unsigned int window, uint64_t off, void *data,
			unsigned int len)
{
	struct acpi_events *e = CONTAINER_OF(dev, struct acpi_events, dev);

	(void)window;
	memset(data, 0, len);
	if (off == ACPI_EVENTS_PENDING && len == sizeof(e->state.pending)) {
		memcpy(data, &e->state.pending, len);
		e->state.pending = 0;
	}
}

static void events_write(struct device *dev, unsigned int window, uint64_t off, const void *data,
			 unsigned int len)
{
	struct acpi_events *e = CONTAINER_OF(dev, struct acpi_events, dev);
	uint8_t v = *(const uint8_t *)data;

	(void)window;
	if (len != 1)
		return;
	if (off == ACPI_EVENTS_SLEEP_CONTROL && (v & SLEEP_ENABLE) &&
	    ((v >> SLEEP_TYPE_SHIFT) & SLEEP_TYPE_MASK) == SLEEP_TYPE_S5)
		e->requested(e->owner, ACPI_REQUEST_POWER_OFF);
	else if (off == ACPI_EVENTS_RESET && v == ACPI_EVENTS_RESET_VALUE)
		e->requested(e->owner, ACPI_REQUEST_RESET);
}

static void events_save(struct device *dev, struct state_writer *w)
{
	state_put_mark(w, STATE_MARK('A', 'C', 'P', 'I'));
	state_put_int(w, CONTAINER_OF(dev, struct acpi_events, dev)->state.pending, 4);
}

static void events_load(struct device *dev, struct state_reader *r)
{
	state_get_mark(r, STATE_MARK('A', 'C', 'P', 'I'));
	CONTAINER_OF(dev, struct acpi_events, dev)->state.pending = (uint32_t)state_get_int(r, 4);
}

/* The guest reads what is pending, if anything is. */
static void events_wake(struct device *dev)
{
	(void)!eventfd_write(CONTAINER_OF(dev, struct acpi_events, dev)->line_fd, 1);
}

static void events_destroy(struct device *dev)
{
	struct acpi_events *e = CONTAINER_OF(dev, struct acpi_events, dev);

	if (e->line_fd >= 0)
		close(e->line_fd);
	device_fini(dev);
	free(e);
}

static const struct device_ops acpi_events_ops = {
	.name = "acpi-events",
	.read = events_read,
	.write = events_write,
	.save = events_save,
	.load = events_load,
	.wake = events_wake,
	.destroy = events_destroy,
};

int acpi_events_new(struct wiring *wiring, unsigned int gsi, acpi_request_fn requested, void *owner,
		    struct device **out)
{
	struct acpi_events *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	device_init(&e->dev, &acpi_events_ops);
	e->requested = requested;
	e->owner = owner;
	e->line_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = e->line_fd < 0 ? -errno : wiring->ops->line_add(wiring, gsi, e->line_fd);
	if (r < 0) {
		events_destroy(&e->dev);
		return r;
	}
	*out = &e->dev;
	return 0;
}

void acpi_events_raise(struct device *dev, enum acpi_event event)
{
	struct acpi_events *e = CONTAINER_OF(dev, struct acpi_events, dev);

	pthread_mutex_lock(&dev->lock);
	e->state.pending |= 1u << event;
	pthread_mutex_unlock(&dev->lock);
	(void)!eventfd_write(e->line_fd, 1);
}
