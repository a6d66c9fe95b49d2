/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "guest-agent/text.h"

Test(text, numbers)
{
	struct text t = {.len = 0};

	text_add_u32(&t, 0);
	text_add(&t, " ");
	text_add_u32(&t, UINT32_MAX);
	cr_assert_str_eq(t.buf, "0 4294967295");
	cr_assert(!t.cut);
}

Test(text, what_does_not_fit_is_cut)
{
	struct text t = {.len = 0};

	for (int i = 0; i < TEXT_MAX; i++)
		text_add(&t, "ab");
	cr_assert(t.cut);
	cr_assert_eq(t.len, TEXT_MAX - 1);
	cr_assert_eq(strlen(t.buf), TEXT_MAX - 1);
}

Test(text, failure)
{
	struct text t = {.len = 0};

	cr_assert_eq(text_fail(&t, -ENOENT, "mount", "/x"), -ENOENT);
	cr_assert_str_eq(t.buf, "cannot mount /x: No such file or directory");
	(void)text_fail(&t, -99999, "go on", NULL);
	cr_assert_str_eq(t.buf, "cannot go on: unknown error");
}
