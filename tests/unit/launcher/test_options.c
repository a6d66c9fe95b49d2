/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/options.h"

struct seen {
	struct call call;
	char trace[128];
	bool loud;
	const char *place;
};

static int answer;

static int set_size(struct call *call, const char *value)
{
	struct seen *seen = CONTAINER_OF(call, struct seen, call);
	const size_t used = strlen(seen->trace);

	snprintf(seen->trace + used, sizeof(seen->trace) - used, "%s=%s;", call->row->name, value);
	return answer;
}

static int show(struct call *call)
{
	const struct seen *seen = CONTAINER_OF(call, struct seen, call);

	printf("%d operands, %s, place %s, loud %d", call->argc, seen->trace, seen->place,
	       seen->loud);
	return 7;
}

static const struct option_row rows[] = {
	{"size", 's', "N", set_size, 0, 1, "how big"},
	{"loud", 'l', NULL, option_flag, offsetof(struct seen, loud), 0, "make noise\nand more"},
	{"place", 0, "A-RATHER-LONG-WORD", option_text, offsetof(struct seen, place), 0, "where"},
	{"key", 0, "none", NULL, 0, 0, "for files only"},
	{0},
};

static const struct seen defaults = {.place = "home"};

static struct command test = {
	.name = "test",
	.usage = "[OPTIONS] A\nB",
	.about = "About it.\n",
	.after = "The end.\n",
	.options = rows,
	.min = 1,
	.max = 2,
	.wants = "takes one or two; write it so",
	.defaults = &defaults.call,
	.size = sizeof(struct seen),
	.run = show,
};

static struct seen seen;

static void redirect(void)
{
	cr_redirect_stderr();
	cr_redirect_stdout();
}

TestSuite(options, .init = redirect);

static int with_words(const char *const *words, int (*what)(int argc, char **argv))
{
	static char copy[8][32];
	static char *argv[9];
	int argc = 0;

	for (; words[argc]; argc++) {
		snprintf(copy[argc], sizeof(copy[argc]), "%s", words[argc]);
		argv[argc] = copy[argc];
	}
	return what(argc, argv);
}

/* The index of the first operand, -1 if help was shown, or what options_parse() returned. */
static int parse(int argc, char **argv)
{
	const unsigned int only = seen.call.only;
	int r;

	seen = (struct seen){.call = {.command = &test, .only = only}};
	r = options_parse(&seen.call, argc, argv);
	return r == 0 ? argc - seen.call.argc : r > 0 ? -1 : r;
}

static int run(int argc, char **argv)
{
	return command_run(&test, argc, argv);
}

static void shown(const char *what)
{
	char text[1024];
	size_t n;

	fflush(stdout);
	n = fread(text, 1, sizeof(text) - 1, cr_get_redirected_stdout());
	text[n] = '\0';
	cr_assert_str_eq(text, what);
}

#define PARSE(...) with_words((const char *const[]){"test", __VA_ARGS__, NULL}, parse)
#define RUN(...)   with_words((const char *const[]){"test", __VA_ARGS__, NULL}, run)

static void said(const char *what)
{
	char text[512];
	FILE *f = cr_get_redirected_stderr();
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	text[n] = '\0';
	cr_assert_not_null(strstr(text, what), "%s", text);
	cr_assert_eq(strchr(text, '\n'), text + n - 1, "one line");
}

Test(options, long_short_and_joined)
{
	cr_assert_eq(PARSE("--size", "3", "-l", "-s4", "--size=5", "-ls", "6"), 8);
	cr_assert_str_eq(seen.trace, "size=3;size=4;size=5;size=6;");
}

Test(options, end_at_the_command)
{
	cr_assert_eq(PARSE("-l", "cmd", "--size", "3"), 2);
	cr_assert_str_empty(seen.trace);
	cr_assert(seen.loud);
	cr_assert_eq(PARSE("-l", "--", "--size", "3"), 3);
	cr_assert_str_empty(seen.trace);
	cr_assert_eq(PARSE("-"), 1);
}

Test(options, can_be_parsed_twice)
{
	cr_assert_eq(PARSE("-ls", "6"), 3);
	cr_assert_eq(PARSE("-l"), 2);
}

Test(options, unknown_long)
{
	cr_assert_eq(PARSE("--sise", "3"), -EINVAL);
	said("did you mean --size? See `sandcastle test --help`");
}

Test(options, unknown_long_with_value)
{
	cr_assert_eq(PARSE("-l", "--plaec=3"), -EINVAL);
	said("unknown option --plaec, did you mean --place?");
}

Test(options, unknown_and_near_nothing)
{
	cr_assert_eq(PARSE("--xyzzy"), -EINVAL);
	said("unknown option --xyzzy; see");
}

Test(options, unknown_short)
{
	cr_assert_eq(PARSE("-x"), -EINVAL);
	said("unknown option -x");
}

Test(options, missing_value)
{
	cr_assert_eq(PARSE("--size"), -EINVAL);
	said("--size needs a value (N)");
}

Test(options, missing_value_of_a_letter)
{
	cr_assert_eq(PARSE("-s"), -EINVAL);
	said("--size needs a value (N)");
}

Test(options, value_where_none_belongs)
{
	cr_assert_eq(PARSE("--loud=3"), -EINVAL);
	said("--loud takes no value");
}

Test(options, options_behind_operands)
{
	test.flags = COMMAND_OPTIONS_ANYWHERE;
	cr_assert_eq(PARSE("cmd", "--size", "3", "-l"), 4);
	cr_assert_str_eq(seen.trace, "size=3;");
	cr_assert(seen.loud);
	cr_assert_str_eq(seen.call.argv[0], "cmd");
	cr_assert_eq(PARSE("cmd", "--sise", "3"), -EINVAL);
	said("unknown option --sise, did you mean --size?");
}

Test(options, only_those_with_a_flag)
{
	seen.call.only = 1;
	cr_assert_eq(PARSE("--place=x", "-ls", "3", "cmd"), 4);
	cr_assert_str_eq(seen.trace, "size=3;");
	cr_assert_not(seen.loud);
	cr_assert_null(seen.place);
}

Test(options, a_row_without_a_setter_is_no_option)
{
	cr_assert_eq(PARSE("--key=none"), -EINVAL);
	said("unknown option --key; see");
}

Test(options, a_command_starts_from_its_defaults)
{
	cr_assert_eq(RUN("--size=3", "-l", "a", "b"), 7);
	shown("2 operands, size=3;, place home, loud 1");
}

Test(options, a_command_with_text)
{
	cr_assert_eq(RUN("--place=here", "a"), 7);
	shown("1 operands, , place here, loud 0");
}

Test(options, too_few_operands)
{
	cr_assert_eq(RUN("-l"), 125);
	said("test takes one or two; write it so");
}

Test(options, too_many_operands)
{
	cr_assert_eq(RUN("a", "b", "c"), 125);
	said("test takes one or two; write it so");
}

Test(options, no_operands_at_all)
{
	test.min = test.max = 0;
	cr_assert_eq(RUN("a"), 125);
	said("test takes no 'a'; see `sandcastle test --help`");
}

Test(options, list_for_completion)
{
	options_list(&test);
	shown("[OPTIONS] A\n"
	      "--size -s N\n"
	      "--loud -l -\n"
	      "--place -- A-RATHER-LONG-WORD\n"
	      "--help -h -\n");
}

Test(options, setters_error_ends_it)
{
	answer = -ERANGE;
	cr_assert_eq(PARSE("-s1", "-s2"), -ERANGE);
	cr_assert_str_eq(seen.trace, "size=1;");
}

Test(options, nearest)
{
	static const char *const words[] = {"run", "doctor", "memory", NULL};

	cr_assert_str_eq(nearest_word("rum", words), "run");
	cr_assert_str_eq(nearest_word("docter", words), "doctor");
	cr_assert_str_eq(nearest_word("memroy", words), "memory");
	cr_assert_null(nearest_word("rm", words + 1));
	cr_assert_null(nearest_word("", words));
	cr_assert_null(
		nearest_word("a-word-much-longer-than-any-option-there-will-ever-be", words));
}

Test(options, help_is_shown_and_aligned)
{
	cr_assert_eq(RUN("--loud", "-h", "--nonsense"), 0);
	shown("Usage: sandcastle test [OPTIONS] A\n"
	      "       sandcastle test B\n"
	      "\n"
	      "About it.\n"
	      "\n"
	      "Options:\n"
	      "  -s, --size N            how big\n"
	      "  -l, --loud              make noise\n"
	      "                          and more\n"
	      "      --place A-RATHER-LONG-WORD\n"
	      "                          where\n"
	      "  -h, --help              show this\n"
	      "\n"
	      "The end.\n");
}
