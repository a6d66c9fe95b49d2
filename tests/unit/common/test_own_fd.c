/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/own_fd.h"

Test(own_fd, a_pipe_is_opened_once_more)
{
	int ends[2], again;
	char byte = 0;

	cr_assert_eq(pipe(ends), 0);
	again = own_fd_reopen(ends[1], O_WRONLY | O_NONBLOCK);
	cr_assert_geq(again, 0);
	cr_expect(fcntl(again, F_GETFD) & FD_CLOEXEC);
	/* Its flags are its own. */
	cr_expect(fcntl(again, F_GETFL) & O_NONBLOCK);
	cr_expect_not(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	cr_assert_eq(write(again, "x", 1), 1);
	cr_assert_eq(read(ends[0], &byte, 1), 1);
	cr_expect_eq(byte, 'x');
}

Test(own_fd, what_is_not_open_is_an_error)
{
	cr_expect_eq(own_fd_reopen(-1, O_RDONLY), -ENOENT);
	cr_expect_eq(own_fd_reopen(4000, O_RDONLY), -ENOENT);
}

Test(own_fd, the_folder_is_held)
{
	const int folder = own_fd_folder();
	struct stat st;

	cr_assert_geq(folder, 0);
	cr_expect_eq(own_fd_folder(), folder);
	cr_expect(fstat(folder, &st) == 0 && S_ISDIR(st.st_mode));
	cr_expect(fcntl(folder, F_GETFL) & O_PATH);
}
