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
