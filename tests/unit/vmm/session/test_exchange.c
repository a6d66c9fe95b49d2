/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "vmm/session/exchange.h"

/* An exchange that counts what it is called for. */
struct asked {
	struct exchange x;
	struct exchanges *all;
	unsigned int to_say, heard, lost, due;
	bool refuses, leaves;
	char why[32];
};

static struct asked *to_asked(struct exchange *x)
{
	return CONTAINER_OF(x, struct asked, x);
}

static bool compose(struct exchange *x, struct agent_buffer *buf)
{
	struct asked *a = to_asked(x);

	if (a->to_say == 0)
		return false;
	a->to_say--;
	return agent_wire_signal(buf, x->id, 1) == 0;
}

static bool hear(struct exchange *x, const struct agent_message *m)
{
	(void)m;
	to_asked(x)->heard++;
	return !to_asked(x)->refuses;
}

static void lose(struct exchange *x, bool failed, const char *why)
{
	struct asked *a = to_asked(x);

	a->lost++;
	snprintf(a->why, sizeof(a->why), "%s:%s", failed ? "failed" : "gone", why);
}

static bool deliver(struct exchange *x)
{
	struct asked *a = to_asked(x);

	if (a->due == 0)
		return false;
	a->due--;
	if (a->leaves)
		exchanges_remove(a->all, x);
	return true;
}

static const struct exchange_ops ops = {
	.compose = compose,
	.heard = hear,
	.lost = lose,
	.deliver = deliver,
};
static const struct exchange_ops other_ops = {
	.compose = compose,
	.heard = hear,
	.lost = lose,
	.deliver = deliver,
};

static struct exchanges all;
static struct asked three[3];

static void setup(void)
{
	for (unsigned int i = 0; i < 3; i++) {
		three[i].x.ops = i == 2 ? &other_ops : &ops;
		three[i].all = &all;
		cr_assert_eq(exchanges_add(&all, &three[i].x), 0);
	}
}

TestSuite(exchange, .init = setup);

Test(exchange, numbers_are_given_once)
{
	struct asked late = {.x.ops = &ops};

	cr_assert_eq(three[0].x.id, 1);
	cr_assert_eq(three[2].x.id, 3);
	exchanges_remove(&all, &three[2].x);
	exchanges_remove(&all, &three[2].x);
	cr_assert_eq(exchanges_add(&all, &late.x), 0);
	cr_assert_eq(late.x.id, 4);
	cr_assert_eq(exchanges_find(&all, 4), &late.x);
	cr_assert_null(exchanges_find(&all, 3));
	all.last_id = UINT32_MAX;
	cr_assert_eq(exchanges_add(&all, &three[2].x), -EAGAIN);
}

Test(exchange, kinds_are_counted_apart)
{
	cr_assert_eq(exchanges_count(&all, &ops), 2);
	cr_assert_eq(exchanges_count(&all, &other_ops), 1);
}

Test(exchange, the_oldest_speaks_first)
{
	struct agent_buffer buf = {.data = NULL};
	struct sc_header h;

	three[1].to_say = 2;
	three[2].to_say = 1;
	for (unsigned int i = 0; i < 3; i++) {
		buf.len = 0;
		cr_assert(exchanges_compose(&all, &buf));
		memcpy(&h, buf.data, sizeof(h));
		cr_assert_eq(h.id, i < 2 ? 2 : 3);
	}
	cr_assert_not(exchanges_compose(&all, &buf));
	agent_buffer_fini(&buf);
}

Test(exchange, an_answer_finds_whom_it_is_for)
{
	struct agent_message m = {.type = SC_MSG_STARTED, .id = 2};

	cr_assert_null(exchanges_hear(&all, &m));
	cr_assert(three[0].heard == 0 && three[1].heard == 1 && three[2].heard == 0);
	three[1].refuses = true;
	cr_assert_str_eq(exchanges_hear(&all, &m), "sent a message out of order");
	/* Nobody waits for it any more, which the guest need not know yet. */
	exchanges_remove(&all, &three[1].x);
	cr_assert_null(exchanges_hear(&all, &m));
	m.id = 4;
	cr_assert_str_eq(exchanges_hear(&all, &m), "answered what it was not asked");
}

Test(exchange, all_are_lost_with_the_session)
{
	exchanges_lose(&all, true, "why");
	for (unsigned int i = 0; i < 3; i++) {
		cr_assert_eq(three[i].lost, 1);
		cr_assert_str_eq(three[i].why, "failed:why");
	}
	exchanges_lose(&all, false, "");
	cr_assert_str_eq(three[0].why, "gone:");
}

Test(exchange, owners_are_told_while_exchanges_leave)
{
	three[0].due = three[1].due = 1;
	three[2].due = 3;
	three[0].leaves = three[1].leaves = true;
	exchanges_deliver(&all);
	cr_assert(three[0].due == 0 && three[1].due == 0 && three[2].due == 0);
	cr_assert_eq(all.first, &three[2].x);
}
