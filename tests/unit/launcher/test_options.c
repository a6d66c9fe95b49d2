/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/options.h"

enum { OPT_SIZE = OPTION_OWN, OPT_LOUD, OPT_PLACE };

static const struct option_def defs[] = {
	{OPT_SIZE, 's', "size", "N", "how big"},
	{OPT_LOUD, 'l', "loud", NULL, "make noise\nand more"},
	{OPT_PLACE, 0, "place", "A-RATHER-LONG-WORD", "where"},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

struct seen {
	struct option_set set;
	char trace[128];
	int answer;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct seen *seen = CONTAINER_OF(set, struct seen, set);
	const size_t used = strlen(seen->trace);

	snprintf(seen->trace + used, sizeof(seen->trace) - used, "%s%s%s;", def->name,
		 arg ? "=" : "", arg ? arg : "");
	return seen->answer;
}

static struct seen seen = {
	.set = {"test", "Usage: test\n", "The end.\n", defs, ARRAY_SIZE(defs), apply}};

static void redirect(void)
{
	cr_redirect_stderr();
	cr_redirect_stdout();
}

TestSuite(options, .init = redirect);

static int parse(const char *const *words)
{
	char copy[8][32], *argv[9] = {NULL};
	int argc = 0;

	for (; words[argc]; argc++) {
		snprintf(copy[argc], sizeof(copy[argc]), "%s", words[argc]);
		argv[argc] = copy[argc];
	}
	seen.trace[0] = '\0';
	return options_parse(&seen.set, argc, argv);
}

#define PARSE(...) parse((const char *const[]){"test", __VA_ARGS__, NULL})

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
	cr_assert_str_eq(seen.trace, "size=3;loud;size=4;size=5;loud;size=6;");
}

Test(options, end_at_the_command)
{
	cr_assert_eq(PARSE("-l", "cmd", "--size", "3"), 2);
	cr_assert_str_eq(seen.trace, "loud;");
	cr_assert_eq(PARSE("-l", "--", "--size", "3"), 3);
	cr_assert_str_eq(seen.trace, "loud;");
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

Test(options, applys_error_ends_it)
{
	seen.answer = -ERANGE;
	cr_assert_eq(PARSE("-l", "-l"), -ERANGE);
	cr_assert_str_eq(seen.trace, "loud;");
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
	char text[1024];
	size_t n;

	cr_assert_eq(PARSE("--loud", "-h", "--nonsense"), 0);
	cr_assert_str_eq(seen.trace, "loud;");
	fflush(stdout);
	n = fread(text, 1, sizeof(text) - 1, cr_get_redirected_stdout());
	text[n] = '\0';
	cr_assert_str_eq(text, "Usage: test\n"
			       "  -s, --size N            how big\n"
			       "  -l, --loud              make noise\n"
			       "                          and more\n"
			       "      --place A-RATHER-LONG-WORD\n"
			       "                          where\n"
			       "  -h, --help              show this\n"
			       "The end.\n");
}
