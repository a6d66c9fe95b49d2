/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "devices/board/guest_mem.h"

static uint8_t low[4096], high[8192];

static const struct guest_mem mem = {
	.regions = {{0, sizeof(low), low}, {0x100000000, sizeof(high), high}},
	.n_regions = 2,
};

Test(guest_mem, whole_region_is_reachable)
{
	cr_assert_eq(guest_ptr(&mem, 0, 4096), low);
	cr_assert_eq(guest_ptr(&mem, 0x100000000, 8192), high);
	cr_assert_eq(guest_ptr(&mem, 0x100001000, 1), high + 4096);
}

Test(guest_mem, one_byte_past_the_end_is_not)
{
	cr_assert_null(guest_ptr(&mem, 0, 4097));
	cr_assert_null(guest_ptr(&mem, 4096, 0));
	cr_assert_null(guest_ptr(&mem, 4095, 2));
	cr_assert_null(guest_ptr(&mem, 0xffffffff, 2));
}

Test(guest_mem, lengths_that_wrap_are_refused)
{
	cr_assert_null(guest_ptr(&mem, 0x100000000, UINT64_MAX));
	cr_assert_null(guest_ptr(&mem, 1, UINT64_MAX));
	cr_assert_null(guest_ptr(&mem, UINT64_MAX, 1));
	cr_assert_null(guest_ptr(&mem, 0x100000010, UINT64_MAX - 0x10000000f));
}

Test(guest_mem, copies_are_all_or_nothing)
{
	char buf[8] = "unhurt!";

	memset(low, 'x', sizeof(low));
	cr_assert_eq(guest_read(&mem, 4092, buf, 8), -EFAULT);
	cr_assert_str_eq(buf, "unhurt!");
	cr_assert_eq(guest_write(&mem, 4092, buf, 8), -EFAULT);
	cr_assert_eq(low[4095], 'x');
	cr_assert_eq(guest_write(&mem, 4088, buf, 8), 0);
	cr_assert_eq(memcmp(low + 4088, "unhurt!", 8), 0);
}
