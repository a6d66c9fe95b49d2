/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "guest-agent/steps.h"

static struct steps steps;

Test(steps, each_begins_where_the_one_before_ended)
{
	steps_mark(&steps, "kernel", NULL);
	steps_mark(&steps, "module", "overlay.ko");
	cr_assert_eq(steps.n, 2);
	cr_assert_eq(steps.list[0].begin, 0);
	cr_assert_eq(steps.list[1].begin, steps.list[0].end);
	cr_assert_str_eq(steps.list[1].name, "module overlay.ko");
}

Test(steps, long_names_and_many_steps)
{
	char name[200];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		steps_mark(&steps, name, name);
	cr_assert_eq(steps.n, STEPS_MAX);
	cr_assert_eq(strlen(steps.list[0].name), STEPS_NAME - 1);
}

/* The message of the most, and the longest, is still a message. */
Test(steps, they_fit_into_a_message)
{
	static struct wire_message m;
	struct sc_header h;

	for (size_t i = 0; i < STEPS_MAX + STEPS_KERNEL_MAX; i++) {
		memset(steps.list[i].name, 'x', STEPS_NAME - 1);
		steps.list[i].end = 1;
	}
	steps.n = STEPS_MAX + STEPS_KERNEL_MAX;
	wire_begin(&m, SC_MSG_READY, 0);
	steps_put(&steps, &m);
	cr_assert_eq(wire_header(m.buf, SC_BODY_MAX_GUEST, &h), 0);
	cr_assert_eq(h.length,
		     steps.n * (sizeof(struct sc_field) + sizeof(struct sc_step) + STEPS_NAME - 1));
}

static bool parse(const char *record, uint64_t *when, const char **text)
{
	return steps_parse_record(record, strlen(record), when, text);
}

Test(steps, records_of_the_kernel_s_log)
{
	uint64_t when = 0;
	const char *text = NULL;

	cr_assert(parse("6,339,1234567,-;a line\n SUBSYSTEM=x\n", &when, &text));
	cr_assert_eq(when, 1234567000u);
	cr_assert_eq(strncmp(text, "a line\n", 7), 0);
	cr_assert(parse("6,1,0,-,caller=T1;x;y", &when, &text));
	cr_assert_str_eq(text, "x;y");
	cr_assert_not(parse("", &when, &text));
	cr_assert_not(parse("6,339", &when, &text));
	cr_assert_not(parse("6,339,", &when, &text));
	cr_assert_not(parse("6,339,x,-;text", &when, &text));
	cr_assert_not(parse("6,339,12,-", &when, &text));
}
