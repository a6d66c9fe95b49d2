/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loop.h"
#include "common/terminal.h"
#include "vmm/signal_inbox.h"

static struct terminal terminal;
static struct loop *loop;
static int arrived[8];
static unsigned int n_arrived, n_wanted;

static void on_signal(void *owner, int signo)
{
	cr_assert_eq(owner, &terminal);
	arrived[n_arrived++] = signo;
	if (n_arrived == n_wanted)
		loop_stop(loop);
}

static void setup(void)
{
	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(signal_inbox_init(loop, &terminal, on_signal, &terminal), 0);
}

static void teardown(void)
{
	signal_inbox_fini();
	loop_free(loop);
}

TestSuite(signal_inbox, .init = setup, .fini = teardown);

/* Runs the loop until it has heard n signals. */
static void hear(unsigned int n)
{
	n_wanted = n;
	n_arrived = 0;
	signal_inbox_let_in(true);
	cr_assert_eq(loop_run(loop), 0);
	signal_inbox_let_in(false);
}

Test(signal_inbox, wait_until_they_are_let_in)
{
	raise(SIGTERM);
	raise(SIGWINCH);
	cr_assert_eq(n_arrived, 0);
	hear(2);
	cr_expect_eq(arrived[0], SIGTERM);
	cr_expect_eq(arrived[1], SIGWINCH);
}

Test(signal_inbox, one_that_is_heard_leaves_nothing_behind)
{
	for (int i = 0; i < 3; i++) {
		raise(SIGINT);
		raise(SIGINT);
		hear(1);
		cr_expect_eq(arrived[0], SIGINT);
	}
}

/* How a child ends whose loop does not run when it gets SIGTERM, n times. */
static int end_of_deaf_child(unsigned int n)
{
	pid_t child = fork();
	int status;

	cr_assert(child >= 0);
	if (child == 0) {
		/* Its own timers: a fork has none of the parent's. */
		signal_inbox_fini();
		if (signal_inbox_init(loop, &terminal, on_signal, &terminal) < 0)
			_exit(99);
		signal_inbox_let_in(true);
		for (unsigned int i = 0; i < n; i++)
			raise(SIGTERM);
		for (;;)
			pause();
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(signal_inbox, that_nobody_hears_end_the_process)
{
	cr_expect_eq(end_of_deaf_child(2), 128 + SIGTERM, "it insists: a second");
	cr_expect_eq(end_of_deaf_child(5), 128 + SIGTERM, "to go on does not put it off");
}

Test(signal_inbox, everything_is_given_back)
{
	struct sigaction action;
	sigset_t mask;

	signal_inbox_fini();
	cr_assert_eq(sigaction(SIGTERM, NULL, &action), 0);
	cr_expect(action.sa_handler == SIG_DFL);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	cr_expect_not(sigismember(&mask, SIGTERM));
}
