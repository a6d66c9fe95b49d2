/* SPDX-License-Identifier: MIT */
/* balloon/policy.h - how much the guest should give up: readings in, a target out. */
#ifndef BALLOON_POLICY_H
#define BALLOON_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * DOC: what it decides
 *
 * No clock, no file, no device: what it knows is what it is told, so that it can
 * be run on recorded readings.
 *
 *   calm       no balloon; nothing to do until something happens
 *   sweeping   the guest has freed memory and fallen quiet: its free pages that the
 *              host still holds are taken by a balloon that is let go at once
 *   squeezing  the host is short: half of what the guest can spare, step by step,
 *              until it has four times what counts as short
 *   holding    the host was short a moment ago: keep what was taken
 *   returning  it has room again: back in steps, half of the room at most
 *
 * What the guest can spare is what it calls available (free, and page cache it
 * can drop without I/O of its own) above a floor that is left to it. In every
 * state a guest below half of that floor gets memory back first, and one that
 * took it by itself, before killing a process, is left alone for a while.
 *
 * Why two sandboxes and the host do not swing: taking is fast and returning slow;
 * it returns only above twice the room that counts as short, half of what lies
 * above at a time, so two that return at once still leave the host its reserve.
 */

enum policy_state {
	POLICY_CALM,
	POLICY_SWEEPING,
	POLICY_SQUEEZING,
	POLICY_HOLDING,
	POLICY_RETURNING
};

/* Sizes in bytes. */
struct policy_reading {
	uint64_t now_ms; /* monotonic */
	bool host_short; /* the host stalled for memory since the last reading */
	uint64_t host_available; /* what it, or our share of it, still has */
	uint64_t host_reserve; /* less than this is short as well */
	bool guest_known; /* the next three are fresh */
	uint64_t guest_total, guest_free, guest_available;
	bool guest_quiet; /* its CPUs have done next to nothing for a moment */
	uint64_t ram; /* the ceiling */
	uint64_t resident; /* of it, what the host has given */
	uint64_t balloon; /* what the guest has given up so far */
};

struct policy_advice {
	uint64_t target; /* for the balloon */
	uint32_t again_ms; /* read again after this, whatever happens; 0: nothing to wait for */
};

/* Plain data. Zeroes are the start: calm, no balloon. */
struct policy {
	enum policy_state state;
	uint64_t target;
	uint64_t seen; /* the balloon at the last reading */
	uint64_t step_ms; /* when the target was last raised */
	uint64_t short_ms; /* when the host was last short */
	uint64_t left; /* free pages the last sweep did not get */
	uint64_t sweep_ms; /* when the last sweep began */
	uint64_t return_ms; /* when memory was last returned */
	uint64_t respect_ms; /* until then nothing more is taken: the guest needed it */
};

/* A resident set this much above the last that was swept is worth asking the guest for. */
#define POLICY_SWEEP_MIN (24ull << 20)

struct policy_advice policy_step(struct policy *p, const struct policy_reading *r);

const char *policy_state_name(enum policy_state state);

#endif
