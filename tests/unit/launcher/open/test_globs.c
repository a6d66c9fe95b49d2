/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "launcher/open/globs.h"

static const char globs2[] = "# comment\n"
			     "50:application/pdf:*.pdf\n"
			     "50:application/x-tar:*.tar\n"
			     "50:application/gzip:*.gz\n"
			     "50:application/x-compressed-tar:*.tar.gz\n"
			     "60:text/x-readme:readme*\n"
			     "50:text/x-csrc:*.c:cs\n"
			     "50:text/x-c++src:*.C:cs\n"
			     "10:text/x-late:*.pdf\n"
			     "50:text/x-literal:makefile\n";

static const char *type_of(const char *name)
{
	static struct globs_match best;

	best = (struct globs_match){.weight = 0};
	globs_find((struct slice){globs2, sizeof(globs2) - 1}, name, &best);
	return best.type;
}

Test(globs, the_name_gives_the_type)
{
	cr_assert_str_eq(type_of("a.pdf"), "application/pdf");
	cr_assert_str_eq(type_of("A.PDF"), "application/pdf", "case does not matter");
	cr_assert_str_eq(type_of("a.c"), "text/x-csrc");
	cr_assert_str_eq(type_of("a.C"), "text/x-c++src", "but where the file says so");
	cr_assert_str_eq(type_of("a.tar.gz"), "application/x-compressed-tar", "the longest");
	cr_assert_str_eq(type_of("README.pdf"), "text/x-readme", "the heaviest");
	cr_assert_str_eq(type_of("Makefile"), "text/x-literal");
	cr_assert_str_eq(type_of("a.pdf.exe"), "");
	cr_assert_str_eq(type_of(""), "");
}

Test(globs, lines_that_are_none)
{
	static const char bad[] = "50\n"
				  "50:application/pdf\n"
				  ":application/pdf:*.pdf\n"
				  "-1:application/pdf:*.pdf\n"
				  "101:application/pdf:*.pdf\n"
				  "99999999999999999999:application/pdf:*.pdf\n"
				  "50:../../etc:*.pdf\n"
				  "50:a/b/c:*.pdf\n"
				  "50:/b:*.pdf\n"
				  "50:a b/c:*.pdf\n"
				  "50:application/pdf:\n"
				  "50:application/pdf:*a*a*a*a*a*a*b\n"
				  "50:application/pdf:[\n"
				  "50:application/pdf:__NOGLOBS__";
	struct globs_match best = {.weight = 0};

	globs_find((struct slice){bad, sizeof(bad) - 1}, "aaaaaaaaaaaaaaaaaaa.pdf", &best);
	cr_assert_str_eq(best.type, "");
}

Test(globs, a_type_is_a_kind_of_another)
{
	static const char text[] = "text/x-csrc text/plain\nimage/svg+xml  application/xml\n"
				   "text/x-bad ../x\ntext/x-bad\n";
	char parent[MIME_TYPE_MAX] = "as before";
	const struct slice s = {text, sizeof(text) - 1};

	cr_assert(globs_parent(s, "text/x-csrc", parent));
	cr_assert_str_eq(parent, "text/plain");
	cr_assert(globs_parent(s, "image/svg+xml", parent));
	cr_assert_str_eq(parent, "application/xml");
	cr_assert_not(globs_parent(s, "text/x-bad", parent));
	cr_assert_not(globs_parent(s, "text/x-c", parent), "no beginning of another");
	cr_assert_str_eq(parent, "application/xml");
}
