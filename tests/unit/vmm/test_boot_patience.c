/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "vmm/boot_patience.h"

Test(boot_patience, a_guest_that_gets_cpu_time_is_waited_for)
{
	uint64_t last = 0;

	cr_expect_eq(boot_patience(1000, &last), 60000);
	cr_expect_eq(boot_patience(2000, &last), 60000);
	cr_expect_eq(boot_patience(2999, &last), 0, "it hardly got any since");
	cr_expect_eq(last, 2999);
}

Test(boot_patience, one_that_does_nothing_is_given_up)
{
	uint64_t last = 0;

	cr_expect_eq(boot_patience(999, &last), 0);
}

Test(boot_patience, and_so_is_one_that_had_the_limit_in_cpu_time)
{
	uint64_t last = 0;

	cr_expect_eq(boot_patience(BOOT_LIMIT_MS - 1, &last), 60000);
	cr_expect_eq(boot_patience(2 * BOOT_LIMIT_MS, &last), 0);
	last = 0;
	cr_expect_eq(boot_patience(BOOT_LIMIT_MS, &last), 0);
}
