/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>

#include "common/units.h"

static uint64_t v;

Test(parse, numbers)
{
	cr_assert_eq(parse_number("1", 1, 64, &v), 0);
	cr_assert_eq(v, 1);
	cr_assert_eq(parse_number("64", 1, 64, &v), 0);
	v = 7;
	cr_assert_eq(parse_number("65", 1, 64, &v), -ERANGE);
	cr_assert_eq(parse_number("0", 1, 64, &v), -ERANGE);
	cr_assert_eq(parse_number("99999999999999999999", 1, 64, &v), -ERANGE);
	for (const char *const *bad =
		     (const char *const[]){"", "-1", "+1", " 1", "1 ", "0x1", "1.5", "two", NULL};
	     *bad; bad++)
		cr_assert_eq(parse_number(*bad, 0, 64, &v), -EINVAL, "%s", *bad);
	cr_assert_eq(v, 7, "untouched on failure");
}

Test(parse, sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"1048576", 1 << 20},
		{"512M", 512ull << 20},
		{"512m", 512ull << 20},
		{"2G", 2ull << 30},
		{"2GiB", 2ull << 30},
		{"2gb", 2ull << 30},
		{"64K", 64 << 10},
		{"1T", 1ull << 40},
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cr_assert_eq(parse_size(good[i].text, &v), 0, "%s", good[i].text);
		cr_assert_eq(v, good[i].bytes, "%s", good[i].text);
	}
	v = 7;
	for (const char *const *bad = (const char *const[]){"", "G", "-1G", "1.5G", "1GX", "1 G",
							    "1GiBs", "1B", "1P", NULL};
	     *bad; bad++)
		cr_assert_eq(parse_size(*bad, &v), -EINVAL, "%s", *bad);
	cr_assert_eq(parse_size("18446744073709551616", &v), -ERANGE);
	cr_assert_eq(parse_size("16777216T", &v), -ERANGE);
	cr_assert_eq(v, 7, "untouched on failure");
}

Test(parse, durations)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{"10s", 10000},	   {"5m", 300000},   {"1h30m", 5400000}, {"500ms", 500},
		{"1s500ms", 1500}, {"1d", 86400000}, {"90m", 5400000},
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cr_assert_eq(parse_duration(good[i].text, &v), 0, "%s", good[i].text);
		cr_assert_eq(v, good[i].ms, "%s", good[i].text);
	}
	v = 7;
	for (const char *const *bad = (const char *const[]){"", "10", "0s", "-1s", "1.5h", "30m1h",
							    "1m1m", "1m 1s", "1y", "s", NULL};
	     *bad; bad++)
		cr_assert_eq(parse_duration(*bad, &v), -EINVAL, "%s", *bad);
	cr_assert_eq(parse_duration("999999999999999999d", &v), -ERANGE);
	cr_assert_eq(v, 7, "untouched on failure");
}

Test(parse, sizes_as_text)
{
	char text[32];

	format_size(512, text);
	cr_assert_str_eq(text, "512 B");
	format_size(128 << 20, text);
	cr_assert_str_eq(text, "128 MiB");
	format_size(3ull << 29, text);
	cr_assert_str_eq(text, "1.5 GiB");
	format_size(UINT64_MAX, text);
	cr_assert_str_eq(text, "16777215.9 TiB");
}

Test(parse, host_names)
{
	for (const char *const *good = (const char *const[]){"a", "A-1", "0", "quiet-otter", NULL};
	     *good; good++)
		cr_assert(is_host_name(*good), "%s", *good);
	for (const char *const *bad =
		     (const char *const[]){"", "-a", "a-", "a.b", "a b", "a_b", "ä", NULL};
	     *bad; bad++)
		cr_assert_not(is_host_name(*bad), "%s", *bad);
	cr_assert(is_host_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	cr_assert_not(
		is_host_name("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}
