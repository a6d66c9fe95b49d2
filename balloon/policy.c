/* SPDX-License-Identifier: MIT */
#include "balloon/policy.h"

#include "common/util.h"

#define MIB (1ull << 20)

/* Milliseconds. */
enum {
	STEP_MS = 250, /* between two steps of a squeeze */
	STALL_MS = 2000, /* a step the guest has not finished by then is not waited for */
	CALM_MS = 5000, /* after the host was last short, before anything is returned */
	RETURN_MS = 1000, /* between two returns */
	RESPECT_MS = 10000, /* after the guest took memory by itself */
	SWEEP_MS = 4000, /* the longest sweep */
	SWEEP_AGAIN_MS = 5000, /* from the beginning of one to the next */
	SWEEP_LOOK_MS = 100, /* whether it is done */
	RESPECT_NEED_MS = 3000 /* after it was given some since it was low */
};

/*
 * A squeeze that has begun goes on until the host has so many times its reserve:
 * what was short a moment ago will be again, and to stop at the line is to be
 * called again at the next allocation. What was taken for nothing is returned.
 */
#define ROOM 4

#define STEP_MIN  (64 * MIB)
#define FLOOR_MIN (48 * MIB)
#define FLOOR_MAX (512 * MIB)
#define SLACK	  (4 * MIB)

static uint64_t sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What a guest needs to go on working: a sixteenth of it, within reason. */
static uint64_t floor_of(const struct policy_reading *r)
{
	return min_u64(max_u64(r->guest_total / 16, FLOOR_MIN), FLOOR_MAX);
}

static bool is_short(const struct policy_reading *r)
{
	return r->host_short || r->host_available < r->host_reserve;
}

static bool lacks_room(const struct policy_reading *r)
{
	return r->host_available / ROOM < r->host_reserve;
}

/* Both ways the guest has to say that it needs memory more than the host does. */
static bool guest_needs(struct policy *p, const struct policy_reading *r)
{
	uint64_t floor = floor_of(r);

	/* The guest took pages out of the balloon by itself: it was about to kill a process. */
	if (r->balloon + SLACK < min_u64(p->seen, p->target)) {
		p->target = r->balloon;
		p->respect_ms = r->now_ms + RESPECT_MS;
		return true;
	}
	if (r->guest_known && r->guest_available < floor / 2 && r->balloon > 0) {
		p->target = sub(min_u64(p->target, r->balloon), floor - r->guest_available);
		p->respect_ms = max_u64(p->respect_ms, r->now_ms + RESPECT_NEED_MS);
		return true;
	}
	return false;
}

/* Pages that are free in the guest and that the host holds all the same. */
static uint64_t held_free(const struct policy_reading *r)
{
	return sub(r->resident, sub(r->ram, r->guest_free + r->balloon));
}

static void squeeze(struct policy *p, const struct policy_reading *r)
{
	uint64_t spare, cold;

	p->state = POLICY_SQUEEZING;
	if (!r->guest_known || r->now_ms < p->respect_ms || r->now_ms < p->step_ms + STEP_MS)
		return;
	/* The step before this one is not there yet. */
	if (r->balloon + SLACK < p->target && r->now_ms < p->step_ms + STALL_MS)
		return;
	spare = sub(r->guest_available, floor_of(r));
	/* Free pages the host does not hold come first, and bring it nothing. */
	cold = min_u64(spare, sub(r->guest_free, held_free(r)));
	spare -= cold;
	if (spare < SLACK) {
		if (!is_short(r))
			p->state = POLICY_HOLDING;
		return;
	}
	p->target = r->balloon + cold + max_u64(spare / 2, min_u64(spare, STEP_MIN));
	p->step_ms = r->now_ms;
}

static void give_back(struct policy *p, const struct policy_reading *r)
{
	uint64_t room = sub(r->host_available, 2 * r->host_reserve);

	if (r->now_ms < p->short_ms + CALM_MS || room == 0) {
		p->state = POLICY_HOLDING;
		return;
	}
	p->state = POLICY_RETURNING;
	if (r->now_ms < p->return_ms + RETURN_MS)
		return;
	p->return_ms = r->now_ms;
	p->target = sub(p->target, min_u64(room / 2, max_u64(p->target / 4, STEP_MIN)));
}

static bool may_sweep(const struct policy *p, const struct policy_reading *r)
{
	return p->sweep_ms == 0 || r->now_ms >= p->sweep_ms + SWEEP_AGAIN_MS;
}

/* No balloon is wanted: the time to look for what reporting leaves behind, or is slow to name. */
static void sweep(struct policy *p, const struct policy_reading *r)
{
	uint64_t held = held_free(r), spare = sub(r->guest_available, floor_of(r));

	if (p->state == POLICY_SWEEPING) {
		bool done = r->guest_known && (r->balloon + SLACK >= p->target || held < 2 * SLACK);

		if (done || r->now_ms >= p->sweep_ms + SWEEP_MS) {
			p->target = 0;
			p->left = held;
			p->state = POLICY_CALM;
		}
		return;
	}
	p->state = POLICY_CALM;
	if (!r->guest_known)
		return;
	p->left = min_u64(p->left, held);
	if (!r->guest_quiet || held - p->left < POLICY_SWEEP_MIN || !may_sweep(p, r))
		return;
	/* The guest takes a few pages the host does not hold, and those it freed last first. */
	p->target = min_u64(held + held / 16, spare);
	p->sweep_ms = r->now_ms;
	if (p->target > 0)
		p->state = POLICY_SWEEPING;
}

static uint32_t again_ms(const struct policy *p, const struct policy_reading *r)
{
	/* What a sweep would bring is left for now. */
	if (p->state == POLICY_CALM && r->guest_known && !may_sweep(p, r) &&
	    held_free(r) - min_u64(p->left, held_free(r)) >= POLICY_SWEEP_MIN)
		return RETURN_MS;
	if (p->state == POLICY_CALM)
		return 0;
	if (p->state == POLICY_SWEEPING)
		return SWEEP_LOOK_MS;
	/* Short steps while there is something to take, or something on its way. */
	return r->now_ms < p->step_ms + STALL_MS ? STEP_MS : RETURN_MS;
}

struct policy_advice policy_step(struct policy *p, const struct policy_reading *r)
{
	bool needed = p->target > 0 && guest_needs(p, r);

	if (is_short(r))
		p->short_ms = r->now_ms;
	if (needed)
		p->state = POLICY_HOLDING;
	else if (is_short(r) || (p->state == POLICY_SQUEEZING && lacks_room(r)))
		squeeze(p, r);
	else if (p->target > 0 && p->state != POLICY_SWEEPING)
		give_back(p, r);
	else
		sweep(p, r);
	p->seen = r->balloon;
	return (struct policy_advice){.target = p->target, .again_ms = again_ms(p, r)};
}

const char *policy_state_name(enum policy_state state)
{
	static const char *const names[] = {"calm", "sweeping", "squeezing", "holding",
					    "returning"};

	return names[state];
}
