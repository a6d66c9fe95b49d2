/* SPDX-License-Identifier: MIT */
#include "common/signal_fd.h"

#include <errno.h>
#include <sys/signalfd.h>

int signal_fd_open(const int *signals, size_t n, int flags, sigset_t *before, int *fd)
{
	sigset_t set;
	int opened, r;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	r = pthread_sigmask(SIG_BLOCK, &set, before);
	if (r > 0)
		return -r;
	opened = signalfd(-1, &set, SFD_CLOEXEC | flags);
	if (opened < 0)
		return -errno;
	*fd = opened;
	return 0;
}
