/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guest-agent/clock.h"

/* A host whose clock is ahead of ours by that many nanoseconds; the adjustments are not made. */
static const int64_t hour = 3600000000000;
static struct clock c;
static int host;
static unsigned int adjustments;
static int64_t adjusted;

static void adjust(int64_t ns)
{
	adjustments++;
	adjusted = ns;
}

static void setup(void)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	host = fds[0];
	clock_init(&c, fds[1], adjust);
}

static void teardown(void)
{
	clock_fini(&c);
	if (host >= 0)
		close(host);
}

TestSuite(clock, .init = setup, .fini = teardown);

static void answer(int64_t ahead)
{
	struct timespec now;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = htole64((uint64_t)(now.tv_sec * 1000000000 + now.tv_nsec + ahead));
	cr_assert_eq(write(host, &ns, sizeof(ns)), sizeof(ns));
	cr_assert(clock_hear(&c));
}

static unsigned int questions(void)
{
	char buf[16];
	ssize_t n = read(host, buf, sizeof(buf));

	return n > 0 ? (unsigned int)n : 0;
}

/* Until it is content, whatever the machine is busy with. */
static void answer_all(int64_t ahead)
{
	while (questions() > 0)
		answer(ahead);
}

Test(clock, is_set_forwards_and_backwards)
{
	clock_ask(&c);
	answer_all(hour);
	cr_assert_eq(adjustments, 1);
	cr_assert(adjusted > hour - hour / 60 && adjusted < hour + hour / 60, "%" PRId64, adjusted);
	clock_ask(&c);
	answer_all(-hour);
	cr_assert_eq(adjustments, 2);
	cr_assert(adjusted < -(hour - hour / 60) && adjusted > -(hour + hour / 60));
}

Test(clock, one_question_at_a_time)
{
	clock_ask(&c);
	clock_ask(&c);
	cr_assert_eq(questions(), 1);
	cr_assert_eq(clock_turn(&c), -1);
}

Test(clock, an_answer_without_a_question_is_asked_about)
{
	answer(hour);
	cr_assert_eq(adjustments, 0);
	answer_all(hour);
	cr_assert_eq(adjustments, 1);
}

Test(clock, an_answer_that_took_long_is_asked_for_again)
{
	clock_ask(&c);
	c.asked -= 10000000000; /* 10 s */
	cr_assert_eq(questions(), 1);
	answer(hour);
	cr_assert_eq(adjustments, 0);
	cr_assert_eq(questions(), 1);
	/* As often as it takes, but not for ever; then the best of them counts. */
	for (unsigned int i = 0; i < 3; i++) {
		c.asked -= 10000000000;
		answer(hour);
	}
	cr_assert_eq(questions(), 2);
	cr_assert_eq(adjustments, 1);
}

Test(clock, a_difference_that_may_be_the_way_is_none)
{
	clock_ask(&c);
	for (unsigned int i = 0; i < 4; i++) {
		c.asked -= 10000000000;
		answer(-1000000000);
	}
	cr_assert_eq(adjustments, 0);
}

Test(clock, is_asked_for_ever_more_rarely_while_it_is_right)
{
	uint64_t before = c.pause;

	for (unsigned int i = 0; i < 20; i++) {
		c.last = 0;
		(void)clock_turn(&c);
		cr_assert_eq(questions(), 1);
		c.asked -= 10000000000; /* an error of 5 s is allowed for */
		c.tries = 4;
		c.round = UINT64_MAX;
		answer(0);
		cr_assert_geq(c.pause, before);
		before = c.pause;
		cr_assert_gt(clock_turn(&c), 0);
	}
	cr_assert_geq(before, 500000000000);
	/* A command is a reason to look sooner. */
	c.last = 0;
	clock_wake(&c);
	cr_assert_eq(questions(), 1);
	cr_assert_lt(c.pause, before);
}

Test(clock, an_answer_in_pieces)
{
	clock_ask(&c);
	cr_assert_eq(write(host, "abc", 3), 3);
	cr_assert(clock_hear(&c));
	cr_assert_neq(c.asked, 0);
	cr_assert_eq(write(host, "defgh", 5), 5);
	cr_assert(clock_hear(&c));
	cr_assert(c.asked == 0 || c.tries > 0);
}

Test(clock, nobody_answers_any_more)
{
	close(host);
	host = -1;
	cr_assert_not(clock_hear(&c));
	clock_ask(&c);
	cr_assert_eq(clock_turn(&c), -1);
	clock_await(&c);
}

Test(clock, an_answer_is_waited_for)
{
	uint64_t ns = 0;

	clock_ask(&c);
	for (unsigned int i = 0; i < 4; i++)
		cr_assert_eq(write(host, &ns, sizeof(ns)), sizeof(ns));
	clock_await(&c);
	cr_assert_eq(adjustments, 1);
	cr_assert_lt(adjusted, 0);
}
