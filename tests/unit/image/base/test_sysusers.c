/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "image/base/declared.h"

static struct declared d;

static void fini(void)
{
	declared_fini(&d);
}

TestSuite(sysusers, .fini = fini);

static void sysusers(const char *text)
{
	cr_assert_eq(declared_parse_sysusers(&d, text, strlen(text)), 0);
}

Test(sysusers, accounts)
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

Test(sysusers, accounts_that_would_do_harm_are_passed_over)
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
