/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/net/checksum.h"

Test(net_checksum, a_header_of_ipv4)
{
	/* The example everyone uses; its checksum is b861. */
	uint8_t h[20] = {0x45, 0, 0,	0x73, 0, 0, 0x40, 0,	0x40, 0x11,
			 0,    0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,    0xc7};

	cr_assert(net_checksum_fill(h, sizeof(h), 0, 10));
	cr_expect_eq(h[10], 0xb8);
	cr_expect_eq(h[11], 0x61);
}

Test(net_checksum, odd_lengths_count_their_last_byte)
{
	uint8_t odd[] = {0, 0, 1, 2, 3}, even[] = {0, 0, 1, 2, 3, 0};

	cr_assert(net_checksum_fill(odd, sizeof(odd), 0, 0));
	cr_assert(net_checksum_fill(even, sizeof(even), 0, 0));
	cr_expect_eq(memcmp(odd, even, 2), 0);
}

Test(net_checksum, zero_is_written_as_all_ones)
{
	uint8_t f[] = {0, 0, 0xff, 0xff};

	cr_assert(net_checksum_fill(f, sizeof(f), 0, 0));
	cr_expect_eq(f[0], 0xff);
	cr_expect_eq(f[1], 0xff);
}

Test(net_checksum, places_outside_change_nothing)
{
	uint8_t f[8] = {1, 2, 3, 4, 5, 6, 7, 8}, before[8];

	memcpy(before, f, sizeof(f));
	cr_expect(!net_checksum_fill(f, 8, 7, 0));
	cr_expect(!net_checksum_fill(f, 8, 0, 7));
	cr_expect(!net_checksum_fill(f, 8, 4, 3));
	cr_expect(!net_checksum_fill(f, 8, SIZE_MAX, 0));
	cr_expect(!net_checksum_fill(f, 8, 0, SIZE_MAX));
	cr_expect(!net_checksum_fill(f, 1, 0, 0));
	cr_expect_eq(memcmp(before, f, sizeof(f)), 0);
	cr_expect(net_checksum_fill(f, 8, 4, 2));
}
