/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "guest-agent/users.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
			     "\n"
			     "# a comment\n"
			     "short:x:5:5\n"
			     "long:x:6:6:::/bin/sh:more\n"
			     "badid:x:-1:0::/:/bin/sh\n"
			     "hugeid:x:4294967295:0::/:/bin/sh\n"
			     "ann:x:1000:1001:Ann,,,:/home/ann:/bin/zsh\n"
			     "again:x:1000:7::/home/again:\n"
			     "last:x:9:9::/home/last:/bin/sh";

Test(users, by_name)
{
	struct user u;

	cr_assert_eq(passwd_find_name(passwd, strlen(passwd), "ann", &u), 0);
	cr_assert_eq(u.uid, 1000);
	cr_assert_eq(u.gid, 1001);
	cr_assert_str_eq(u.home, "/home/ann");
	cr_assert_str_eq(u.shell, "/bin/zsh");
	/* The last line lacks its newline. */
	cr_assert_eq(passwd_find_name(passwd, strlen(passwd), "last", &u), 0);
	cr_assert_str_eq(u.shell, "/bin/sh");
	cr_assert_eq(passwd_find_name(passwd, strlen(passwd), "an", &u), -ENOENT);
	cr_assert_eq(passwd_find_name(passwd, strlen(passwd), "", &u), -ENOENT);
	cr_assert_eq(passwd_find_name(NULL, 0, "ann", &u), -ENOENT);
}

Test(users, by_uid)
{
	struct user u;

	/* The first that has it. */
	cr_assert_eq(passwd_find_uid(passwd, strlen(passwd), 1000, &u), 0);
	cr_assert_str_eq(u.name, "ann");
	cr_assert_eq(passwd_find_uid(passwd, strlen(passwd), 12, &u), -ENOENT);
}

Test(users, malformed_lines_are_passed_over)
{
	static const char *const names[] = {"short", "long", "badid", "hugeid", "# a comment"};
	struct user u;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_assert_eq(passwd_find_name(passwd, strlen(passwd), names[i], &u), -ENOENT, "%s",
			     names[i]);
}

Test(users, too_long_a_name)
{
	char text[USER_NAME_MAX + 64];
	char name[USER_NAME_MAX + 1];
	struct user u;

	memset(name, 'n', sizeof(name));
	name[USER_NAME_MAX] = '\0';
	snprintf(text, sizeof(text), "%s:x:1:1::/:/bin/sh\n", name);
	cr_assert_eq(passwd_find_uid(text, strlen(text), 1, &u), -ENOENT);
	/* One less fits. */
	cr_assert_eq(passwd_find_uid(text + 1, strlen(text) - 1, 1, &u), 0);
}

static const char group[] = "root:x:0:\nsudo:x:27:bob,ann\naudio:x:29:annette,ann2\n"
			    "own:x:1001:ann\nbroken:x:30\nvideo:x:44:ann";

Test(users, groups)
{
	uint32_t g[8];

	cr_assert_eq(group_list(group, strlen(group), "ann", 1001, g, 8), 3);
	cr_assert_eq(g[0], 1001);
	cr_assert_eq(g[1], 27);
	cr_assert_eq(g[2], 44);
	cr_assert_eq(group_list(group, strlen(group), "ann", 1001, g, 2), 2);
	cr_assert_eq(group_list(group, strlen(group), "", 5, g, 8), 2);
	cr_assert_eq(group_list(NULL, 0, "ann", 5, g, 8), 1);
	cr_assert(group_has_gid(group, strlen(group), 44));
	cr_assert(!group_has_gid(group, strlen(group), 30));
}

Test(users, uid)
{
	uint32_t uid;

	cr_assert_eq(uid_parse("4294967294", &uid), 0);
	cr_assert_eq(uid, 4294967294U);
	cr_assert_eq(uid_parse("4294967295", &uid), -EINVAL);
	cr_assert_eq(uid_parse("99999999999", &uid), -EINVAL);
	cr_assert_eq(uid_parse("", &uid), -EINVAL);
	cr_assert_eq(uid_parse("1x", &uid), -EINVAL);
}
