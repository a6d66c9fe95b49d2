/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "guest-agent/modules.h"

Test(modules, list)
{
	static const char list[] = "lib/a.ko\n\n?lib/b.ko\n/lib/c.ko\n?\n \n?/lib/d.ko";
	struct module_line l;
	size_t pos = 0;

	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 1);
	cr_assert_str_eq(l.path, "lib/a.ko");
	cr_assert(!l.optional);
	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 1);
	cr_assert_str_eq(l.path, "lib/b.ko");
	cr_assert(l.optional);
	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 1);
	cr_assert_str_eq(l.path, "lib/c.ko");
	cr_assert(!l.optional);
	/* The last line lacks its newline, the two before it a name. */
	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 1);
	cr_assert_str_eq(l.path, "lib/d.ko");
	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 0);
	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 0);
}

Test(modules, parameters)
{
	static const char list[] = "?lib/a.ko x=1 y=2\nlib/b.ko\nlib/c.ko \n";
	struct module_line l;
	size_t pos = 0;

	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 1);
	cr_assert_str_eq(l.path, "lib/a.ko");
	cr_assert_str_eq(l.params, "x=1 y=2");
	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 1);
	cr_assert_str_eq(l.path, "lib/b.ko");
	cr_assert_str_eq(l.params, "");
	cr_assert_eq(modules_next(list, strlen(list), &pos, &l), 1);
	cr_assert_str_eq(l.path, "lib/c.ko");
	cr_assert_str_eq(l.params, "");
}

Test(modules, long_line)
{
	static char list[2 * PATH_MAX];
	struct module_line l;
	size_t pos = 0;

	memset(list, 'm', sizeof(list));
	list[PATH_MAX - 1] = '\n';
	cr_assert_eq(modules_next(list, sizeof(list), &pos, &l), 1);
	cr_assert_eq(strlen(l.path), PATH_MAX - 1);
	cr_assert_eq(modules_next(list, sizeof(list), &pos, &l), -EINVAL);
}

Test(modules, signature_mark)
{
	static const char file[] = "ELF...signature~Module signature appended~\n";
	const size_t len = strlen(file);

	cr_assert_eq(module_unmarked_length(file, len), strlen("ELF...signature"));
	/* Only at the very end, and only whole. */
	cr_assert_eq(module_unmarked_length(file, len - 1), len - 1);
	cr_assert_eq(module_unmarked_length(file + 16, len - 16), len - 16);
	cr_assert_eq(module_unmarked_length(file, 0), 0);
}
