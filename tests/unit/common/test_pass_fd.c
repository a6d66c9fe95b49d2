/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/pass_fd.h"

static int ends[2];

static void pair(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
}

TestSuite(pass_fd, .init = pair);

Test(pass_fd, what_is_passed_is_the_same_file)
{
	int tube[2], got;
	char byte = 0;

	cr_assert_eq(pipe(tube), 0);
	cr_assert_eq(pass_fd(ends[0], tube[1]), 0);
	got = take_fd(ends[1]);
	cr_assert_geq(got, 0);
	cr_expect_neq(got, tube[1]);
	cr_expect(fcntl(got, F_GETFD) & FD_CLOEXEC);
	cr_assert_eq(write(got, "x", 1), 1);
	cr_assert_eq(read(tube[0], &byte, 1), 1);
	cr_expect_eq(byte, 'x');
}

Test(pass_fd, nothing_is_taken_of_one_who_hung_up)
{
	close(ends[0]);
	cr_expect_eq(take_fd(ends[1]), -ENOTSUP);
	cr_expect_eq(pass_fd(ends[1], 0), -EPIPE);
}

Test(pass_fd, nothing_is_taken_of_a_byte_alone)
{
	cr_assert_eq(send(ends[0], "x", 1, 0), 1);
	cr_expect_eq(take_fd(ends[1]), -ENOTSUP);
}

Test(pass_fd, what_is_not_open_is_not_passed)
{
	cr_expect_eq(pass_fd(ends[0], 4000), -EBADF);
}
