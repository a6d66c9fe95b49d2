/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>

#include "common/lazy_lib.h"

struct math {
	double (*cosine)(double);
	double (*root)(double);
};

static const struct lazy_symbol symbols[] = {
	{"cos", offsetof(struct math, cosine)},
	{"sqrt", offsetof(struct math, root)},
};

Test(lazy_lib, the_functions_work)
{
	struct math m = {0};

	cr_assert_eq(lazy_lib_open("libm.so.6", symbols, 2, &m), 0);
	cr_assert_float_eq(m.cosine(0), 1, 0);
	cr_assert_float_eq(m.root(9), 3, 0);
	/* A second time is fine. */
	cr_assert_eq(lazy_lib_open("libm.so.6", symbols, 2, &m), 0);
	cr_assert_float_eq(m.root(16), 4, 0);
}

Test(lazy_lib, a_library_that_is_not_installed)
{
	struct math m = {0};

	cr_assert_eq(lazy_lib_open("libnothing-of-that-name.so.1", symbols, 2, &m), -ELIBACC);
	cr_assert_null(m.cosine);
	cr_assert_null(m.root);
}

Test(lazy_lib, a_symbol_that_is_missing_leaves_the_table_as_it_was)
{
	static const struct lazy_symbol wanted[] = {
		{"cos", offsetof(struct math, cosine)},
		{"no_such_function", offsetof(struct math, root)},
	};
	struct math m = {0};

	cr_assert_eq(lazy_lib_open("libm.so.6", wanted, 2, &m), -ELIBACC);
	cr_assert_null(m.cosine);
	cr_assert_null(m.root);
}
