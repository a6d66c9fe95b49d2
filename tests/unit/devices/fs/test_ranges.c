/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "devices/fs/ranges.h"

enum { BYTES = 24 };

static struct fs_ranges ranges;

static void drop(void)
{
	free(ranges.at);
	ranges = (struct fs_ranges){.n = 0};
}

TestSuite(ranges, .fini = drop);

static void apply(uint64_t start, uint64_t end, uint32_t type)
{
	const struct fs_range range = {start, end, type};
	struct fs_range out[BYTES + 2];
	unsigned int n = fs_ranges_apply(&ranges, &range, out);

	cr_assert_leq(n, ranges.n + 2);
	cr_assert_eq(fs_ranges_reserve(&ranges, n), 0);
	if (n > 0)
		memcpy(ranges.at, out, n * sizeof(out[0]));
	ranges.n = n;
}

/* The type of each byte, and that none touches the next of its type. */
static void check(const uint32_t *model)
{
	uint32_t found[BYTES];

	for (unsigned int i = 0; i < BYTES; i++)
		found[i] = F_UNLCK;
	for (unsigned int i = 0; i < ranges.n; i++) {
		const struct fs_range *r = &ranges.at[i];

		cr_assert_leq(r->start, r->end);
		cr_assert_neq(r->type, F_UNLCK);
		if (i > 0) {
			const struct fs_range *before = r - 1;

			cr_assert(before->end + 1 < r->start ||
				  (before->end < r->start && before->type != r->type));
		}
		for (uint64_t at = r->start; at <= r->end; at++)
			found[at] = r->type;
	}
	cr_assert_eq(memcmp(found, model, sizeof(found)), 0);
}

Test(ranges, are_what_a_table_of_bytes_is)
{
	static const uint32_t types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	uint32_t model[BYTES];
	unsigned int seed = 1;

	for (unsigned int i = 0; i < BYTES; i++)
		model[i] = F_UNLCK;
	for (unsigned int turn = 0; turn < 20000; turn++) {
		uint64_t a = (uint64_t)rand_r(&seed) % BYTES, b = (uint64_t)rand_r(&seed) % BYTES;
		uint32_t type = types[rand_r(&seed) % 3];

		apply(a < b ? a : b, a < b ? b : a, type);
		for (uint64_t at = a < b ? a : b; at <= (a < b ? b : a); at++)
			model[at] = type;
		check(model);
	}
}

Test(ranges, go_to_the_end_of_any_file)
{
	apply(5, INT64_MAX, F_WRLCK);
	apply(0, 4, F_WRLCK);
	cr_assert_eq(ranges.n, 1);
	apply(INT64_MAX, INT64_MAX, F_RDLCK);
	cr_assert_eq(ranges.n, 2);
	cr_assert_eq(ranges.at[0].end, INT64_MAX - 1);
	apply(0, INT64_MAX, F_UNLCK);
	cr_assert_eq(ranges.n, 0);
}

Test(ranges, exclude_others_where_one_writes)
{
	const struct fs_range read = {4, 6, F_RDLCK}, write = {4, 6, F_WRLCK};

	apply(6, 8, F_RDLCK);
	cr_assert_null(fs_ranges_conflict(&ranges, &read));
	cr_assert_eq(fs_ranges_conflict(&ranges, &write), &ranges.at[0]);
	apply(6, 6, F_UNLCK);
	cr_assert_null(fs_ranges_conflict(&ranges, &write));
}
