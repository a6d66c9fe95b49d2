/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>

#include "common/signal_fd.h"

static const int two[] = {SIGUSR1, SIGWINCH};

Test(signal_fd, arrive_at_the_descriptor)
{
	struct signalfd_siginfo info;
	AUTO_CLOSE int fd = -1;

	cr_assert_eq(signal_fd_open(two, ARRAY_SIZE(two), SFD_NONBLOCK, NULL, &fd), 0);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	cr_assert(read(fd, &info, sizeof(info)) < 0 && errno == EAGAIN);
	raise(SIGWINCH);
	raise(SIGUSR1);
	cr_assert_eq(read(fd, &info, sizeof(info)), sizeof(info));
	cr_assert_eq(info.ssi_signo, SIGUSR1);
	cr_assert_eq(read(fd, &info, sizeof(info)), sizeof(info));
	cr_assert_eq(info.ssi_signo, SIGWINCH);
}

Test(signal_fd, the_mask_until_then)
{
	AUTO_CLOSE int fd = -1;
	AUTO_CLOSE int second = -1;
	sigset_t before, after;

	cr_assert_eq(signal_fd_open(two, 1, 0, &before, &fd), 0);
	cr_assert_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	cr_assert_not(sigismember(&before, SIGUSR1));
	cr_assert_eq(signal_fd_open(two + 1, 1, 0, &after, &second), 0);
	cr_assert(sigismember(&after, SIGUSR1));
	cr_assert_not(sigismember(&after, SIGWINCH));
}

Test(signal_fd, flags_that_there_are_not)
{
	int fd = -1;

	cr_assert_eq(signal_fd_open(two, 1, 1 << 30, NULL, &fd), -EINVAL);
	cr_assert_eq(fd, -1);
}
