/* SPDX-License-Identifier: MIT */
/* Threads wait for each other; with filters in builds that have them. */
#include "vmm/start_line.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { THREADS = 4 };

static struct start_line line;
static atomic_uint passed, refused;

static void *runs(void *arg)
{
	(void)arg;
	if (start_line_arrive(&line, POLICY_NET) == 0)
		atomic_fetch_add(&passed, 1);
	else
		atomic_fetch_add(&refused, 1);
	return NULL;
}

static void start(pthread_t threads[THREADS])
{
	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	start_line_init(&line, 0);
	for (int i = 0; i < THREADS; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, runs, NULL), 0);
}

/* The main thread stays as it was, or Criterion could not report: it opens with an error. */
Test(start_line, with_an_error_all_go_to_their_end)
{
	pthread_t threads[THREADS];

	start(threads);
	cr_expect_eq(start_line_open(&line, THREADS, POLICY_LOOP, -EAGAIN), -EAGAIN);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(atomic_load(&refused), THREADS);
	cr_expect_eq(atomic_load(&passed), 0);
}

static void *opens(void *arg)
{
	pthread_t *threads = arg;

	cr_assert_eq(atomic_load(&passed), 0);
	return start_line_open(&line, THREADS, POLICY_LOOP, 0) == 0 ? threads : NULL;
}

Test(start_line, all_pass_once_the_last_is_confined)
{
	pthread_t threads[THREADS], opener;
	void *opened;

	start(threads);
	cr_assert_eq(pthread_create(&opener, NULL, opens, threads), 0);
	pthread_join(opener, &opened);
	cr_expect_eq(opened, threads);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cr_expect_eq(atomic_load(&passed), THREADS);
}
