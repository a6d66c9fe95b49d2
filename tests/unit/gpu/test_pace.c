/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "gpu/pace.h"

static struct pace p;
static uint64_t until;

Test(pace, the_first_picture_is_taken_at_once)
{
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 5000000, &until), PACE_FRAME);
	pace_sent(&p, 5000000);
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 5000001, &until), PACE_WAIT);
}

Test(pace, sixty_a_second_for_a_window_that_is_quick)
{
	unsigned int frames = 0;

	/* Asked each millisecond, as the timer rounds up to. */
	for (uint64_t now = 1000000; now < 11000000; now += 1000)
		if (pace_ask(&p, PACE_VISIBLE, now, &until) == PACE_FRAME) {
			frames++;
			pace_sent(&p, now);
			pace_shown(&p);
		}
	cr_assert_geq(frames, 599);
	cr_assert_leq(frames, 601);
}

Test(pace, sixty_a_second_where_nobody_looks_without_a_picture)
{
	unsigned int n = 0;

	for (uint64_t now = 1000000; now < 2000000; now += 100) {
		const enum pace_action a = pace_ask(&p, PACE_NOBODY, now, &until);

		cr_assert_neq(a, PACE_FRAME);
		n += a == PACE_LET_GO;
	}
	cr_assert_geq(n, 59);
	cr_assert_leq(n, 61);
}

Test(pace, ten_a_second_for_a_hidden_window)
{
	unsigned int frames = 0;

	for (uint64_t now = 1000000; now < 11000000; now += 500)
		if (pace_ask(&p, PACE_HIDDEN, now, &until) == PACE_FRAME) {
			frames++;
			pace_sent(&p, now);
			pace_shown(&p);
		}
	cr_assert_geq(frames, 99);
	cr_assert_leq(frames, 101);
}

Test(pace, a_window_that_does_not_answer_holds_the_guest_a_tenth_of_a_second)
{
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 1000000, &until), PACE_FRAME);
	pace_sent(&p, 1000000);
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 1099999, &until), PACE_WAIT);
	cr_assert_eq(until, 1100000);
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 1100000, &until), PACE_LET_GO);
	/* And again, until it answers. */
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 1150000, &until), PACE_WAIT);
	cr_assert_eq(until, 1200000);
	pace_shown(&p);
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 1150000, &until), PACE_FRAME);
}

Test(pace, waiting_ends_when_it_said)
{
	for (uint64_t now = 1000000; now < 2000000; now = until) {
		cr_assert_neq(pace_ask(&p, PACE_VISIBLE, now, &until), PACE_WAIT);
		cr_assert_eq(pace_ask(&p, PACE_VISIBLE, now, &until), PACE_WAIT);
		cr_assert_gt(until, now);
	}
}

Test(pace, an_idle_guest_does_not_save_up_pictures)
{
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 1000000, &until), PACE_FRAME);
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 9000000, &until), PACE_FRAME);
	cr_assert_eq(pace_ask(&p, PACE_VISIBLE, 9000001, &until), PACE_WAIT);
	cr_assert_eq(until, 9000000 + PACE_PERIOD);
}
