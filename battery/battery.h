/* SPDX-License-Identifier: MIT */
/* battery/battery.h - the registers behind the guest's ACPI batteries and AC adapter. */
#ifndef BATTERY_BATTERY_H
#define BATTERY_BATTERY_H

#include <jansson.h>

#include "battery/power_state.h"
#include "devices/board/device.h"
#include "devices/board/wiring.h"

/*
 * DOC: registers
 *
 * Little endian, 32 bits each; meant for battery/battery.asl, which is the only
 * reader a stock guest has.
 *
 *   0x000  pending events, BATTERY_EVENT_*; a 32-bit read clears them
 *   0x004  AC adapter online: 0 or 1
 *   0x100  battery 0, 0x200 battery 1: struct battery_slot
 *
 * BATTERY_TRIP of a battery can be written, 32 bits wide. Every other write is
 * dropped; what is not a register reads as zero. A guest's read does nothing to
 * the host but ask for fresh values (see battery_look_fd()).
 */
struct battery_slot {
	uint32_t present; /* 0x00 */
	uint32_t unit; /* 0x04 enum power_unit */
	uint32_t design, full; /* 0x08, 0x0c */
	uint32_t design_voltage; /* 0x10 */
	uint32_t warning, low; /* 0x14, 0x18 */
	uint32_t cycles; /* 0x1c */
	uint32_t status; /* 0x20 POWER_* bits */
	uint32_t rate; /* 0x24 */
	uint32_t remaining; /* 0x28 */
	uint32_t voltage; /* 0x2c */
	uint32_t trip; /* 0x30 _BTP; 0: none */
	uint32_t reserved0[3];
	char model[POWER_MODEL_MAX]; /* 0x40 */
	char type[POWER_TYPE_MAX]; /* 0x60 */
	char maker[POWER_MAKER_MAX]; /* 0x70 */
	uint32_t reserved1[28];
};

struct battery_regs {
	uint32_t pending;
	uint32_t online;
	uint32_t reserved[62];
	struct battery_slot slots[POWER_MAX_BATTERIES];
};

enum {
	BATTERY_PENDING = 0x000,
	BATTERY_ONLINE = 0x004,
	BATTERY_SLOTS = 0x100,
	BATTERY_SLOT_SIZE = 0x100,

	/* In a slot. */
	BATTERY_STATUS = 0x20,
	BATTERY_TRIP = 0x30,
};

/* STATUS becomes Notify 0x80, INFO becomes Notify 0x81 (ACPI 6.5 section 10.2). */
enum {
	BATTERY_EVENT_AC = 1 << 0,
	BATTERY_EVENT_STATUS = 1 << 1, /* of battery 0; two bits further of battery 1 */
	BATTERY_EVENT_INFO = 1 << 2,
};

/* On the thread of battery_update(), whenever the answer is another than before. */
typedef void (*battery_power_fn)(void *owner, bool on_battery);

/*
 * Starts as a machine without batteries, on mains. The loop has to outlive the
 * device. `changed` may be NULL.
 */
int battery_new(struct wiring *wiring, unsigned int gsi, struct loop *loop,
		battery_power_fn changed, void *owner, struct device **out) MUST_CHECK;

/*
 * Tells the guest. `announced`: the host told of a change by itself, so the
 * guest hears of any; otherwise it hears of those that matter (plugged, status,
 * a whole percent, its trip point) and reads the rest when it looks. On the
 * loop's thread, or before the machine starts.
 */
void battery_update(struct device *dev, const struct power_state *state, bool announced);

/* What the guest finds in the registers, as docs/control.md has it under `power`. Any thread. */
json_t *battery_json(struct device *dev) MUST_CHECK;

/*
 * An eventfd that becomes readable when the guest looks at its power the first
 * time after a battery_update(). The device's own.
 */
int battery_look_fd(struct device *dev);

#endif
