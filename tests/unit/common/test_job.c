/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/job.h"

/* Codes of processes: Criterion knows its own one only. */
enum { GOOD = 0, BAD = 1 };

static int terminal;

static int stat_of(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return open(path, O_RDONLY);
}

static void become_shell(void)
{
	int master;

	signal(SIGTTOU, SIG_IGN);
	if (openpty(&master, &terminal, NULL, NULL, NULL) < 0 || setsid() < 0 ||
	    ioctl(terminal, TIOCSCTTY, 0) < 0)
		_exit(BAD);
}

static pid_t start(int (*fn)(void))
{
	const pid_t pid = fork();

	if (pid == 0)
		_exit(fn());
	return pid;
}

static pid_t start_job(int (*fn)(void))
{
	const pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		_exit(fn());
	}
	setpgid(pid, pid);
	return pid;
}

static int job_in_the_background(void)
{
	return job_has_terminal(terminal, 0) ? BAD : GOOD;
}

static int job_in_the_foreground(void)
{
	while (tcgetpgrp(terminal) != getpgrp())
		usleep(1000);
	return job_has_terminal(terminal, 0) ? GOOD : BAD;
}

static bool ends_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == GOOD;
}

static int waits(void)
{
	pause();
	return BAD;
}

static bool foreground_moves(void)
{
	const pid_t job = start_job(waits);
	const int shell = stat_of(getpid()), its = stat_of(job);
	bool good = job_has_terminal(terminal, shell) && !job_has_terminal(terminal, its);

	good &= tcsetpgrp(terminal, job) == 0 && job_has_terminal(terminal, its) &&
		!job_has_terminal(terminal, 0) && !job_has_terminal(terminal, shell);
	kill(job, SIGKILL);
	waitpid(job, NULL, 0);
	/* A process that has gone reads nothing. */
	return good && !job_has_terminal(terminal, its) && tcsetpgrp(terminal, getpgrp()) == 0;
}

static int shell_of_jobs(void)
{
	pid_t job;

	become_shell();
	if (!ends_well(start_job(job_in_the_background)) || !foreground_moves())
		return BAD;
	job = start_job(job_in_the_foreground);
	return tcsetpgrp(terminal, job) == 0 && ends_well(job) ? GOOD : BAD;
}

Test(job, has_the_terminal_in_the_foreground, .timeout = 60)
{
	cr_assert(ends_well(start(shell_of_jobs)));
}

Test(job, a_terminal_of_somebody_else_is_read)
{
	int master, slave, null = open("/dev/null", O_RDONLY);

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_assert(job_has_terminal(slave, 0));
	cr_assert(job_has_terminal(slave, stat_of(getpid())));
	cr_assert(job_has_terminal(null, stat_of(getpid())));
}

static volatile sig_atomic_t handled;

static void handle(int signo)
{
	(void)signo;
	handled = 1;
}

static int stops(void)
{
	struct sigaction before = {.sa_handler = handle}, after;

	sigaction(SIGTSTP, &before, NULL);
	job_stop();
	sigaction(SIGTSTP, NULL, &after);
	return !handled && after.sa_handler == handle ? GOOD : BAD;
}

static int shell_that_stops_jobs(void)
{
	pid_t job;
	int status;

	become_shell();
	job = start_job(stops);
	if (waitpid(job, &status, WUNTRACED) != job || !WIFSTOPPED(status) ||
	    WSTOPSIG(status) != SIGTSTP)
		return BAD;
	kill(job, SIGCONT);
	return ends_well(job) ? GOOD : BAD;
}

Test(job, stops_and_goes_on, .timeout = 60)
{
	cr_assert(ends_well(start(shell_that_stops_jobs)));
}
