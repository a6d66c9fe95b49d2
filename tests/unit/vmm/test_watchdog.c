/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "common/terminal.h"
#include "vmm/watchdog.h"

static struct terminal terminal;

/* What a child with the function printed on standard error, and how it ended. */
static int of_child(void (*fn)(void), char *said, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	cr_assert(child >= 0);
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		fn();
		_exit(99);
	}
	close(ends[1]);
	n = read(ends[0], said, size - 1);
	said[n > 0 ? n : 0] = '\0';
	close(ends[0]);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void arm(struct watchdog *w)
{
	if (watchdog_init(w, &terminal) < 0)
		_exit(98);
	watchdog_set(w, 1, 124, "it is stuck");
}

static void stuck_in_a_computation(void)
{
	static struct watchdog w;
	volatile unsigned int work = 0;

	arm(&w);
	for (;;)
		work++;
}

static void stuck_behind_a_lock(void)
{
	static struct watchdog w;
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	arm(&w);
	pthread_mutex_lock(&lock);
}

/* A pipe that nobody reads. */
static void stuck_and_nobody_listens(void)
{
	static struct watchdog w;
	static const char fill[65536];
	int ends[2];

	if (pipe(ends) < 0 || write(ends[1], fill, sizeof(fill)) != sizeof(fill))
		_exit(97);
	dup2(ends[1], STDERR_FILENO);
	arm(&w);
	for (;;)
		pause();
}

Test(watchdog, ends_what_is_stuck)
{
	char said[100];

	cr_expect_eq(of_child(stuck_in_a_computation, said, sizeof(said)), 124);
	cr_expect_str_eq(said, "sandcastle: it is stuck\n");
	cr_expect_eq(of_child(stuck_behind_a_lock, said, sizeof(said)), 124);
	cr_expect_str_eq(said, "sandcastle: it is stuck\n");
}

Test(watchdog, does_not_wait_for_a_reader)
{
	char said[100];

	cr_expect_eq(of_child(stuck_and_nobody_listens, said, sizeof(said)), 124);
}

/* The signal of another process is not the timer's. */
static void disturbed(void)
{
	static struct watchdog w;

	if (watchdog_init(&w, &terminal) < 0)
		_exit(98);
	watchdog_set(&w, 3600 * 1000, 124, "too early");
	for (int i = 0; i < 3; i++)
		raise(SIGRTMIN + 1);
	watchdog_fini(&w);
	_exit(5);
}

Test(watchdog, is_not_set_off_by_others)
{
	char said[100];

	cr_expect_eq(of_child(disturbed, said, sizeof(said)), 5);
	cr_expect_str_empty(said);
}

static bool armed(const struct watchdog *w)
{
	struct itimerspec left;

	cr_assert_eq(timer_gettime(w->timer, &left), 0);
	return left.it_value.tv_sec != 0 || left.it_value.tv_nsec != 0;
}

Test(watchdog, set_and_cleared)
{
	struct watchdog w = {.made = false};

	watchdog_clear(&w);
	watchdog_fini(&w);
	cr_assert_eq(watchdog_init(&w, &terminal), 0);
	cr_expect_not(armed(&w));
	watchdog_set(&w, 3600 * 1000, 1, "never");
	cr_expect(armed(&w));
	watchdog_clear(&w);
	cr_expect_not(armed(&w));
	watchdog_fini(&w);
}
