/* SPDX-License-Identifier: MIT */
/* battery/timeline.h - a scripted course of power supplies, for tests and demonstrations. */
#ifndef BATTERY_TIMELINE_H
#define BATTERY_TIMELINE_H

#include "battery/supply.h"

/*
 * DOC: the format
 *
 * One line a change, '#' starts a comment:
 *
 *   [+DELAY] SUPPLY ATTRIBUTE=VALUE...
 *   [+DELAY] SUPPLY removed
 *
 * SUPPLY is a name as below /sys/class/power_supply, attributes are named and
 * valued as the files there; a value with blanks stands in double quotes. A
 * supply is there from its first line on. Where no type is given one whose name
 * begins with BAT is a Battery, any other Mains. DELAY (2s, 500ms, 1m) counts
 * from the line before; without one both happen at once.
 *
 *   AC   online=1
 *   BAT0 status=Full energy_full=50000000 energy_now=50000000 power_now=0
 *   +5s  AC   online=0
 *        BAT0 status=Discharging power_now=7500000
 *   +1m  BAT0 removed
 */
enum { TIMELINE_TEXT_MAX = 64 * 1024 };

struct timeline {
	const char *text; /* borrowed, NUL-terminated */
	size_t pos;
	unsigned int line; /* of the last line read, from 1 */
	const char *problem; /* after -EINVAL: what is wrong with that line */
	bool waited; /* the delay of the line at pos is over */
};

/*
 * Applies to *set all lines up to the next with a delay. 1: call again after
 * *wait_ms; 0: that was the end; -EINVAL. Never fails for a text that went
 * through once.
 */
int timeline_next(struct timeline *t, struct supply_set *set, uint64_t *wait_ms) MUST_CHECK;

#endif
