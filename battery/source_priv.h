/* SPDX-License-Identifier: MIT */
/* battery/source_priv.h - what the sources have in common. */
#ifndef BATTERY_SOURCE_PRIV_H
#define BATTERY_SOURCE_PRIV_H

#include "battery/source.h"
#include "battery/supply.h"

struct power_source_ops {
	void (*destroy)(struct power_source *source);
};

struct power_source {
	const struct power_source_ops *ops;
	struct device *battery;
	struct supply_set set; /* as last read */
	struct supply_slots slots; /* who is who in the guest */
};

/* Tells the guest what source->set comes to; *out is that, too. */
void power_source_tell(struct power_source *source, bool announced, struct power_state *out);

#endif
