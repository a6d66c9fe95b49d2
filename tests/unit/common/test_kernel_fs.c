/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/kernel_fs.h"

Test(kernel_fs, knows_proc_by_any_descriptor)
{
	static const int flags[] = {O_RDONLY, O_PATH};

	for (int i = 0; i < 2; i++) {
		int fd = open("/proc/self/status", flags[i] | O_CLOEXEC);

		cr_assert_geq(fd, 0);
		cr_assert_str_eq(kernel_fs_name(fd), "proc");
		close(fd);
	}
}

Test(kernel_fs, lets_files_of_people_be)
{
	char name[] = "/tmp/sandcastle-test-XXXXXX";
	int fd = mkstemp(name);

	cr_assert_geq(fd, 0);
	cr_assert_null(kernel_fs_name(fd));
	close(fd);
	unlink(name);
	cr_assert_null(kernel_fs_name(-1));
}
