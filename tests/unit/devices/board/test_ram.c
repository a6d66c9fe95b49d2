/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/board/ram.h"

enum { SIZE = 8 << 20, PAGE = 4096 };

static struct ram ram;

static void setup(void)
{
	cr_assert_eq(ram_init_memfd(&ram, SIZE), 0);
}

static void teardown(void)
{
	ram_fini(&ram);
}

TestSuite(ram, .init = setup, .fini = teardown);

static uint64_t resident(void)
{
	uint64_t n = UINT64_MAX;

	cr_assert_eq(ram_resident(&ram, &n), 0);
	return n;
}

Test(ram, takes_nothing_until_it_is_touched)
{
	cr_assert_eq(resident(), 0);
	cr_assert_eq((uintptr_t)ram.host % (2 << 20), 0);
	ram.host[0] = 1;
	ram.host[SIZE - 1] = 1;
	cr_assert_eq(resident(), 2 * PAGE);
}

Test(ram, what_is_discarded_is_gone_and_zero)
{
	ram.host[PAGE] = 1;
	ram.host[2 * PAGE] = 2;
	cr_assert_eq(ram_discard(&ram, ram.host + PAGE, PAGE), 0);
	cr_assert_eq(resident(), PAGE);
	cr_assert_eq(ram.host[PAGE], 0);
	cr_assert_eq(ram.host[2 * PAGE], 2);
	cr_assert_eq(ram_discard(&ram, ram.host, SIZE), 0);
	cr_assert_eq(resident(), 0);
}

Test(ram, only_whole_pages_go)
{
	for (size_t i = 0; i < 4; i++)
		ram.host[i * PAGE] = ram.host[i * PAGE + PAGE - 1] = 1;
	cr_assert_eq(ram_discard(&ram, ram.host + 1, 3 * PAGE), 0);
	cr_assert_eq(ram.host[0], 1);
	cr_assert_eq(ram.host[PAGE - 1], 1);
	cr_assert_eq(ram.host[PAGE], 0);
	cr_assert_eq(ram.host[2 * PAGE], 0);
	cr_assert_eq(ram.host[3 * PAGE], 1);
	/* Less than one page, across a boundary or not, is nothing. */
	cr_assert_eq(ram_discard(&ram, ram.host + 3 * PAGE + 1, PAGE - 1), 0);
	cr_assert_eq(ram_discard(&ram, ram.host + 4 * PAGE - 8, 16), 0);
	cr_assert_eq(ram_discard(&ram, ram.host + 3 * PAGE, 0), 0);
	cr_assert_eq(ram.host[3 * PAGE], 1);
}

Test(ram, nothing_outside_is_touched)
{
	static uint8_t elsewhere[2 * PAGE];

	ram.host[0] = ram.host[SIZE - PAGE] = 1;
	cr_assert_eq(ram_discard(&ram, ram.host - PAGE, PAGE), -EFAULT);
	cr_assert_eq(ram_discard(&ram, ram.host - PAGE, 2 * PAGE), -EFAULT);
	cr_assert_eq(ram_discard(&ram, ram.host + SIZE - PAGE, 2 * PAGE), -EFAULT);
	cr_assert_eq(ram_discard(&ram, ram.host + SIZE, PAGE), -EFAULT);
	cr_assert_eq(ram_discard(&ram, ram.host, UINT64_MAX), -EFAULT);
	cr_assert_eq(ram_discard(&ram, ram.host + PAGE, UINT64_MAX - 8), -EFAULT);
	cr_assert_eq(ram_discard(&ram, elsewhere, sizeof(elsewhere)), -EFAULT);
	cr_assert_eq(ram.host[0], 1);
	cr_assert_eq(ram.host[SIZE - PAGE], 1);
}

Test(ram, its_size_is_sealed)
{
	cr_assert_lt(ftruncate(ram.fd, SIZE / 2), 0);
	cr_assert_lt(ftruncate(ram.fd, SIZE * 2), 0);
}

Test(ram, comes_one_way_or_the_other)
{
	struct ram best;

	/* With huge pages where this host allows it, without otherwise. */
	cr_assert_eq(ram_init(&best, SIZE), 0);
	best.host[SIZE - 1] = 7;
	cr_assert_eq(best.host[SIZE - 1], 7);
	cr_assert_eq(ram_discard(&best, best.host, SIZE), 0);
	cr_assert_eq(best.host[SIZE - 1], 0);
	ram_fini(&best);
	ram_fini(&best);
}

Test(ram, more_than_there_are_addresses_is_refused)
{
	struct ram huge;

	cr_assert_lt(ram_init_memfd(&huge, 1ull << 62), 0);
	cr_assert_eq(huge.fd, -1);
}
