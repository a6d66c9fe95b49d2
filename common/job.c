/* SPDX-License-Identifier: MIT */
#include "common/job.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

struct job_state {
	int group, terminal, foreground;
};

/* proc(5): after the name, which may hold anything, come state, ppid, pgrp, session, tty_nr, tpgid. */
static bool read_state(int stat_fd, struct job_state *out)
{
	char text[1024];
	const char *after;
	const ssize_t n = pread(stat_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	after = strrchr(text, ')');
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own numbers */
	return after && sscanf(after + 1, " %*c %*d %d %*d %d %d", &out->group, &out->terminal,
			       &out->foreground) == 3;
}

/* tty_nr has the kernel's own form of a device's number. */
static bool is_terminal(int fd, int tty_nr)
{
	const unsigned int n = (unsigned int)tty_nr;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	return st.st_rdev == makedev(5, 0) ||
	       st.st_rdev == makedev((n & 0xfff00) >> 8, (n & 0xff) | (n >> 12 & 0xfff00));
}

bool job_has_terminal(int fd, int stat_fd)
{
	struct job_state state;
	pid_t foreground;

	if (stat_fd == 0) {
		foreground = tcgetpgrp(fd);
		return foreground < 0 || foreground == getpgrp();
	}
	if (!read_state(stat_fd, &state))
		return false;
	return !is_terminal(fd, state.terminal) || state.group == state.foreground;
}

void job_stop(void)
{
	const struct sigaction by_itself = {.sa_handler = SIG_DFL};
	struct sigaction before;
	sigset_t stop, mask;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	(void)sigaction(SIGTSTP, &by_itself, &before);
	pthread_sigmask(SIG_UNBLOCK, &stop, &mask);
	(void)raise(SIGTSTP);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGTSTP, &before, NULL);
}
