/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>

#include "vmm/machine_end.h"

static struct loop *loop;
static unsigned int told;
static struct machine_end heard;
static pthread_t heard_on;

static void on_end(void *owner, const struct machine_end *end)
{
	cr_assert_eq(owner, &told);
	told++;
	heard = *end;
	heard_on = pthread_self();
	loop_stop(loop);
}

static void give(struct end_notice *n, const char *why)
{
	struct machine_end end = {.kind = MACHINE_FAILED};

	snprintf(end.why, sizeof(end.why), "%s", why);
	end_notice_give(n, &end);
}

static void *give_from_elsewhere(void *notice)
{
	give(notice, "first");
	return NULL;
}

Test(machine_end, the_first_end_is_told_once_on_the_loops_thread)
{
	struct end_notice n;
	pthread_t thread;

	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(end_notice_init(&n, loop, on_end, &told), 0);
	cr_assert_eq(pthread_create(&thread, NULL, give_from_elsewhere, &n), 0);
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_expect_eq(told, 0, "the giver's thread tells nobody");
	give(&n, "second");
	cr_assert_eq(loop_run(loop), 0);
	cr_expect_eq(told, 1);
	cr_expect_eq(heard.kind, MACHINE_FAILED);
	cr_expect_str_eq(heard.why, "first");
	cr_expect(pthread_equal(heard_on, pthread_self()));

	give(&n, "third");
	cr_expect_str_eq(n.end.why, "first", "what was told does not change");
	end_notice_fini(&n);
	loop_free(loop);
}

Test(machine_end, one_that_was_never_made_can_be_finished)
{
	struct end_notice n = {.fn = NULL};

	end_notice_fini(&n);
	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(end_notice_init(&n, loop, on_end, &told), 0);
	end_notice_fini(&n);
	end_notice_fini(&n);
	loop_free(loop);
}
