/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "battery/battery.h"
#include "battery/source_priv.h"
#include "common/clock.h"
#include "common/log.h"

#define POWER_SUPPLY_CLASS "/sys/class/power_supply"

enum {
	/* Firmware corrects itself for a while after a plug is pulled, not always with an event. */
	SETTLE_MS = 2000,
	/* The kernel's drivers tell of status and alarms, not of each mWh. */
	DRIFT_MS = 60 * 1000,
	/* How old values may be when the guest looks. */
	STALE_MS = 5000,
};

struct host_source {
	struct power_source source;
	int class_fd, devices_fd;
	struct udev *udev;
	struct udev_monitor *monitor;
	struct loop_source uevent;
	struct loop_source look;
	struct loop_timer timer;
	uint64_t read_at; /* milliseconds of CLOCK_MONOTONIC */
};

static bool drifts(const struct power_state *state)
{
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++)
		if (state->batteries[i].status & (POWER_CHARGING | POWER_DISCHARGING))
			return true;
	return false;
}

static void refresh(struct host_source *h, bool announced)
{
	struct power_state state;
	int r = supply_read_sysfs(h->class_fd, h->devices_fd, &h->source.set);

	h->read_at = now_ms();
	if (r < 0) {
		log_debug("cannot read %s: %s", POWER_SUPPLY_CLASS, strerror(-r));
		h->source.set.n = 0;
	}
	power_source_tell(&h->source, announced, &state);
	if (announced)
		loop_timer_set(&h->timer, SETTLE_MS);
	else
		loop_timer_set(&h->timer, drifts(&state) ? loop_coarse_ms(DRIFT_MS) : 0);
}

static void uevent_arrived(struct loop_source *src, uint32_t events)
{
	struct host_source *h = CONTAINER_OF(src, struct host_source, uevent);
	struct udev_device *device;
	bool ours = false;

	(void)events;
	/* Other subsystems' events come out as NULL as well as an empty socket does. */
	while ((device = udev_monitor_receive_device(h->monitor))) {
		udev_device_unref(device);
		ours = true;
	}
	if (ours)
		refresh(h, true);
}

static void timer_fired(struct loop_timer *timer)
{
	refresh(CONTAINER_OF(timer, struct host_source, timer), false);
}

/* A guest that looks all the time gets new values every STALE_MS, no sooner. */
static void guest_looked(struct loop_source *src, uint32_t events)
{
	struct host_source *h = CONTAINER_OF(src, struct host_source, look);
	uint64_t age = now_ms() - h->read_at;
	eventfd_t n;

	(void)events;
	(void)!eventfd_read(src->fd, &n);
	if (age >= STALE_MS)
		refresh(h, false);
	else
		loop_timer_set(&h->timer, STALE_MS - age);
}

/*
 * The kernel's own events, not the daemon's: they come first, and a host or
 * container without the daemon has them too.
 */
static int watch_uevents(struct host_source *h, struct loop *loop)
{
	h->udev = udev_new();
	h->monitor = h->udev ? udev_monitor_new_from_netlink(h->udev, "kernel") : NULL;
	if (!h->monitor ||
	    udev_monitor_filter_add_match_subsystem_devtype(h->monitor, "power_supply", NULL) < 0 ||
	    udev_monitor_enable_receiving(h->monitor) < 0)
		return -ENOTSUP;
	h->uevent = (struct loop_source){
		.fd = udev_monitor_get_fd(h->monitor),
		.fn = uevent_arrived,
		.name = "power-uevent",
	};
	return loop_add(loop, &h->uevent, EPOLLIN);
}

static void host_destroy(struct power_source *source)
{
	struct host_source *h = CONTAINER_OF(source, struct host_source, source);

	loop_timer_fini(&h->timer);
	loop_remove(&h->look);
	loop_remove(&h->uevent);
	udev_monitor_unref(h->monitor);
	udev_unref(h->udev);
	if (h->class_fd >= 0)
		close(h->class_fd);
	if (h->devices_fd >= 0)
		close(h->devices_fd);
	free(h);
}

static const struct power_source_ops host_ops = {
	.destroy = host_destroy,
};

static int start(struct host_source *h, struct loop *loop)
{
	int r;

	h->class_fd = open(POWER_SUPPLY_CLASS, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* A kernel without the class: a machine on mains, as the device starts out. */
	if (h->class_fd < 0)
		return errno == ENOENT ? 0 : -errno;
	h->devices_fd = open("/sys/devices", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (h->devices_fd < 0)
		return -errno;
	if (watch_uevents(h, loop) < 0)
		log_info("the kernel's events cannot be heard here: "
			 "the guest sees changes of the host's power when it looks");
	r = loop_timer_init(&h->timer, loop, timer_fired, "power-timer");
	if (r == 0)
		r = loop_add(loop, &h->look, EPOLLIN);
	/*
	 * Read once the loop runs: where the embedded controller answers slowly the
	 * machine need not wait for it to start. The guest's drivers come later.
	 */
	if (r == 0)
		loop_timer_set(&h->timer, 1);
	return r;
}

int power_source_host_new(struct loop *loop, struct device *battery, struct power_source **out)
{
	struct host_source *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->source.ops = &host_ops;
	h->source.battery = battery;
	h->class_fd = h->devices_fd = -1;
	h->look = (struct loop_source){
		.fd = battery_look_fd(battery),
		.fn = guest_looked,
		.name = "power-look",
	};
	r = start(h, loop);
	if (r < 0) {
		host_destroy(&h->source);
		return r;
	}
	*out = &h->source;
	return 0;
}
