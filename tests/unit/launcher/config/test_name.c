/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "common/units.h"
#include "launcher/config/name.h"

Test(name, is_two_words_and_a_host_name)
{
	for (int i = 0; i < 200; i++) {
		char *name = name_generate();

		cr_assert_not_null(name);
		cr_assert(is_host_name(name), "%s", name);
		cr_assert_not_null(strchr(name, '-'));
		cr_assert_eq(strchr(name, '-'), strrchr(name, '-'));
		free(name);
	}
}

Test(name, differs)
{
	char *first = name_generate();
	int same = 0;

	for (int i = 0; i < 50; i++) {
		char *name = name_generate();

		same += strcmp(name, first) == 0;
		free(name);
	}
	cr_assert_lt(same, 10);
	free(first);
}
