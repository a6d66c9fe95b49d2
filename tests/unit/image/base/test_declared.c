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

TestSuite(declared, .fini = fini);

static void sysusers(const char *text)
{
	cr_assert_eq(declared_parse_sysusers(&d, text, strlen(text)), 0);
}

static void tmpfiles(const char *text)
{
	cr_assert_eq(declared_parse_tmpfiles(&d, text, strlen(text)), 0);
}

Test(declared, accounts)
{
	sysusers("# a comment\n"
		 "\n"
		 "u root 0 - /root /bin/bash\n"
		 "  u!\tfirst-one 5:60 \"A B\" '/home/a b' -\n"
		 "u named -:games\n"
		 "u owner /usr/bin/x\n"
		 "g games 60 -\n"
		 "m first-one games\n"
		 "r - 500-900\n");
	cr_assert_eq(d.n_users, 4);
	cr_assert_eq(d.n_groups, 1);
	cr_assert_eq(d.n_members, 1);
	cr_assert_eq(d.users[0].id, 0);
	cr_assert_str_eq(d.users[0].shell, "/bin/bash");
	cr_assert_str_eq(d.users[1].name, "first-one");
	cr_assert(d.users[1].id == 5 && d.users[1].gid == 60);
	cr_assert_str_eq(d.users[1].home, "/home/a b");
	cr_assert_null(d.users[1].shell);
	cr_assert_eq(d.users[2].id, DECLARED_NO_ID);
	cr_assert_str_eq(d.users[2].group, "games");
	cr_assert_eq(d.users[3].id, DECLARED_NO_ID);
	cr_assert_eq(d.groups[0].id, 60);
	cr_assert_str_eq(d.members[0].group, "games");
}

Test(declared, accounts_that_would_do_harm_are_passed_over)
{
	static const char *const bad[] = {
		"u",
		"u a:b 1",
		"u -a 1",
		"u 1a 1",
		"u \"a\\nroot::0\" 1",
		"u %u 1",
		"u a 4294967295",
		"u a 65535",
		"u a 99999999999999999999",
		"u a 1:",
		"u a 1:b:c",
		"u a 1 - relative",
		"u a 1 - /a:b",
		"u a 1 - \"/a\\nb\"",
		"u a 1 - / \"unfinished",
		"u a 1 - / \\",
		"u a 1 - / \\x0",
		"u a 1 - / \\x00",
		"u aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 1",
		"x a 1",
		"m a",
		"m a b:c",
	};
	char nul[] = "u a\0b 1";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		sysusers(bad[i]);
	cr_assert_eq(declared_parse_sysusers(&d, nul, sizeof(nul) - 1), 0);
	cr_assert_eq(d.n_users + d.n_groups + d.n_members, 0);
}

Test(declared, paths)
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

Test(declared, paths_that_cannot_be_are_passed_over)
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

static void os(const char *text)
{
	cr_assert_eq(declared_parse_os(&d, text, strlen(text)), 0);
}

Test(declared, specifiers)
{
	os("NAME=\"A B\"\n# ID=no\nID=first\nID=\"deb-ian\"\nIDX=no\nVERSION_ID='12'\n"
	   "BUILD_ID=../../x\nVARIANT_ID=\"un\nIMAGE_ID=$(id)\n");
	tmpfiles("d %S/a/%o%w%%\n"
		 "d %C/b%A\n"
		 "f %L/c - - - - %t %T %V %h %u %U %g %G %a\n"
		 "L /etc/d - - - - \\x25o\n"
		 "C /var/%o\n"
		 "d /var/%B\nd /var/%M\nd /var/%W\nd /var/%b\nd /var/%H\nd /var/%m\nd /var/%v\n"
		 "d /var/%l\nd %h/x\nd %t/x\nd /var/%\nd /var/%z\nf /var/%o/x - - - - %m\n");
	sysusers("u %o%w 5 %%\nu %u 6\nu x%a 7\nu %b 8\n");
	cr_assert_eq(d.n_paths, 5);
	cr_assert_str_eq(d.paths[0].path, "/var/lib/a/deb-ian12%");
	cr_assert_str_eq(d.paths[1].path, "/var/cache/b");
	cr_assert_str_eq(d.paths[2].path, "/var/log/c");
	cr_assert_str_eq(d.paths[2].argument, "/run /tmp /var/tmp /root root 0 root 0 x86-64");
	cr_assert_str_eq(d.paths[3].argument, "deb-ian");
	cr_assert_str_eq(d.paths[4].argument, "/usr/share/factory/var/deb-ian");
	cr_assert_eq(d.n_users, 2);
	cr_assert_str_eq(d.users[0].name, "deb-ian12");
	cr_assert_str_eq(d.users[1].name, "xx86-64");
}

Test(declared, specifiers_without_an_os_release)
{
	char longest[DECLARED_WORD + 16];

	tmpfiles("d /var/%o\nd /var/x%A\n");
	cr_assert_eq(d.n_paths, 0);
	os("");
	tmpfiles("d /var/%o/x\nd /var/x%A\n");
	cr_assert_eq(d.n_paths, 1);
	/* Short enough until it is expanded. */
	snprintf(longest, sizeof(longest), "f /etc/x - - - - %01000d%%V%%V%%V%%V", 0);
	tmpfiles(longest);
	cr_assert_eq(d.n_paths, 1);
}

Test(declared, changes_of_what_is_there)
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

Test(declared, there_is_an_end_to_them)
{
	char line[64];

	for (int i = 0; i < DECLARED_MAX + 10; i++) {
		snprintf(line, sizeof(line), "d /var/a%d/b", i);
		tmpfiles(line);
		snprintf(line, sizeof(line), "z /var/a%d", i);
		tmpfiles(line);
		snprintf(line, sizeof(line), "u u%d", i);
		sysusers(line);
		snprintf(line, sizeof(line), "m u%d g", i);
		sysusers(line);
	}
	cr_assert_eq(declared_finish(&d), 0);
	cr_assert(d.n_paths == DECLARED_MAX && d.n_users == DECLARED_MAX &&
		  d.n_members == DECLARED_MAX && d.n_changes == DECLARED_CHANGE_MAX);
}
