/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/loop.h"

struct pair {
	struct loop *loop;
	struct loop_source a, b;
	unsigned int calls;
};

/* Whichever runs first removes the other, whose event is in the same batch. */
static void remove_other(struct loop_source *src, uint32_t events)
{
	struct pair *p = src->name[0] == 'a' ? CONTAINER_OF(src, struct pair, a)
					     : CONTAINER_OF(src, struct pair, b);

	(void)events;
	p->calls++;
	loop_remove(&p->a);
	loop_remove(&p->b);
	loop_stop(p->loop);
}

Test(loop, a_source_removed_in_the_batch_is_not_called)
{
	struct pair p = {.calls = 0};

	cr_assert_eq(loop_new(&p.loop), 0);
	p.a = (struct loop_source){.fd = eventfd(1, 0), .fn = remove_other, .name = "a"};
	p.b = (struct loop_source){.fd = eventfd(1, 0), .fn = remove_other, .name = "b"};
	cr_assert_eq(loop_add(p.loop, &p.a, EPOLLIN), 0);
	cr_assert_eq(loop_add(p.loop, &p.b, EPOLLIN), 0);
	cr_assert_eq(loop_run(p.loop), 0);
	cr_assert_eq(p.calls, 1);
	close(p.a.fd);
	close(p.b.fd);
	loop_free(p.loop);
}

struct clock_test {
	struct loop *loop;
	struct loop_timer timer;
	unsigned int fired;
};

static void tick(struct loop_timer *timer)
{
	struct clock_test *t = CONTAINER_OF(timer, struct clock_test, timer);

	if (++t->fired == 3)
		loop_stop(t->loop);
	else
		loop_timer_set(timer, 1);
}

Test(loop, a_timer_fires_once_each_time_it_is_set)
{
	struct clock_test t = {.fired = 0};

	cr_assert_eq(loop_new(&t.loop), 0);
	cr_assert_eq(loop_timer_init(&t.timer, t.loop, tick, "tick"), 0);
	loop_timer_set(&t.timer, 1);
	cr_assert_eq(loop_run(t.loop), 0);
	cr_assert_eq(t.fired, 3);
	loop_timer_fini(&t.timer);
	loop_free(t.loop);
}

Test(loop, stopping_before_running_returns_at_once)
{
	struct loop *loop;

	cr_assert_eq(loop_new(&loop), 0);
	loop_stop(loop);
	cr_assert_eq(loop_run(loop), 0);
	loop_free(loop);
	loop_free(NULL);
}

Test(loop, a_coarse_timer_ends_on_a_whole_second)
{
	for (uint64_t ms = 1000; ms < 61000; ms += 137) {
		struct timespec before, after;
		uint64_t coarse, end;

		clock_gettime(CLOCK_MONOTONIC, &before);
		coarse = loop_coarse_ms(ms);
		clock_gettime(CLOCK_MONOTONIC, &after);
		cr_assert_geq(coarse, ms - 500);
		cr_assert_leq(coarse, ms + 500);
		/* Exact but for the time between the three readings. */
		end = ((uint64_t)after.tv_nsec / 1000000 + coarse) % 1000;
		if (before.tv_nsec / 1000000 == after.tv_nsec / 1000000)
			cr_assert_eq(end, 0);
	}
}

struct posted {
	struct loop *loop;
	struct loop_task a, b, last;
	unsigned int order;
};

static void run_a(struct loop_task *task)
{
	struct posted *p = CONTAINER_OF(task, struct posted, a);

	cr_assert_eq(p->order++, 0);
	/* From within a task: another round. */
	loop_post(p->loop, &p->last);
}

static void run_b(struct loop_task *task)
{
	struct posted *p = CONTAINER_OF(task, struct posted, b);

	cr_assert_eq(p->order++, 1);
}

static void run_last(struct loop_task *task)
{
	struct posted *p = CONTAINER_OF(task, struct posted, last);

	cr_assert_eq(p->order++, 2);
	loop_stop(p->loop);
}

Test(loop, tasks_run_in_their_order)
{
	struct posted p = {.a.fn = run_a, .b.fn = run_b, .last.fn = run_last};

	cr_assert_eq(loop_new(&p.loop), 0);
	loop_post(p.loop, &p.a);
	loop_post(p.loop, &p.b);
	cr_assert_eq(loop_run(p.loop), 0);
	cr_assert_eq(p.order, 3);
	/* One that is never run is only forgotten. */
	loop_post(p.loop, &p.a);
	loop_free(p.loop);
}

struct crowd {
	struct loop *loop;
	struct loop_source src[3];
	struct loop_task task;
	unsigned int events, tasks;
};

static struct crowd crowd;

static void crowd_task(struct loop_task *task)
{
	crowd.tasks++;
	/* Between two events of one batch. */
	cr_assert_eq(crowd.events, 1);
	cr_assert_eq(task, &crowd.task);
	cr_assert_not(loop_is_wanted(crowd.loop));
}

static void crowd_event(struct loop_source *src, uint32_t events)
{
	(void)events;
	loop_remove(src);
	if (crowd.events++ == 0) {
		cr_assert_not(loop_is_wanted(crowd.loop));
		loop_post(crowd.loop, &crowd.task);
		cr_assert(loop_is_wanted(crowd.loop));
	} else if (crowd.events == 2) {
		cr_assert_eq(crowd.tasks, 1);
		loop_stop(crowd.loop);
		cr_assert(loop_is_wanted(crowd.loop));
	}
}

Test(loop, tasks_and_the_end_do_not_wait_for_a_batch)
{
	cr_assert_eq(loop_new(&crowd.loop), 0);
	crowd.task.fn = crowd_task;
	for (unsigned int i = 0; i < ARRAY_SIZE(crowd.src); i++) {
		crowd.src[i].fd = eventfd(1, EFD_CLOEXEC);
		crowd.src[i].fn = crowd_event;
		crowd.src[i].name = "crowd";
		cr_assert_eq(loop_add(crowd.loop, &crowd.src[i], EPOLLIN), 0);
	}
	cr_assert_eq(loop_run(crowd.loop), 0);
	cr_assert_eq(crowd.events, 2);
	cr_assert_not(loop_is_wanted(crowd.loop));
	loop_free(crowd.loop);
	for (unsigned int i = 0; i < ARRAY_SIZE(crowd.src); i++)
		close(crowd.src[i].fd);
}
