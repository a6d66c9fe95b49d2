/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "battery/timeline.h"

static struct supply_set set;

static const char *value(const char *supply, enum supply_attr attr)
{
	for (size_t i = 0; i < set.n; i++)
		if (strcmp(set.supplies[i].name, supply) == 0)
			return set.supplies[i].attrs[attr];
	return "no such supply";
}

Test(timeline, steps_through_its_delays)
{
	struct timeline t = {
		.text = "# a comment\n"
			"AC online=1\n"
			"BAT0 status=Full model_name=\"a # b\" # another\n"
			"\n"
			"+500ms AC online=0\n"
			"\tBAT0 status=Discharging\r\n"
			"+2s BAT0 removed\n"
			"+0s UPS0 type=UPS\n"
			"  +1m AC online=1",
	};
	uint64_t ms = 0;

	cr_assert_eq(timeline_next(&t, &set, &ms), 1);
	cr_assert_eq(ms, 500);
	cr_assert_str_eq(value("AC", SUPPLY_TYPE), "Mains");
	cr_assert_str_eq(value("AC", SUPPLY_ONLINE), "1");
	cr_assert_str_eq(value("BAT0", SUPPLY_TYPE), "Battery");
	cr_assert_str_eq(value("BAT0", SUPPLY_MODEL_NAME), "a # b");
	cr_assert_eq(timeline_next(&t, &set, &ms), 1);
	cr_assert_eq(ms, 2000);
	cr_assert_str_eq(value("AC", SUPPLY_ONLINE), "0");
	cr_assert_str_eq(value("BAT0", SUPPLY_STATUS), "Discharging");
	cr_assert_eq(timeline_next(&t, &set, &ms), 1);
	cr_assert_eq(ms, 60000);
	cr_assert_eq(set.n, 2);
	cr_assert_str_eq(value("UPS0", SUPPLY_TYPE), "UPS");
	cr_assert_eq(timeline_next(&t, &set, &ms), 0);
	cr_assert_str_eq(value("AC", SUPPLY_ONLINE), "1");
	cr_assert_eq(timeline_next(&t, &set, &ms), 0, "and stays at its end");
}

static void expect_problem(const char *text, unsigned int line)
{
	struct timeline t = {.text = text};
	uint64_t ms;
	int r;

	memset(&set, 0, sizeof(set));
	do
		r = timeline_next(&t, &set, &ms);
	while (r > 0);
	cr_assert_eq(r, -EINVAL, "%s", text);
	cr_assert_eq(t.line, line, "%s", text);
	cr_assert_not_null(t.problem);
}

Test(timeline, says_which_line_is_wrong)
{
	char text[512];

	expect_problem("AC online=1\nAC bogus=1", 2);
	expect_problem("AC serial_number=1", 1);
	expect_problem("AC online", 1);
	expect_problem("AC online 1", 1);
	expect_problem("AC removed now", 1);
	expect_problem("online=1", 1);
	expect_problem("AC model_name=\"open", 1);
	expect_problem("+ AC online=1", 1);
	expect_problem("+5 AC online=1", 1);
	expect_problem("+s AC online=1", 1);
	expect_problem("+5h AC online=1", 1);
	expect_problem("+99999999999999999999s AC online=1", 1);
	expect_problem("+5s", 1);
	expect_problem("AC online=1\n\n+5s # nothing\n", 3);
	snprintf(text, sizeof(text), "AC online=%0100d", 1);
	expect_problem(text, 1);
	snprintf(text, sizeof(text), "A%0100d online=1", 1);
	expect_problem(text, 1);
}

Test(timeline, holds_only_so_many_supplies)
{
	char text[1024] = "";
	size_t len = 0;

	for (int i = 0; i <= SUPPLY_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "S%d online=1\n", i);
	expect_problem(text, SUPPLY_MAX + 1);
}
