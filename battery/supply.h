/* SPDX-License-Identifier: MIT */
/* battery/supply.h - power supplies as the kernel's power_supply class shows them. */
#ifndef BATTERY_SUPPLY_H
#define BATTERY_SUPPLY_H

#include <stddef.h>

#include "battery/power_state.h"
#include "common/util.h"

enum {
	SUPPLY_MAX = 16, /* laptops have up to two batteries, one AC and four USB-C ports */
	SUPPLY_NAME_MAX = 64,
	SUPPLY_VALUE_MAX = 64,
};

/* The attributes that are read, by the names sysfs has for them (ABI/testing/sysfs-class-power). */
enum supply_attr {
	SUPPLY_TYPE,
	SUPPLY_SCOPE,
	SUPPLY_ONLINE,
	SUPPLY_PRESENT,
	SUPPLY_STATUS,
	SUPPLY_TECHNOLOGY,
	SUPPLY_CYCLE_COUNT,
	SUPPLY_VOLTAGE_MIN_DESIGN,
	SUPPLY_VOLTAGE_NOW,
	SUPPLY_ENERGY_FULL_DESIGN,
	SUPPLY_ENERGY_FULL,
	SUPPLY_ENERGY_NOW,
	SUPPLY_POWER_NOW,
	SUPPLY_CHARGE_FULL_DESIGN,
	SUPPLY_CHARGE_FULL,
	SUPPLY_CHARGE_NOW,
	SUPPLY_CURRENT_NOW,
	SUPPLY_CAPACITY,
	SUPPLY_CAPACITY_LEVEL,
	SUPPLY_CAPACITY_ALERT_MIN,
	SUPPLY_ALARM,
	SUPPLY_MODEL_NAME,
	SUPPLY_MANUFACTURER,
	SUPPLY_N_ATTRS,
};

/* One supply's attributes as text; one that is missing or unreadable is "". */
struct supply {
	char name[SUPPLY_NAME_MAX];
	char attrs[SUPPLY_N_ATTRS][SUPPLY_VALUE_MAX];
};

struct supply_set {
	struct supply supplies[SUPPLY_MAX];
	size_t n;
};

/* Says which supply is which of the guest's batteries: each keeps its place when another goes. */
struct supply_slots {
	char names[POWER_MAX_BATTERIES][SUPPLY_NAME_MAX]; /* "": never used */
};

const char *supply_attr_name(enum supply_attr attr);
/* SUPPLY_N_ATTRS: no such attribute. `len` bytes of name. */
enum supply_attr supply_attr_find(const char *name, size_t len);

/* A battery of the system itself, or a UPS: not one of a mouse. */
bool supply_is_battery(const struct supply *s);

/*
 * Makes of whatever the supplies say what the guest is told. Never fails: what
 * cannot be understood is unknown, and a battery of which no charge is known is
 * not there. Pure, but for *slots, which starts zeroed and is the caller's to keep.
 */
void supply_summarise(const struct supply_set *set, struct supply_slots *slots,
		      struct power_state *out);

/*
 * Reads all supplies of a /sys/class/power_supply opened as class_fd; sorted by
 * name. Links to "../../devices/..." are followed below devices_fd, /sys/devices: out of a class
 * that is a mount of its own none leads. More than SUPPLY_MAX are left out. -errno if the class
 * itself cannot be read. May take as long as the host's firmware takes.
 */
int supply_read_sysfs(int class_fd, int devices_fd, struct supply_set *out) MUST_CHECK;

#endif
