/* SPDX-License-Identifier: MIT */
/* battery/source.h - where the guest's battery gets its values from. */
#ifndef BATTERY_SOURCE_H
#define BATTERY_SOURCE_H

#include "common/loop.h"
#include "devices/board/device.h"

struct power_source;

/*
 * They call battery_update() on `battery`, on the loop's thread. Loop and device
 * outlive the source. The loop should be one where nothing else waits: a read of
 * the host's supplies may take as long as its firmware does.
 */

/*
 * The host's own power supplies. They are read when the loop begins to run, when the kernel tells of a
 * change, once more when that has settled, every minute while a battery charges
 * or discharges, and when the guest looks at values older than 5 seconds.
 * Nothing else wakes it. A host without the power_supply class has no batteries.
 */
int power_source_host_new(struct loop *loop, struct device *battery,
			  struct power_source **out) MUST_CHECK;

/*
 * The timeline (battery/timeline.h) in the file `path`. Its first lines are told
 * before this returns, its clock starts when the guest first looks. -EINVAL: it is none, and one line has been logged; any
 * other failure is logged as well.
 */
int power_source_file_new(const char *path, struct loop *loop, struct device *battery,
			  struct power_source **out) MUST_CHECK;

void power_source_free(struct power_source *source); /* NULL is fine */

#endif
