/* SPDX-License-Identifier: MIT */
#include "battery/supply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const attr_names[SUPPLY_N_ATTRS] = {
	[SUPPLY_TYPE] = "type",
	[SUPPLY_SCOPE] = "scope",
	[SUPPLY_ONLINE] = "online",
	[SUPPLY_PRESENT] = "present",
	[SUPPLY_STATUS] = "status",
	[SUPPLY_TECHNOLOGY] = "technology",
	[SUPPLY_CYCLE_COUNT] = "cycle_count",
	[SUPPLY_VOLTAGE_MIN_DESIGN] = "voltage_min_design",
	[SUPPLY_VOLTAGE_NOW] = "voltage_now",
	[SUPPLY_ENERGY_FULL_DESIGN] = "energy_full_design",
	[SUPPLY_ENERGY_FULL] = "energy_full",
	[SUPPLY_ENERGY_NOW] = "energy_now",
	[SUPPLY_POWER_NOW] = "power_now",
	[SUPPLY_CHARGE_FULL_DESIGN] = "charge_full_design",
	[SUPPLY_CHARGE_FULL] = "charge_full",
	[SUPPLY_CHARGE_NOW] = "charge_now",
	[SUPPLY_CURRENT_NOW] = "current_now",
	[SUPPLY_CAPACITY] = "capacity",
	[SUPPLY_CAPACITY_LEVEL] = "capacity_level",
	[SUPPLY_CAPACITY_ALERT_MIN] = "capacity_alert_min",
	[SUPPLY_ALARM] = "alarm",
	[SUPPLY_MODEL_NAME] = "model_name",
	[SUPPLY_MANUFACTURER] = "manufacturer",
};

/* What the kernel calls a chemistry, and what firmware does (drivers/acpi/battery.c reads those). */
static const char *const technologies[][2] = {
	{"Li-ion", "LION"}, {"Li-poly", "LiP"}, {"NiMH", "NiMH"},
	{"NiCd", "NiCd"},   {"LiFe", "LiFe"},	{"LiMn", "LiMn"},
};

enum {
	/* The whole of a battery that only tells a percentage: 10 Wh, since some number it must be. */
	NOMINAL_FULL = 10000,
	WARNING_PERCENT = 10,
	LOW_PERCENT = 5,
	/* From here on a battery is taken at its word when it says that it is full. */
	FULL_PERCENT = 95,
};

const char *supply_attr_name(enum supply_attr attr)
{
	return attr_names[attr];
}

enum supply_attr supply_attr_find(const char *name, size_t len)
{
	unsigned int a = 0;

	while (a < SUPPLY_N_ATTRS &&
	       (strlen(attr_names[a]) != len || memcmp(attr_names[a], name, len) != 0))
		a++;
	return (enum supply_attr)a;
}

static bool attr_is(const struct supply *s, enum supply_attr attr, const char *value)
{
	return strcasecmp(s->attrs[attr], value) == 0;
}

/* Chargers of and batteries in other things: mice, headsets, a phone on the cable. */
static bool is_peripheral(const struct supply *s)
{
	return attr_is(s, SUPPLY_SCOPE, "Device");
}

bool supply_is_battery(const struct supply *s)
{
	return !is_peripheral(s) &&
	       (attr_is(s, SUPPLY_TYPE, "Battery") || attr_is(s, SUPPLY_TYPE, "UPS"));
}

static bool is_charger(const struct supply *s)
{
	/* Older kernels name the kind of charger in the type: USB_DCP, USB_PD and so on. */
	return !is_peripheral(s) &&
	       (attr_is(s, SUPPLY_TYPE, "Mains") || attr_is(s, SUPPLY_TYPE, "Wireless") ||
		strncasecmp(s->attrs[SUPPLY_TYPE], "USB", 3) == 0);
}

static bool get_number(const struct supply *s, enum supply_attr attr, long long *out)
{
	const char *text = s->attrs[attr];
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0)
		return false;
	*out = v;
	return true;
}

/* From millionths to thousandths; what is negative or does not fit an ACPI value is unknown. */
static uint32_t get_milli(const struct supply *s, enum supply_attr attr)
{
	long long v;

	if (!get_number(s, attr, &v) || v < 0 || v / 1000 >= INT32_MAX)
		return POWER_UNKNOWN;
	return (uint32_t)((v + 500) / 1000);
}

/* Some drivers count a current that leaves the battery as negative. */
static uint32_t get_rate(const struct supply *s, enum supply_attr attr)
{
	long long v;

	if (!get_number(s, attr, &v) || v / 1000 >= INT32_MAX || v / 1000 <= -INT32_MAX)
		return POWER_UNKNOWN;
	return (uint32_t)((llabs(v) + 500) / 1000);
}

/* A capacity that cannot be zero. */
static uint32_t get_size(const struct supply *s, enum supply_attr attr)
{
	uint32_t v = get_milli(s, attr);

	return v == 0 ? POWER_UNKNOWN : v;
}

static uint32_t get_percent(const struct supply *s, enum supply_attr attr)
{
	long long v;

	return get_number(s, attr, &v) && v >= 0 && v <= 100 ? (uint32_t)v : POWER_UNKNOWN;
}

static uint32_t percent_of(uint32_t whole, uint32_t percent)
{
	return (uint32_t)(((uint64_t)whole * percent + 50) / 100);
}

/* a * b / c, rounded; unknown if any of them is or the result does not fit. */
static uint32_t scale(uint32_t a, uint32_t b, uint32_t c)
{
	uint64_t v;

	if (a == POWER_UNKNOWN || b == POWER_UNKNOWN || c == POWER_UNKNOWN || c == 0)
		return POWER_UNKNOWN;
	v = ((uint64_t)a * b + c / 2) / c;
	return v >= INT32_MAX ? POWER_UNKNOWN : (uint32_t)v;
}

/* Printable ASCII only, without blanks at either end. */
static void copy_text(char *dst, size_t size, const char *src)
{
	size_t n = 0;

	while (*src == ' ')
		src++;
	for (; *src != '\0' && n + 1 < size; src++)
		if (*src >= ' ' && *src <= '~')
			dst[n++] = *src;
	while (n > 0 && dst[n - 1] == ' ')
		n--;
	memset(dst + n, 0, size - n);
}

static void get_type(const struct supply *s, struct power_battery *b)
{
	for (size_t i = 0; i < ARRAY_SIZE(technologies); i++)
		if (attr_is(s, SUPPLY_TECHNOLOGY, technologies[i][0]))
			copy_text(b->type, sizeof(b->type), technologies[i][1]);
}

static uint32_t get_status(const struct supply *s)
{
	uint32_t status = 0;

	if (attr_is(s, SUPPLY_STATUS, "Discharging"))
		status = POWER_DISCHARGING;
	else if (attr_is(s, SUPPLY_STATUS, "Charging"))
		status = POWER_CHARGING;
	if (attr_is(s, SUPPLY_CAPACITY_LEVEL, "Critical"))
		status |= POWER_CRITICAL;
	return status;
}

/* The unit, how much it holds, and how fast that changes. */
static void get_capacities(const struct supply *s, struct power_battery *b)
{
	b->unit = POWER_UNIT_ENERGY;
	b->design = get_size(s, SUPPLY_ENERGY_FULL_DESIGN);
	b->full = get_size(s, SUPPLY_ENERGY_FULL);
	b->remaining = get_milli(s, SUPPLY_ENERGY_NOW);
	b->rate = get_rate(s, SUPPLY_POWER_NOW);
	if (b->rate == POWER_UNKNOWN)
		b->rate = scale(get_rate(s, SUPPLY_CURRENT_NOW), b->voltage, 1000);
	/* An energy of zero alone is what drivers say that count charge. */
	if (b->full != POWER_UNKNOWN || b->design != POWER_UNKNOWN ||
	    (b->remaining != POWER_UNKNOWN && b->remaining != 0))
		return;

	b->unit = POWER_UNIT_CHARGE;
	b->design = get_size(s, SUPPLY_CHARGE_FULL_DESIGN);
	b->full = get_size(s, SUPPLY_CHARGE_FULL);
	b->remaining = get_milli(s, SUPPLY_CHARGE_NOW);
	b->rate = get_rate(s, SUPPLY_CURRENT_NOW);
	if (b->rate == POWER_UNKNOWN)
		b->rate = scale(get_rate(s, SUPPLY_POWER_NOW), 1000, b->voltage);
}

/* Fills what is missing from what is there; false if the charge stays unknown. */
static bool complete_capacities(const struct supply *s, struct power_battery *b)
{
	uint32_t percent = get_percent(s, SUPPLY_CAPACITY);

	if (b->full == POWER_UNKNOWN)
		b->full = b->design;
	if (b->full == POWER_UNKNOWN && b->remaining != POWER_UNKNOWN)
		b->full = percent == 0 ? POWER_UNKNOWN : scale(b->remaining, 100, percent);
	if (b->full == POWER_UNKNOWN || b->full == 0) {
		if (percent == POWER_UNKNOWN)
			return false;
		if (b->unit == POWER_UNIT_CHARGE)
			b->rate = scale(b->rate, b->voltage, 1000);
		b->unit = POWER_UNIT_ENERGY;
		b->full = b->design = NOMINAL_FULL;
		b->remaining = POWER_UNKNOWN;
	}
	/* A little more than full is what some gauges say after a calibration; twice is nonsense. */
	if (b->remaining != POWER_UNKNOWN && b->remaining / 2 > b->full)
		b->remaining = POWER_UNKNOWN;
	if (b->remaining == POWER_UNKNOWN && percent != POWER_UNKNOWN)
		b->remaining = percent_of(b->full, percent);
	return b->remaining != POWER_UNKNOWN;
}

/*
 * The kernel's ACPI driver has no word for "full" but that what remains equals
 * what fits: drivers that say "Full" some percent earlier would look idle.
 */
static void settle_full(const struct supply *s, struct power_battery *b)
{
	if (attr_is(s, SUPPLY_STATUS, "Full") && b->remaining < b->full &&
	    b->remaining >= percent_of(b->full, FULL_PERCENT))
		b->remaining = b->full;
}

static void get_levels(const struct supply *s, struct power_battery *b)
{
	uint32_t alarm = get_milli(s, SUPPLY_ALARM);
	uint32_t percent = get_percent(s, SUPPLY_CAPACITY_ALERT_MIN);

	b->low = percent_of(b->full, LOW_PERCENT);
	if (alarm != POWER_UNKNOWN && alarm > 0 && alarm < b->full)
		b->warning = alarm;
	else if (percent != POWER_UNKNOWN && percent > 0 && percent < 100)
		b->warning = percent_of(b->full, percent);
	else
		b->warning = percent_of(b->full, WARNING_PERCENT);
	if (b->low > b->warning)
		b->low = b->warning;
}

static bool get_battery(const struct supply *s, struct power_battery *b)
{
	long long cycles;

	memset(b, 0, sizeof(*b));
	if (attr_is(s, SUPPLY_PRESENT, "0"))
		return false;
	b->voltage = get_size(s, SUPPLY_VOLTAGE_NOW);
	b->design_voltage = get_size(s, SUPPLY_VOLTAGE_MIN_DESIGN);
	get_capacities(s, b);
	if (!complete_capacities(s, b)) {
		memset(b, 0, sizeof(*b));
		return false;
	}
	b->present = true;
	b->status = get_status(s);
	b->cycles = POWER_UNKNOWN;
	if (get_number(s, SUPPLY_CYCLE_COUNT, &cycles) && cycles >= 0 && cycles < INT32_MAX)
		b->cycles = (uint32_t)cycles;
	settle_full(s, b);
	get_levels(s, b);
	get_type(s, b);
	copy_text(b->model, sizeof(b->model), s->attrs[SUPPLY_MODEL_NAME]);
	copy_text(b->maker, sizeof(b->maker), s->attrs[SUPPLY_MANUFACTURER]);
	return true;
}

static const struct supply *find_supply(const struct supply_set *set, const char *name)
{
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(set->supplies[i].name, name) == 0)
			return &set->supplies[i];
	return NULL;
}

/* A slot for a battery: its own, else one never used, else one whose battery is gone. */
static int find_slot(const struct supply_slots *slots, const struct power_state *state,
		     const char *name)
{
	int found = -1;

	for (int i = 0; i < POWER_MAX_BATTERIES; i++) {
		if (strcmp(slots->names[i], name) == 0)
			return i;
		if (state->batteries[i].present)
			continue;
		if (found < 0 || (slots->names[found][0] != '\0' && slots->names[i][0] == '\0'))
			found = i;
	}
	return found;
}

static void place(const struct supply *s, struct supply_slots *slots, struct power_state *out)
{
	struct power_battery b;
	int slot;

	if (!get_battery(s, &b))
		return;
	slot = find_slot(slots, out, s->name);
	if (slot < 0)
		return;
	memcpy(slots->names[slot], s->name, SUPPLY_NAME_MAX);
	out->batteries[slot] = b;
}

/* Supplies that have a slot go first, so that no newcomer takes it; then batteries, then UPSes. */
static void place_all(const struct supply_set *set, struct supply_slots *slots,
		      struct power_state *out)
{
	static const char *const types[] = {"Battery", "UPS"};

	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++) {
		const struct supply *s =
			slots->names[i][0] != '\0' ? find_supply(set, slots->names[i]) : NULL;

		if (s && supply_is_battery(s))
			place(s, slots, out);
	}
	for (size_t t = 0; t < ARRAY_SIZE(types); t++)
		for (size_t i = 0; i < set->n; i++)
			if (supply_is_battery(&set->supplies[i]) &&
			    attr_is(&set->supplies[i], SUPPLY_TYPE, types[t]))
				place(&set->supplies[i], slots, out);
}

/* A machine that shows no charger runs on mains unless one of its batteries says otherwise. */
static bool ac_is_online(const struct supply_set *set, const struct power_state *state)
{
	bool known = false, online = false;

	for (size_t i = 0; i < set->n; i++) {
		long long v;

		if (!is_charger(&set->supplies[i]) ||
		    !get_number(&set->supplies[i], SUPPLY_ONLINE, &v))
			continue;
		known = true;
		online |= v > 0; /* 2: online, and its voltage can be chosen */
	}
	if (known)
		return online;
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++)
		if (state->batteries[i].status & POWER_DISCHARGING)
			return false;
	return true;
}

void supply_summarise(const struct supply_set *set, struct supply_slots *slots,
		      struct power_state *out)
{
	memset(out, 0, sizeof(*out));
	place_all(set, slots, out);
	out->ac_online = ac_is_online(set, out);
}
