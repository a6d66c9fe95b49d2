/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>

#include "common/loop.h"
#include "vmm/threads.h"

static sem_t ran;
static char name[16];
static sigset_t blocked;
static size_t stack;

static void look_around(struct loop_task *task)
{
	pthread_attr_t attr;

	(void)task;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstacksize(&attr, &stack);
	pthread_attr_destroy(&attr);
	sem_post(&ran);
}

static void failed(void *owner, const char *thread, int error)
{
	(void)owner;
	cr_assert_fail("the loop of %s failed: %d", thread, error);
}

static void stop(struct side_loop *side)
{
	unsigned int slices = 1200;

	side_loop_ask_to_stop(side);
	cr_assert_eq(side_loop_join(side, &slices), 0);
}

Test(threads, a_side_loop_runs_without_signals_on_a_small_stack)
{
	struct side_loop side = {.name = "aside", .failed = failed};
	struct loop_task task = {.fn = look_around};

	sem_init(&ran, 0, 0);
	cr_assert_eq(threads_small_stacks(), 0);
	cr_assert_eq(side_loop_init(&side), 0);
	loop_post(side.loop, &task);
	cr_assert_eq(side_loop_start(&side), 0);
	sem_wait(&ran);
	stop(&side);
	side_loop_fini(&side);

	cr_expect_str_eq(name, "aside");
	cr_expect(sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGWINCH));
	cr_expect(stack <= 1u << 20, "%zu", stack);
}

Test(threads, a_side_loop_that_never_was_is_stopped_and_finished)
{
	struct side_loop side = {.name = "never"};

	stop(&side);
	side_loop_fini(&side);
	cr_expect(!side.started);
}

Test(threads, a_side_loop_starts_again)
{
	struct side_loop side = {.name = "again", .failed = failed};
	struct loop_task task = {.fn = look_around};

	sem_init(&ran, 0, 0);
	cr_assert_eq(side_loop_init(&side), 0);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(side_loop_start(&side), 0);
		loop_post(side.loop, &task);
		sem_wait(&ran);
		stop(&side);
	}
	side_loop_fini(&side);
}

static sem_t let_go;

static void hang(struct loop_task *task)
{
	(void)task;
	sem_post(&ran);
	sem_wait(&let_go);
}

static void count_last(void *owner)
{
	++*(int *)owner;
}

Test(threads, a_side_loop_that_is_stuck_is_not_waited_for)
{
	int lasts = 0;
	struct side_loop side = {
		.name = "stuck", .failed = failed, .last = count_last, .owner = &lasts};
	struct loop_task task = {.fn = hang};
	unsigned int slices = 2;

	sem_init(&ran, 0, 0);
	sem_init(&let_go, 0, 0);
	cr_assert_eq(side_loop_init(&side), 0);
	cr_assert_eq(side_loop_start(&side), 0);
	loop_post(side.loop, &task);
	sem_wait(&ran);

	side_loop_ask_to_stop(&side);
	cr_expect_eq(side_loop_join(&side, &slices), -ETIMEDOUT);
	cr_expect_eq(slices, 0);
	cr_expect(side.started);
	sem_post(&let_go);
	stop(&side);
	cr_expect_eq(lasts, 1, "the thread ends with what it was told to do last");
	side_loop_fini(&side);
}
