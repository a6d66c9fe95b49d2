/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
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

/* ---- a template ---- */

enum { HUGE_PAGE = 2 << 20, FILE_OFF = 2 << 20 };

static struct ram clone_ram;

/* A file whose RAM is 'T' in every page of the first block and one page of the third. */
static int template_file(void)
{
	int fd = memfd_create("template", MFD_CLOEXEC);
	char page[PAGE];

	memset(page, 'T', sizeof(page));
	cr_assert_eq(ftruncate(fd, FILE_OFF + SIZE), 0);
	for (off_t at = 0; at < HUGE_PAGE; at += PAGE)
		cr_assert_eq(pwrite(fd, page, PAGE, FILE_OFF + at), PAGE);
	cr_assert_eq(pwrite(fd, page, PAGE, FILE_OFF + 2 * HUGE_PAGE + 5 * PAGE), PAGE);
	return fd;
}

static void clone_setup(void)
{
	static const struct ram_extent extents[] = {{0, HUGE_PAGE},
						    {2 * HUGE_PAGE + 5 * PAGE, PAGE}};
	struct ram_template from = {.offset = FILE_OFF, .extents = extents, .n_extents = 2};

	from.fd = template_file();
	cr_assert_eq(ram_init_template(&clone_ram, SIZE, &from), 0);
	close(from.fd);
}

static void clone_teardown(void)
{
	ram_fini(&clone_ram);
}

TestSuite(ram_template, .init = clone_setup, .fini = clone_teardown);

static bool all_zero(const uint8_t *at, size_t len)
{
	return at[0] == 0 && memcmp(at, at + 1, len - 1) == 0;
}

Test(ram_template, begins_as_the_file)
{
	const uint8_t *ram_at = clone_ram.host;

	cr_assert_eq((uintptr_t)ram_at % HUGE_PAGE, 0);
	cr_assert_eq(ram_at[0], 'T');
	cr_assert_eq(ram_at[HUGE_PAGE - 1], 'T');
	cr_assert(all_zero(ram_at + HUGE_PAGE, HUGE_PAGE + 5 * PAGE));
	cr_assert_eq(ram_at[2 * HUGE_PAGE + 5 * PAGE], 'T');
	cr_assert(all_zero(ram_at + 2 * HUGE_PAGE + 6 * PAGE, SIZE - 2 * HUGE_PAGE - 6 * PAGE));
}

Test(ram_template, a_page_that_was_given_back_is_never_the_files)
{
	uint8_t *ram_at = clone_ram.host;

	/* A whole block, written or not. */
	ram_at[7] = 'x';
	cr_assert_eq(ram_discard(&clone_ram, ram_at, HUGE_PAGE), 0);
	cr_assert(all_zero(ram_at, HUGE_PAGE));
	/* Again, now that it is anonymous. */
	ram_at[7] = 'x';
	cr_assert_eq(ram_discard(&clone_ram, ram_at, HUGE_PAGE), 0);
	cr_assert(all_zero(ram_at, HUGE_PAGE));
	/* Some pages of a block, twice. */
	for (int i = 0; i < 2; i++) {
		ram_at[2 * HUGE_PAGE + 5 * PAGE] = 'x';
		cr_assert_eq(ram_discard(&clone_ram, ram_at + 2 * HUGE_PAGE + 4 * PAGE, 3 * PAGE),
			     0);
		cr_assert(all_zero(ram_at + 2 * HUGE_PAGE, HUGE_PAGE));
	}
	cr_assert_eq(ram_discard(&clone_ram, ram_at + SIZE - PAGE, 2 * PAGE), -EFAULT);
}

Test(ram_template, pieces_without_number_stay_zero)
{
	uint8_t *at = clone_ram.host + 100 * PAGE;

	for (unsigned int i = 0; i < 5000; i++) {
		at[0] = 'x';
		cr_assert_eq(ram_discard(&clone_ram, at, PAGE), 0);
		cr_assert_eq(at[0], 0);
	}
	cr_assert_eq(at[-1], 'T');
	cr_assert_eq(at[PAGE], 'T');
}

Test(ram_template, what_it_writes_is_its_own)
{
	uint64_t before, after;

	cr_assert_eq(ram_resident(&clone_ram, &before), 0);
	for (size_t i = 0; i < 64; i++)
		clone_ram.host[i * PAGE] = 'x';
	cr_assert_eq(ram_resident(&clone_ram, &after), 0);
	cr_assert_geq(after, before + 60 * PAGE);
}

Test(ram_template, pages_of_the_file_are_told_from_its_own)
{
	uint64_t at_first, read, written;
	volatile uint8_t *page = clone_ram.host + PAGE;

	cr_assert_eq(ram_template_mapped(&clone_ram, &at_first), 0);
	(void)*page;
	cr_assert_eq(ram_template_mapped(&clone_ram, &read), 0);
	/* The host maps some around it. */
	cr_assert_geq(read, at_first + PAGE);
	*page = 'x';
	cr_assert_eq(ram_template_mapped(&clone_ram, &written), 0);
	cr_assert_eq(written, read - PAGE);
}
