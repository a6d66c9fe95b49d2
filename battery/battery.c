/* SPDX-License-Identifier: MIT */
#include "battery/battery.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/state.h"

_Static_assert(sizeof(struct battery_slot) == BATTERY_SLOT_SIZE, "what slot.asl has");
_Static_assert(offsetof(struct battery_slot, status) == BATTERY_STATUS, "what slot.asl has");
_Static_assert(offsetof(struct battery_slot, trip) == BATTERY_TRIP, "what slot.asl has");
_Static_assert(offsetof(struct battery_slot, maker) == 0x70, "what slot.asl has");
_Static_assert(offsetof(struct battery_regs, slots) == BATTERY_SLOTS, "what battery.asl has");

enum {
	/*
	 * Linux answers from its copy of _BST for a second (cache_time of its battery
	 * driver), also when it was just notified. A guest that did not read what it
	 * was told of is told again after that time, some times.
	 */
	RETELL_MS = 1100,
	RETELL_MAX = 3,
};

struct battery_state {
	struct battery_regs regs;
	uint32_t unread; /* STATUS events whose battery was not read since */
	uint32_t told_percent[POWER_MAX_BATTERIES]; /* at the last STATUS event */
	bool driven; /* the guest has read a register */
	bool look_pending; /* it looked, and no update came since */
};

struct battery {
	struct device dev;
	struct battery_state state;
	struct loop_timer retell;
	unsigned int retold;
	int line_fd, look_fd;
	battery_power_fn changed;
	void *owner;
	bool on_battery; /* as `changed` was last told */
};

static uint32_t status_event(unsigned int slot)
{
	return (uint32_t)BATTERY_EVENT_STATUS << (2 * slot);
}

static uint32_t info_event(unsigned int slot)
{
	return (uint32_t)BATTERY_EVENT_INFO << (2 * slot);
}

static void looked(struct battery *b)
{
	if (b->state.look_pending)
		return;
	b->state.look_pending = true;
	(void)!eventfd_write(b->look_fd, 1);
}

/* What a read of register `off` does beside giving its value. */
static void register_read(struct battery *b, uint64_t off)
{
	b->state.driven = true;
	if (off == BATTERY_PENDING)
		b->state.regs.pending = 0;
	if (off == BATTERY_ONLINE)
		looked(b);
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++)
		if (off == BATTERY_SLOTS + i * BATTERY_SLOT_SIZE + BATTERY_STATUS) {
			b->state.unread &= ~status_event(i);
			looked(b);
		}
}

static void battery_read(struct device *dev, unsigned int window, uint64_t off, void *data,
			 unsigned int len)
{
	struct battery *b = CONTAINER_OF(dev, struct battery, dev);
	const size_t size = sizeof(b->state.regs);

	(void)window;
	memset(data, 0, len);
	if (off >= size)
		return;
	memcpy(data, (const char *)&b->state.regs + off, min_size(len, size - off));
	if (len == sizeof(uint32_t))
		register_read(b, off);
}

static void battery_write(struct device *dev, unsigned int window, uint64_t off, const void *data,
			  unsigned int len)
{
	struct battery *b = CONTAINER_OF(dev, struct battery, dev);

	(void)window;
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++)
		if (off == BATTERY_SLOTS + i * BATTERY_SLOT_SIZE + BATTERY_TRIP &&
		    len == sizeof(uint32_t))
			memcpy(&b->state.regs.slots[i].trip, data, len);
}

/* The values are the host's, now; the guest's own are trip points, and that it is there at all. */
static void battery_save(struct device *dev, struct state_writer *w)
{
	const struct battery_state *s = &CONTAINER_OF(dev, struct battery, dev)->state;

	state_put_mark(w, STATE_MARK('B', 'A', 'T', 'T'));
	state_put_int(w, s->driven, 1);
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++) {
		state_put_int(w, s->regs.slots[i].present, 4);
		state_put_int(w, s->regs.slots[i].trip, 4);
	}
}

/* A guest that was started with another set of batteries has made up its mind about them. */
static void battery_load(struct device *dev, struct state_reader *r)
{
	struct battery_state *s = &CONTAINER_OF(dev, struct battery, dev)->state;

	state_get_mark(r, STATE_MARK('B', 'A', 'T', 'T'));
	s->driven = state_get_int(r, 1) != 0;
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++) {
		if (state_get_int(r, 4) != s->regs.slots[i].present)
			state_fail(r, -ESTALE);
		s->regs.slots[i].trip = (uint32_t)state_get_int(r, 4);
	}
}

/* What it knew of them may be old. */
static void battery_wake(struct device *dev)
{
	struct battery *b = CONTAINER_OF(dev, struct battery, dev);

	b->state.regs.pending |= BATTERY_EVENT_AC;
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++)
		if (b->state.regs.slots[i].present)
			b->state.regs.pending |= status_event(i) | info_event(i);
	(void)!eventfd_write(b->line_fd, 1);
}

static void battery_destroy(struct device *dev)
{
	struct battery *b = CONTAINER_OF(dev, struct battery, dev);

	loop_timer_fini(&b->retell);
	if (b->line_fd >= 0)
		close(b->line_fd);
	if (b->look_fd >= 0)
		close(b->look_fd);
	device_fini(dev);
	free(b);
}

static const struct device_ops battery_ops = {
	.name = "battery",
	.read = battery_read,
	.write = battery_write,
	.save = battery_save,
	.load = battery_load,
	.wake = battery_wake,
	.destroy = battery_destroy,
};

static void retell(struct loop_timer *timer)
{
	struct battery *b = CONTAINER_OF(timer, struct battery, retell);
	uint32_t unread;

	pthread_mutex_lock(&b->dev.lock);
	unread = b->state.unread;
	b->state.regs.pending |= unread;
	pthread_mutex_unlock(&b->dev.lock);
	if (unread == 0)
		return;
	(void)!eventfd_write(b->line_fd, 1);
	if (++b->retold < RETELL_MAX)
		loop_timer_set(&b->retell, RETELL_MS);
}

int battery_new(struct wiring *wiring, unsigned int gsi, struct loop *loop,
		battery_power_fn changed, void *owner, struct device **out)
{
	struct battery *b = calloc(1, sizeof(*b));
	int r;

	if (!b)
		return -ENOMEM;
	device_init(&b->dev, &battery_ops);
	b->state.regs.online = 1;
	b->changed = changed;
	b->owner = owner;
	b->line_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	b->look_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = b->line_fd < 0 || b->look_fd < 0 ? -errno : 0;
	if (r == 0)
		r = loop_timer_init(&b->retell, loop, retell, "battery-retell");
	if (r == 0)
		r = wiring->ops->line_add(wiring, gsi, b->line_fd);
	if (r < 0) {
		battery_destroy(&b->dev);
		return r;
	}
	*out = &b->dev;
	return 0;
}

static struct battery_slot make_slot(const struct power_battery *p, uint32_t trip)
{
	struct battery_slot s = {
		.present = p->present,
		.unit = p->unit,
		.design = p->design,
		.full = p->full,
		.design_voltage = p->design_voltage,
		.warning = p->warning,
		.low = p->low,
		.cycles = p->cycles,
		.status = p->status,
		.rate = p->rate,
		.remaining = p->remaining,
		.voltage = p->voltage,
		.trip = trip,
	};

	memcpy(s.model, p->model, sizeof(s.model));
	memcpy(s.type, p->type, sizeof(s.type));
	memcpy(s.maker, p->maker, sizeof(s.maker));
	return s;
}

/* What _STA and _BIX tell of. */
static bool info_differs(const struct battery_slot *a, const struct battery_slot *b)
{
	const size_t strings = offsetof(struct battery_slot, model);

	return memcmp(a, b, BATTERY_STATUS) != 0 ||
	       memcmp((const char *)a + strings, (const char *)b + strings, sizeof(*a) - strings) !=
		       0;
}

/* What _BST tells of. */
static bool status_differs(const struct battery_slot *a, const struct battery_slot *b)
{
	return memcmp((const char *)a + BATTERY_STATUS, (const char *)b + BATTERY_STATUS,
		      BATTERY_TRIP - BATTERY_STATUS) != 0;
}

static uint32_t percent(const struct battery_slot *s)
{
	return s->full == 0 ? 0 : (uint32_t)((uint64_t)s->remaining * 100 / s->full);
}

/* _BTP: either way across the trip point. */
static bool trips(const struct battery_slot *old, const struct battery_slot *new)
{
	return new->trip != 0 && (old->remaining > new->trip) != (new->remaining > new->trip);
}

static uint32_t update_slot(struct battery_state *state, unsigned int i,
			    const struct power_battery *p, bool announced)
{
	struct battery_slot *slot = &state->regs.slots[i];
	const struct battery_slot new = make_slot(p, slot->trip);
	uint32_t events = 0;

	if (info_differs(slot, &new))
		events |= info_event(i);
	if (new.present != slot->present || new.status != slot->status || trips(slot, &new) ||
	    percent(&new) != state->told_percent[i] || (announced && status_differs(slot, &new)))
		events |= status_event(i);
	*slot = new;
	if (events & status_event(i))
		state->told_percent[i] = percent(&new);
	/* Of a battery that is gone nothing will be read. */
	if (new.present)
		state->unread |= events & status_event(i);
	else
		state->unread &= ~status_event(i);
	return events;
}

/* Off the plug, or on one that does not carry the load (a weak charger). */
static bool runs_on_battery(const struct power_state *state)
{
	bool present = false, discharging = false;

	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++) {
		present |= state->batteries[i].present;
		discharging |= (state->batteries[i].status & POWER_DISCHARGING) != 0;
	}
	return discharging || (present && !state->ac_online);
}

static void tell_owner(struct battery *b, bool on_battery)
{
	if (b->on_battery == on_battery)
		return;
	b->on_battery = on_battery;
	if (b->changed)
		b->changed(b->owner, on_battery);
}

void battery_update(struct device *dev, const struct power_state *state, bool announced)
{
	struct battery *b = CONTAINER_OF(dev, struct battery, dev);
	uint32_t events = 0;

	pthread_mutex_lock(&dev->lock);
	if (b->state.regs.online != state->ac_online)
		events |= BATTERY_EVENT_AC;
	b->state.regs.online = state->ac_online;
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++)
		events |= update_slot(&b->state, i, &state->batteries[i], announced);
	/* Without a driver nobody reads events; a driver that comes later reads the state itself. */
	if (!b->state.driven) {
		events = 0;
		b->state.unread = 0;
	}
	b->state.regs.pending |= events;
	b->state.look_pending = false;
	pthread_mutex_unlock(&dev->lock);
	tell_owner(b, runs_on_battery(state));
	if (events == 0)
		return;
	(void)!eventfd_write(b->line_fd, 1);
	b->retold = 0;
	loop_timer_set(&b->retell, RETELL_MS);
}

static json_t *number(uint32_t value)
{
	return value == POWER_UNKNOWN ? json_null() : json_integer(value);
}

static const char *status_name(uint32_t status)
{
	if (status & POWER_DISCHARGING)
		return "discharging";
	return status & POWER_CHARGING ? "charging" : "idle";
}

static json_t *slot_json(const struct battery_slot *s)
{
	return json_pack("{s:s, s:b, s:I, s:s, s:o, s:o, s:o, s:o}", "status",
			 status_name(s->status), "critical", (s->status & POWER_CRITICAL) != 0,
			 "percent", (json_int_t)percent(s), "unit",
			 s->unit == POWER_UNIT_ENERGY ? "mWh" : "mAh", "full", number(s->full),
			 "remaining", number(s->remaining), "rate", number(s->rate), "millivolts",
			 number(s->voltage));
}

json_t *battery_json(struct device *dev)
{
	struct battery *b = CONTAINER_OF(dev, struct battery, dev);
	json_t *list = json_array();
	struct battery_regs regs;

	pthread_mutex_lock(&dev->lock);
	regs = b->state.regs;
	pthread_mutex_unlock(&dev->lock);
	for (unsigned int i = 0; list && i < POWER_MAX_BATTERIES; i++)
		if (regs.slots[i].present &&
		    json_array_append_new(list, slot_json(&regs.slots[i])) < 0) {
			json_decref(list);
			list = NULL;
		}
	return json_pack("{s:b, s:o}", "ac", regs.online != 0, "batteries", list);
}

int battery_look_fd(struct device *dev)
{
	return CONTAINER_OF(dev, struct battery, dev)->look_fd;
}
