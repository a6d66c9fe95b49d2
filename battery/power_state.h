/* SPDX-License-Identifier: MIT */
/* battery/power_state.h - what a sandbox is told of the host's power. */
#ifndef BATTERY_POWER_STATE_H
#define BATTERY_POWER_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	POWER_MAX_BATTERIES = 2,
	POWER_MODEL_MAX = 32, /* with the NUL, as the two below */
	POWER_TYPE_MAX = 16,
	POWER_MAKER_MAX = 32,
};

/* A capacity, rate or voltage nobody knows: ACPI 6.5 table 10.4. */
#define POWER_UNKNOWN UINT32_MAX

/* As in _BIX, so that a battery that counts charge is not turned into one that counts energy. */
enum power_unit {
	POWER_UNIT_ENERGY = 0, /* mWh, rates in mW */
	POWER_UNIT_CHARGE = 1, /* mAh, rates in mA */
};

/* Bits of struct power_battery.status, as in _BST (ACPI 6.5 table 10.6). */
enum {
	POWER_DISCHARGING = 1 << 0,
	POWER_CHARGING = 1 << 1,
	POWER_CRITICAL = 1 << 2,
};

/*
 * Without a serial number on purpose: it would tell a guest which machine it is on.
 * Strings are printable ASCII. All is zero in a battery that is not present.
 */
struct power_battery {
	bool present;
	enum power_unit unit;
	uint32_t design, full; /* capacity when new, and when full now */
	uint32_t warning, low; /* capacities; 0: none */
	uint32_t design_voltage; /* mV */
	uint32_t cycles;
	uint32_t status; /* POWER_* bits */
	uint32_t rate;
	uint32_t remaining;
	uint32_t voltage; /* mV */
	char model[POWER_MODEL_MAX];
	char type[POWER_TYPE_MAX]; /* chemistry, "LION" */
	char maker[POWER_MAKER_MAX];
};

struct power_state {
	bool ac_online;
	struct power_battery batteries[POWER_MAX_BATTERIES];
};

#endif
