/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "image/base/defaults.h"

static struct account root = {
	.name = (char[]){"root"}, .home = (char[]){"/r"}, .shell = (char[]){"/s"}};
static struct account groups[] = {{.name = (char[]){"root"}},
				  {.name = (char[]){"shadow"}, .id = 77}};
static struct accounts accounts = {.users = {&root, 1}, .groups = {groups, 2}};

/* The file, in what another was in before. */
static struct default_file expect_file(const char *name, const char *want)
{
	static struct buffer bytes;
	struct default_file file = {0};

	cr_assert_eq(default_make(&accounts, name, &bytes, &file), 0, "%s", name);
	cr_expect(bytes.len == strlen(want) && memcmp(bytes.data, want, bytes.len) == 0,
		  "%s is: %.*s", name, (int)bytes.len, bytes.data);
	return file;
}

Test(defaults, files_of_accounts)
{
	struct default_file file = expect_file("passwd", "root:x:0:0::/r:/s\n");

	cr_expect(file.mode == 0644 && file.gid == 0);
	file = expect_file("group", "root:x:0:\nshadow:x:77:\n");
	cr_expect(file.mode == 0644 && file.gid == 0);
	file = expect_file("shadow", "root:*:19000:0:99999:7:::\n");
	cr_expect(file.mode == 0640 && file.gid == 77, "readable by the group shadow");
	file = expect_file("gshadow", "root:*::\nshadow:*::\n");
	cr_expect(file.mode == 0640 && file.gid == 77);
}

Test(defaults, without_a_group_for_it_shadow_is_debians)
{
	accounts.groups.n = 1;
	cr_expect_eq(expect_file("shadow", "root:*:19000:0:99999:7:::\n").gid, 42);
}

Test(defaults, files_that_are_the_same_for_all)
{
	cr_expect_eq(expect_file("hostname", "sandcastle\n").mode, 0644);
	cr_expect_eq(expect_file("empty", "").mode, 0644);
	cr_expect_eq(expect_file("sudoers", "Defaults\tenv_reset\nroot\tALL=(ALL:ALL) ALL\n").mode,
		     0440);
	expect_file("hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
}

Test(defaults, no_other_name_is_one)
{
	static const char *const names[] = {"", "@passwd", "passwd ", "host", "/etc/passwd"};
	struct buffer bytes = {NULL, 0, 0};
	struct default_file file;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect_eq(default_make(&accounts, names[i], &bytes, &file), -ENOENT, "%s",
			     names[i]);
	cr_expect_null(bytes.data);
}
