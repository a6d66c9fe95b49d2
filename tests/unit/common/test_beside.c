/* SPDX-License-Identifier: MIT */
#include "common/beside.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

Test(beside, this_program_is_beside_itself)
{
	char self[PATH_MAX] = "", path[PATH_MAX];

	cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
	program_beside(strrchr(self, '/') + 1, path, sizeof(path));
	cr_assert_str_eq(path, self);
}

Test(beside, what_is_not_there_is_looked_up)
{
	char path[PATH_MAX];

	program_beside("no-such-program", path, sizeof(path));
	cr_assert_str_eq(path, "no-such-program");
}

Test(beside, what_does_not_fit_is_looked_up)
{
	char path[8];

	program_beside("true", path, sizeof(path));
	cr_assert_str_eq(path, "true");
}
