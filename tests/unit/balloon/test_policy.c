/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "balloon/policy.h"

#define MIB (1ull << 20)

/* A host and a guest that do what the policy says, at a speed. */
struct world {
	struct policy policy;
	struct policy_reading r;
	uint64_t demand; /* what others on the host want of it, bytes */
	uint64_t host_total;
	uint64_t guest_used; /* what cannot be given up */
	uint64_t guest_has; /* resident */
};

static struct world world_new(uint64_t host, uint64_t guest, uint64_t used)
{
	return (struct world){
		.r = {.now_ms = 100000,
		      .host_reserve = host / 16,
		      .guest_known = true,
		      .guest_total = guest},
		.host_total = host,
		.guest_used = used,
	};
}

/* One reading, one answer, and the guest does it, 400 MiB a second at most. */
static struct policy_advice world_step(struct world *w)
{
	struct policy_reading *r = &w->r;
	struct policy_advice a;
	uint64_t speed, ms;

	r->guest_available = r->guest_total - w->guest_used > r->balloon
				     ? r->guest_total - w->guest_used - r->balloon
				     : 0;
	w->guest_has = r->guest_total - r->balloon;
	r->host_available = w->host_total > w->demand + w->guest_has
				    ? w->host_total - w->demand - w->guest_has
				    : 0;
	a = policy_step(&w->policy, r);
	ms = a.again_ms ? a.again_ms : 2000;
	speed = 400 * MIB * ms / 1000;
	if (r->balloon < a.target)
		r->balloon += a.target - r->balloon < speed ? a.target - r->balloon : speed;
	else
		r->balloon = a.target;
	r->now_ms += ms;
	r->host_short = false;
	return a;
}

Test(policy, calm_asks_for_nothing)
{
	struct world w = world_new(8192 * MIB, 1024 * MIB, 200 * MIB);
	struct policy_advice a = world_step(&w);

	cr_assert_eq(a.target, 0);
	cr_assert_eq(a.again_ms, 0);
	cr_assert_eq(w.policy.state, POLICY_CALM);
}

Test(policy, a_stall_takes_half_of_what_can_be_spared)
{
	struct world w = world_new(8192 * MIB, 1024 * MIB, 200 * MIB);
	struct policy_advice a;

	w.r.host_short = true;
	a = world_step(&w);
	/* 824 MiB available, 64 of them are left to the guest. */
	cr_assert_eq(a.target, 380 * MIB);
	cr_assert_gt(a.again_ms, 0);
	cr_assert_leq(a.again_ms, 250);
	cr_assert_eq(w.policy.state, POLICY_SQUEEZING);
}

Test(policy, free_pages_the_host_does_not_hold_do_not_count)
{
	/* As recorded in a guest that had read 1 GiB, in a cgroup cut to half. */
	struct policy_reading r = {
		.now_ms = 100000,
		.host_short = true,
		.host_reserve = 37563904,
		.guest_known = true,
		.guest_total = 2062880768,
		.guest_free = 942321664,
		.guest_available = 1889579008,
		.balloon = 9437184,
		.ram = 2048 * MIB,
		.resident = 1197473792,
	};
	struct policy p = {0};
	struct policy_advice a = policy_step(&p, &r);

	/* All of the free pages, and half of the cache above the floor of 123 MiB. */
	cr_assert_gt(a.target, r.guest_free + 350 * MIB);
	cr_assert_lt(a.target, r.guest_free + 450 * MIB);
}

Test(policy, a_cache_of_one_gib_is_taken_within_three_seconds)
{
	struct world w = world_new(4096 * MIB, 2048 * MIB, 300 * MIB);
	uint64_t start = w.r.now_ms;

	w.demand = 2200 * MIB;
	while (w.r.now_ms < start + 3000)
		(void)world_step(&w);
	cr_assert_gt(w.r.balloon, 716 * MIB);
}

Test(policy, never_so_far_that_the_guest_is_short)
{
	struct world w = world_new(2048 * MIB, 1024 * MIB, 300 * MIB);

	/* The host wants more than there is, for a minute. */
	w.demand = 2048 * MIB;
	for (unsigned int i = 0; i < 240; i++) {
		(void)world_step(&w);
		cr_assert_geq(w.r.guest_total - w.guest_used - w.r.balloon, 60 * MIB);
	}
	cr_assert_gt(w.r.balloon, 600 * MIB);
}

Test(policy, without_the_guests_word_nothing_is_taken)
{
	struct world w = world_new(2048 * MIB, 1024 * MIB, 300 * MIB);

	w.demand = 2000 * MIB;
	w.r.guest_known = false;
	for (unsigned int i = 0; i < 20; i++)
		cr_assert_eq(world_step(&w).target, 0);
}

Test(policy, a_guest_in_need_comes_first)
{
	struct world w = world_new(2048 * MIB, 1024 * MIB, 300 * MIB);
	uint64_t before;

	w.demand = 1900 * MIB;
	for (unsigned int i = 0; i < 40; i++)
		(void)world_step(&w);
	before = w.r.balloon;
	/* Something in it now wants 200 MiB more, and the host is still short. */
	w.guest_used += 200 * MIB;
	(void)world_step(&w);
	(void)world_step(&w);
	(void)world_step(&w);
	cr_assert_lt(w.r.balloon, before);
	cr_assert_geq(w.r.guest_total - w.guest_used, w.r.balloon + 32 * MIB);
}

Test(policy, what_the_guest_took_by_itself_is_not_taken_again_at_once)
{
	struct world w = world_new(2048 * MIB, 1024 * MIB, 300 * MIB);

	w.demand = 1900 * MIB;
	for (unsigned int i = 0; i < 40; i++)
		(void)world_step(&w);
	/* Out of memory: the driver deflated 300 MiB, which are used now. */
	w.guest_used += 300 * MIB;
	w.r.balloon -= 300 * MIB;
	for (uint64_t taken = w.r.balloon, end = w.r.now_ms + 9000; w.r.now_ms < end;)
		cr_assert_leq(world_step(&w).target, taken);
}

Test(policy, it_is_held_for_a_while_and_then_returned_in_steps)
{
	struct world w = world_new(4096 * MIB, 2048 * MIB, 300 * MIB);
	uint64_t taken, calm, last;

	w.demand = 3900 * MIB;
	for (unsigned int i = 0; i < 30; i++)
		(void)world_step(&w);
	taken = w.policy.target;
	w.demand = 0;
	calm = w.r.now_ms;
	while (w.r.now_ms < calm + 4000)
		cr_assert_eq(world_step(&w).target, taken);
	cr_assert_eq(w.policy.state, POLICY_HOLDING);

	last = taken;
	for (unsigned int i = 0; i < 60 && w.r.balloon > 0; i++) {
		(void)world_step(&w);
		cr_assert_leq(w.r.balloon, last);
		last = w.r.balloon;
	}
	cr_assert_eq(w.r.balloon, 0);
	cr_assert_eq(world_step(&w).again_ms, 0);
	cr_assert_eq(w.policy.state, POLICY_CALM);
}

Test(policy, nothing_is_returned_to_a_host_without_room)
{
	struct world w = world_new(4096 * MIB, 2048 * MIB, 300 * MIB);
	uint64_t taken;

	w.demand = 2200 * MIB;
	for (unsigned int i = 0; i < 30; i++)
		(void)world_step(&w);
	taken = w.r.balloon;
	/* Room of less than twice the reserve. */
	for (unsigned int i = 0; i < 60; i++) {
		w.demand = w.host_total - w.r.guest_total + w.r.balloon - 500 * MIB;
		(void)world_step(&w);
	}
	cr_assert_geq(w.r.balloon, taken);
}

/*
 * Two sandboxes and a host in which a third party comes and goes: after its last
 * change the targets come to rest.
 */
Test(policy, two_sandboxes_do_not_swing)
{
	struct world w[2] = {world_new(4096 * MIB, 2048 * MIB, 300 * MIB),
			     world_new(4096 * MIB, 2048 * MIB, 500 * MIB)};
	unsigned int changes = 0;
	uint64_t last = 0;

	for (unsigned int i = 0; i < 480; i++) {
		uint64_t others = i < 20 ? 0 : 900 * MIB;
		uint64_t sum;

		for (unsigned int k = 0; k < 2; k++) {
			/* For one, the other is a part of the host. */
			w[k].demand = others + w[!k].r.guest_total - w[!k].r.balloon;
			(void)world_step(&w[k]);
			w[k].r.now_ms = 100000 + 250ull * (i + 1);
		}
		sum = w[0].policy.target + w[1].policy.target;
		if (i >= 120 && sum != last)
			changes++;
		last = sum;
	}
	cr_assert_gt(w[0].r.balloon + w[1].r.balloon, 0);
	cr_assert_leq(changes, 2, "%u changes", changes);
}

Test(policy, a_squeeze_goes_on_until_the_host_has_room_and_returns_what_was_too_much)
{
	/* A group of 1146 MiB, 1 GiB of it page cache, is cut to half; nothing more happens. */
	struct world w = world_new(573 * MIB, 1146 * MIB, 122 * MIB);
	uint64_t most;

	for (unsigned int i = 0; i < 40 && w.policy.state != POLICY_HOLDING; i++)
		(void)world_step(&w);
	most = w.r.balloon;
	cr_assert_gt(most, 717 * MIB, "70 %% of the cache, it is %llu MiB",
		     (unsigned long long)(most >> 20));
	cr_assert_leq(w.r.now_ms, 103000u);
	/* What the host does not come for goes back, but for its reserve, twice. */
	for (unsigned int i = 0; i < 60; i++)
		(void)world_step(&w);
	cr_assert_lt(w.r.balloon, most);
	cr_assert_geq(w.r.host_available + MIB, 2 * w.r.host_reserve);
}

Test(policy, a_squeeze_with_nothing_to_take_ends_with_the_pressure)
{
	struct world w = world_new(2048 * MIB, 256 * MIB, 230 * MIB);

	w.demand = 2000 * MIB;
	cr_assert_eq(world_step(&w).target, 0);
	cr_assert_eq(w.policy.state, POLICY_SQUEEZING);
	w.demand = 0;
	cr_assert_eq(world_step(&w).again_ms, 0);
	cr_assert_eq(w.policy.state, POLICY_CALM);
}

/* A guest of 2 GiB that has freed most of what it had touched. */
static struct policy_reading after_freeing(void)
{
	return (struct policy_reading){
		.now_ms = 100000,
		.host_available = 4096 * MIB,
		.host_reserve = 256 * MIB,
		.guest_known = true,
		.guest_quiet = true,
		.guest_total = 2000 * MIB,
		.guest_free = 1800 * MIB,
		.guest_available = 1850 * MIB,
		.ram = 2048 * MIB,
		.resident = 1248 * MIB,
	};
}

Test(policy, what_is_left_of_freed_memory_is_swept_and_the_balloon_let_go)
{
	struct policy_reading r = after_freeing();
	struct policy p = {0};
	struct policy_advice a = policy_step(&p, &r);

	/* 248 MiB are in use, 1000 too many are resident. */
	cr_assert_eq(p.state, POLICY_SWEEPING);
	cr_assert_geq(a.target, 1000 * MIB);
	cr_assert_leq(a.target, 1200 * MIB);
	cr_assert_gt(a.again_ms, 0);

	r.now_ms += a.again_ms;
	r.balloon = 600 * MIB;
	r.guest_free -= r.balloon;
	r.guest_available -= r.balloon;
	r.resident -= r.balloon;
	cr_assert_eq(policy_step(&p, &r).target, a.target);
	r.now_ms += a.again_ms;
	r.balloon += 395 * MIB;
	r.guest_free -= 395 * MIB;
	r.guest_available -= 395 * MIB;
	r.resident -= 395 * MIB;
	a = policy_step(&p, &r);
	cr_assert_eq(a.target, 0);
	cr_assert_eq(p.state, POLICY_CALM);
}

Test(policy, a_busy_guest_is_not_swept)
{
	struct policy_reading r = after_freeing();
	struct policy p = {0};

	r.guest_quiet = false;
	cr_assert_eq(policy_step(&p, &r).target, 0);
	/* Nor one in which there is little to find, or that did not say. */
	r = after_freeing();
	r.resident = 260 * MIB;
	cr_assert_eq(policy_step(&p, &r).target, 0);
	r = after_freeing();
	r.guest_known = false;
	cr_assert_eq(policy_step(&p, &r).target, 0);
}

Test(policy, a_sweep_ends_also_when_the_guest_does_not_follow)
{
	struct policy_reading r = after_freeing();
	struct policy p = {0};
	struct policy_advice a = policy_step(&p, &r);

	for (unsigned int i = 0; i < 100 && a.target > 0; i++) {
		r.now_ms += a.again_ms;
		a = policy_step(&p, &r);
	}
	cr_assert_eq(a.target, 0);
	/* And is not tried again at once. */
	r.now_ms += 1000;
	cr_assert_eq(policy_step(&p, &r).target, 0);
}

Test(policy, a_host_that_becomes_short_keeps_what_a_sweep_took)
{
	struct policy_reading r = after_freeing();
	struct policy p = {0};
	uint64_t taken = policy_step(&p, &r).target;

	r.now_ms += 300;
	r.balloon = taken;
	r.guest_free -= taken;
	r.guest_available -= taken;
	r.resident = 250 * MIB;
	r.host_short = true;
	cr_assert_geq(policy_step(&p, &r).target, taken);
	cr_assert_eq(p.state, POLICY_SQUEEZING);
}

Test(policy, states_have_names)
{
	cr_assert_str_eq(policy_state_name(POLICY_CALM), "calm");
	cr_assert_str_eq(policy_state_name(POLICY_SWEEPING), "sweeping");
}

/* A line of the trace that is no comment. False at its end. */
static bool read_recorded(FILE *f, struct policy_reading *r, char state[16],
			  struct policy_advice *a)
{
	char line[512];
	int is_short, known, quiet;

	do {
		if (!fgets(line, sizeof(line), f))
			return false;
	} while (line[0] == '#');
	cr_assert_eq(sscanf(line,
			    "%" SCNu64 " %d %" SCNu64 " %" SCNu64 " %d %" SCNu64 " %" SCNu64
			    " %" SCNu64 " %d %" SCNu64 " %" SCNu64 " %" SCNu64 " %15s %" SCNu64
			    " %" SCNu32,
			    &r->now_ms, &is_short, &r->host_available, &r->host_reserve, &known,
			    &r->guest_total, &r->guest_free, &r->guest_available, &quiet, &r->ram,
			    &r->resident, &r->balloon, state, &a->target, &a->again_ms),
		     15, "not a reading: %s", line);
	r->host_short = is_short;
	r->guest_known = known;
	r->guest_quiet = quiet;
	return true;
}

Test(policy, what_was_recorded_is_decided_again)
{
	FILE *f = fopen(SC_TRACE_FILE, "re");
	struct policy p = {0};
	struct policy_reading r;
	struct policy_advice then;
	char state[16];
	unsigned int n = 0;

	cr_assert_not_null(f);
	while (read_recorded(f, &r, state, &then)) {
		struct policy_advice now = policy_step(&p, &r);

		n++;
		cr_assert_str_eq(policy_state_name(p.state), state, "reading %u", n);
		cr_assert_eq(now.target, then.target, "reading %u: %" PRIu64 ", not %" PRIu64, n,
			     now.target, then.target);
		cr_assert_eq(now.again_ms, then.again_ms, "reading %u", n);
		/* What is asked for beyond what was given leaves the guest something. */
		if (now.target > r.balloon)
			cr_assert_lt(now.target - r.balloon, r.guest_available, "reading %u", n);
	}
	fclose(f);
	cr_assert_eq(n, 110u);
	cr_assert_eq(p.state, POLICY_CALM, "it has all of its memory back");
}
