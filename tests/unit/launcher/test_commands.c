/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "launcher/commands.h"

static void redirect(void)
{
	cr_redirect_stderr();
	cr_redirect_stdout();
}

TestSuite(commands, .init = redirect);

static int run(const char *first, const char *second)
{
	char program[] = "sandcastle", word[2][32], *argv[] = {program, NULL, NULL, NULL};
	int argc = 1;

	for (const char *w = first; w && argc < 3; w = second) {
		snprintf(word[argc - 1], sizeof(word[0]), "%s", w);
		argv[argc] = word[argc - 1];
		argc++;
	}
	return commands_main(argc, argv);
}

static const char *text_of(FILE *stream)
{
	static char text[8192];
	size_t n;

	fflush(stdout);
	n = fread(text, 1, sizeof(text) - 1, stream);
	text[n] = '\0';
	return text;
}

Test(commands, each_row_is_complete)
{
	for (const struct command *const *c = commands; *c; c++) {
		cr_assert(strlen((*c)->name) <= 10 && strlen((*c)->brief) <= 66, "%s", (*c)->name);
		cr_assert_not_null((*c)->about);
		cr_assert_not_null((*c)->usage);
		cr_assert_not_null((*c)->run);
		cr_assert_geq((*c)->size, sizeof(struct call));
		if ((*c)->max > 0 && !((*c)->flags & COMMAND_PARSES) && (*c)->min > 0)
			cr_assert_not_null((*c)->wants, "%s", (*c)->name);
	}
}

static void check_option(const struct option_row *row)
{
	cr_assert_not_null(row->help, "%s", row->name);
	for (const char *line = row->help; *line; line += line[0] == '\n') {
		cr_assert_leq(strcspn(line, "\n"), 54, "--%s: %s", row->name, line);
		line += strcspn(line, "\n");
	}
}

Test(commands, each_option_is_complete)
{
	for (const struct command *const *c = commands; *c; c++) {
		size_t n = 1;

		for (const struct option_row *row = (*c)->options; row && row->name; row++, n++)
			check_option(row);
		cr_assert_leq(n, OPTIONS_MAX);
	}
}

Test(commands, helps_fit_a_terminal)
{
	char line[256];

	for (const struct command *const *c = commands; *c; c++)
		if (!((*c)->flags & COMMAND_PARSES))
			cr_assert_eq(run((*c)->name, "--help"), 0);
	cr_assert_eq(run("--help", NULL), 0);
	fflush(stdout);
	while (fgets(line, sizeof(line), cr_get_redirected_stdout()))
		cr_assert_leq(strlen(line), 81, "%s", line);
}

Test(commands, help_names_all)
{
	const char *text;

	cr_assert_eq(run("help", NULL), 0);
	text = text_of(cr_get_redirected_stdout());
	for (const struct command *const *c = commands; *c; c++)
		cr_assert_not_null(strstr(text, (*c)->brief), "%s", (*c)->name);
}

Test(commands, without_one_the_help_is_an_error)
{
	const char *text;

	cr_assert_eq(run(NULL, NULL), 125);
	text = text_of(cr_get_redirected_stderr());
	cr_assert_not_null(strstr(text, "Usage: sandcastle COMMAND"));
	cr_assert_not_null(strstr(text, "a command is missing"));
}

Test(commands, a_near_one_is_named)
{
	cr_assert_eq(run("stat", NULL), 125);
	cr_assert_not_null(strstr(text_of(cr_get_redirected_stderr()), "did you mean 'start'?"));
}

Test(commands, an_unknown_option)
{
	cr_assert_eq(run("--json", NULL), 125);
	cr_assert_not_null(
		strstr(text_of(cr_get_redirected_stderr()), "unknown option --json; see"));
}

Test(commands, completion_asks_for_names)
{
	cr_assert_eq(run("--complete", NULL), 0);
	cr_assert_not_null(strstr(text_of(cr_get_redirected_stdout()), "run\nstart\nexec\n"));
}

Test(commands, completion_asks_for_options)
{
	const char *text;

	cr_assert_eq(run("--complete", "exec"), 0);
	text = text_of(cr_get_redirected_stdout());
	cr_assert_not_null(strstr(text, "[OPTIONS] NAME COMMAND [ARG...]\n"));
	cr_assert_not_null(strstr(text, "--env -e K[=V]\n"));
	cr_assert_not_null(strstr(text, "--detach -d -\n"));
}
