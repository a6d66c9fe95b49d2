/* SPDX-License-Identifier: MIT */
/* balloon/keeper.h - keeps the guest's memory in step with the host's. */
#ifndef BALLOON_KEEPER_H
#define BALLOON_KEEPER_H

#include <stddef.h>
#include <stdint.h>

#include "balloon/balloon.h"

/*
 * DOC: when it wakes
 *
 * It joins the three: pressure (how is the host), the balloon (how is the
 * guest), policy (what now). Idle, it sleeps until a PSI trigger or a cgroup
 * limit fires, or the guest reports free pages. While the guest works it looks
 * at its own resident set and CPU time, two system calls every 0.25 s. Where
 * there is no trigger it looks at MemAvailable every second, every 5 s when the host
 * has half of its memory left. While the host runs on its battery both happen a
 * quarter as often, but for the 5 s. None of that wakes the guest, which is asked for
 * statistics only when the host is short, while there is a balloon, when it has fallen quiet
 * with more memory than before, and by keeper_ask().
 */

/* What it asks of the machine it is in; on the loop's thread, under the balloon's lock. */
struct keeper_owner_ops {
	/* The host runs on its battery: wake as seldom as can be. */
	bool (*saves_power)(void *owner);
};

struct keeper_config {
	const struct ram *ram; /* borrowed, outlives the keeper */
	/* Before /proc and /sys; "" but for tests. */
	const char *root;
	/* NULL: there is nobody to ask. */
	const struct keeper_owner_ops *owner_ops;
	void *owner;
};

/* The host is short and takes memory from the guest (true), or no more. */
typedef void (*keeper_pressure_fn)(void *owner, bool squeezing);

struct figures;
typedef void (*keeper_figures_fn)(void *owner, const struct figures *figures);

/* An observer for virtio_balloon_new(). The loop's thread, before there are guests. */
int keeper_new(const struct keeper_config *cfg, struct balloon_observer **out) MUST_CHECK;

/*
 * Calls fn with figures that are new, on the loop's thread with the device's
 * lock held: when the guest has said its part, or half a second later without
 * it; at once where there is no driver. A call takes the place of one that is
 * still to be answered. Loop thread, lock not held, after the balloon is attached.
 */
void keeper_ask(struct balloon_observer *obs, keeper_figures_fn fn, void *owner);

/* fn hears of each change, on the loop's thread with the device's lock held. Before the guest runs. */
void keeper_on_pressure(struct balloon_observer *obs, keeper_pressure_fn fn, void *owner);

/* Bytes of guest memory that the host has given; 0: it does not say. Any thread. */
uint64_t keeper_resident(struct balloon_observer *obs);

#endif
