/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <semaphore.h>

#include "common/join.h"

static void *wait_for(void *sem)
{
	sem_wait(sem);
	return NULL;
}

static void *end(void *arg)
{
	return arg;
}

Test(join, a_thread_that_stays_uses_up_the_slices)
{
	unsigned int slices = 2;
	pthread_t thread;
	sem_t go;

	sem_init(&go, 0, 0);
	cr_assert_eq(pthread_create(&thread, NULL, wait_for, &go), 0);
	cr_expect_eq(join_within(thread, &slices), -ETIMEDOUT);
	cr_expect_eq(slices, 0);
	cr_expect_eq(join_within(thread, &slices), -ETIMEDOUT, "nothing is left to wait with");
	sem_post(&go);
	slices = 1200;
	cr_expect_eq(join_within(thread, &slices), 0);
	cr_expect(slices > 0);
}

Test(join, one_that_has_ended_needs_no_slice)
{
	unsigned int slices = 0;
	pthread_t thread;
	int r;

	cr_assert_eq(pthread_create(&thread, NULL, end, NULL), 0);
	do
		r = join_within(thread, &slices);
	while (r == -ETIMEDOUT);
	cr_expect_eq(r, 0);
}
