/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "image/base/declared.h"

static struct declared d;

static void fini(void)
{
	declared_fini(&d);
}

TestSuite(tmpfiles, .fini = fini);

static void tmpfiles(const char *text)
{
	cr_assert_eq(declared_parse_tmpfiles(&d, text, strlen(text)), 0);
}

Test(tmpfiles, paths)
{
	const struct declared_path *p;

	tmpfiles("d /var/lib/b/\n"
		 "D! /var/lib/b 0700 x\n"
		 "f+ /etc/file :0600 :user ~group - two\\twords \"\\x41\"  \n"
		 "L /etc/link - - - - \"a b\"\n"
		 "L? /etc/perhaps - - - - a\n"
		 "C \"/etc/with blank\"\n"
		 "q /var/lib/a/c/d ~2755\n");
	cr_assert_eq(declared_finish(&d), 0);
	/* With /var/lib, /var/lib/a and /var/lib/a/c. */
	cr_assert_eq(d.n_paths, 8);
	for (size_t i = 1; i < d.n_paths; i++)
		cr_assert_lt(strcmp(d.paths[i - 1].path, d.paths[i].path), 0);
	p = declared_find(&d, "/var/lib/b");
	cr_assert(p && p->kind == DECLARED_DIR && p->mode == 0755 && !p->user);
	p = declared_find(&d, "/etc/file");
	cr_assert(p && p->kind == DECLARED_FILE && p->mode == 0600);
	cr_assert_str_eq(p->user, "user");
	cr_assert_str_eq(p->argument, "two\twords \"A\"  ");
	cr_assert_str_eq(declared_find(&d, "/etc/link")->argument, "\"a b\"");
	cr_assert_str_eq(declared_find(&d, "/etc/with blank")->argument,
			 "/usr/share/factory/etc/with blank");
	cr_assert_eq(declared_find(&d, "/var/lib/a/c/d")->mode, 02755);
	cr_assert_eq(declared_find(&d, "/var/lib/a/c")->mode, 0755);
	cr_assert(declared_find(&d, "/var/lib/a/c")->implied);
	cr_assert_eq(declared_find(&d, "/etc/with blank")->mode, DECLARED_NO_MODE);
	cr_assert_null(declared_find(&d, "/etc"));
	cr_assert_null(declared_find(&d, "/etc/perhaps"));
}

Test(tmpfiles, paths_that_cannot_be_are_passed_over)
{
	static const char *const bad[] = {
		"d /usr/x",
		"d /etc",
		"d /etc/",
		"d etc/x",
		"d /etc/../x",
		"d /etc/x/..",
		"d /etc/./x",
		"d /etc//x",
		"d /etc/x//",
		"d /etc/*",
		"d /etc/%b",
		"d /etc/x%",
		"d /var/run/x",
		"d /var/lock/x",
		"d /etc/x 0855",
		"d /etc/x 10000",
		"d /etc/x rwx",
		"d /etc/x -755",
		"d^ /etc/x",
		"f~ /etc/x - - - - aGk=",
		"dd /etc/x",
		"\"\" /etc/x",
		"f /etc/x - - - - %b",
		"f /etc/x - - - - \\q",
		"p /etc/x",
		"c /etc/x - - - - 1:3",
		"r /etc/x",
		"d",
	};
	char longest[600];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		tmpfiles(bad[i]);
	snprintf(longest, sizeof(longest), "d /etc/%0300d", 0);
	tmpfiles(longest);
	cr_assert_eq(d.n_paths, 0);
	cr_assert_eq(declared_finish(&d), 0);
	cr_assert_null(declared_find(&d, "/etc/x"));
}

Test(tmpfiles, changes_of_what_is_there)
{
	tmpfiles("z /etc/a* 0640 user group\n"
		 "z /etc/a* 0600\n"
		 "Z /var/lib/x ~2777 :new :new\n"
		 "e! /var/lib/y ~:0700 - group\n"
		 "z /etc/{a,b} 0600\nz+ /etc/x\nz /usr/x 0777\nz /etc/x 0888\nz /etc/%m 0600\n"
		 "z /etc/../x\nm /etc/x 0600\nr /etc/x\nR! /etc/x\nx /etc/x\nX /etc/x\n"
		 "a /etc/x - - - - u:a:r\nA+ /etc/x - - - - u:a:r\nt /etc/x - - - - user.a=b\n");
	cr_assert_eq(d.n_changes, 3);
	cr_assert_eq(d.n_paths, 0);
	cr_assert(declared_concerns(&d.changes[0], "/etc/ab", false));
	cr_assert_not(declared_concerns(&d.changes[0], "/etc/ab/c", false));
	cr_assert_not(declared_concerns(&d.changes[0], "/etc/.a", false));
	cr_assert_str_eq(d.changes[0].user, "user");
	cr_assert_eq(declared_mode(&d.changes[0], 0100755), 0100640);
	cr_assert(declared_concerns(&d.changes[1], "/var/lib/x", true));
	cr_assert(declared_concerns(&d.changes[1], "/var/lib/x/y/z", false));
	cr_assert_not(declared_concerns(&d.changes[1], "/var/lib/xy", false));
	cr_assert(!d.changes[1].user && !d.changes[1].group);
	cr_assert_eq(declared_mode(&d.changes[1], 0040755), 0042777);
	cr_assert_eq(declared_mode(&d.changes[1], 0100640), 0100666);
	cr_assert_eq(declared_mode(&d.changes[1], 0100444), 0100444);
	cr_assert(declared_concerns(&d.changes[2], "/var/lib/y", true));
	cr_assert_not(declared_concerns(&d.changes[2], "/var/lib/y", false));
	cr_assert_eq(declared_mode(&d.changes[2], 0040755), 0040755);
	cr_assert_str_eq(d.changes[2].group, "group");
}
