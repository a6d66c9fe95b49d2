/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "image/base/accounts.h"
#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

static int root = -1;
static struct packages *packages;
static struct declared declared;
static struct accounts accounts;

static void set_up(void)
{
	make_tree();
	root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void clean_up(void)
{
	accounts_fini(&accounts);
	declared_fini(&declared);
	packages_free(packages);
	close(root);
	remove_tree();
}

TestSuite(accounts, .init = set_up, .fini = clean_up);

/* Of the tree, and of these lines of sysusers.d. */
static void read_accounts(const char *sysusers)
{
	accounts_fini(&accounts);
	declared_fini(&declared);
	packages_free(packages);
	packages = NULL;
	cr_assert_eq(packages_read(root, &packages), 0);
	cr_assert_eq(declared_parse_sysusers(&declared, sysusers, strlen(sysusers)), 0);
	cr_assert_eq(accounts_read(packages, &declared, &accounts), 0);
}

static void expect_text(int (*make)(const struct accounts *a, struct buffer *out), const char *want)
{
	struct buffer text = {NULL, 0, 0};

	cr_assert_eq(buffer_add(&text, "<", 1), 0);
	cr_assert_eq(make(&accounts, &text), 0);
	cr_expect(text.len == strlen(want) + 1 && memcmp(text.data + 1, want, text.len - 1) == 0,
		  "it is: %.*s", (int)text.len, text.data);
	cr_expect_eq(text.data[0], '<', "it is put behind what is there");
	free(text.data);
}

Test(accounts, people_and_what_is_malformed_are_left_out)
{
	tree_write_text(
		tree, "etc/passwd",
		"root:x:0:0:Jane Root:/root:/bin/bash\n"
		"last:x:999:999:x:/:/bin/sh\n"
		"jane:x:1000:1000:Jane:/home/jane:/bin/bash\n"
		"nobody:x:65534:65534:n:/none:/bin/false\n"
		"root:x:5:5:again:/:/bin/sh\n"
		"short:x:6:6:/:/bin/sh\nmore:x:7:7::/:/bin/sh:\n:x:8:8::/:/bin/sh\n"
		"digits:x:9z:9::/:/bin/sh\ngroup:x:10:::/:/bin/sh\n+nis\n-nis:x:11:11::/:/x\n");
	tree_write_text(tree, "etc/group",
			"root:x:0:jane\nstaff:x:50:jane,root\njane:x:1000:\nbad:x:7\n");
	read_accounts("");
	expect_text(accounts_passwd, "root:x:0:0::/root:/bin/bash\n"
				     "last:x:999:999::/:/bin/sh\n"
				     "nobody:x:65534:65534::/none:/bin/false\n");
	expect_text(accounts_shadow, "root:*:19000:0:99999:7:::\nlast:*:19000:0:99999:7:::\n"
				     "nobody:*:19000:0:99999:7:::\n");
	expect_text(accounts_group, "root:x:0:\nstaff:x:50:\n");
	expect_text(accounts_gshadow, "root:*::\nstaff:*::\n");
}

Test(accounts, a_tree_without_any_has_the_least)
{
	char path[4096];

	in_tree("etc/passwd", path);
	cr_assert_eq(unlink(path), 0);
	in_tree("etc/group", path);
	cr_assert_eq(unlink(path), 0);
	read_accounts("");
	expect_text(accounts_passwd, "root:x:0:0::/root:/bin/sh\n"
				     "nobody:x:65534:65534::/nonexistent:/bin/false\n");
	expect_text(accounts_group, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n");
}

Test(accounts, declared_ones_get_free_numbers_from_the_top)
{
	tree_write_text(tree, "etc/passwd",
			"root:x:0:0::/root:/bin/sh\nold:x:998:998::/:/bin/sh\n");
	tree_write_text(tree, "etc/group", "root:x:0:\nold:x:998:\ngames:x:60:\n");
	read_accounts("g plain 7\ng again 7\n"
		      "u alone\nu of-games -:games\nu wanted 30\nu taken 30\nu numbered 31:60\n"
		      "u sits - - /srv/sits /bin/sits\n");
	expect_text(accounts_group, "root:x:0:\nold:x:998:\ngames:x:60:\nplain:x:7:\nagain:x:999:\n"
				    "alone:x:997:\nwanted:x:30:\ntaken:x:995:\nsits:x:993:\n");
	expect_text(accounts_passwd, "root:x:0:0::/root:/bin/sh\nold:x:998:998::/:/bin/sh\n"
				     "alone:x:997:997::/:/usr/sbin/nologin\n"
				     "of-games:x:996:60::/:/usr/sbin/nologin\n"
				     "wanted:x:30:30::/:/usr/sbin/nologin\n"
				     "taken:x:994:995::/:/usr/sbin/nologin\n"
				     "numbered:x:31:60::/:/usr/sbin/nologin\n"
				     "sits:x:993:993::/srv/sits:/bin/sits\n");
}

Test(accounts, members_make_what_they_name)
{
	tree_write_text(tree, "etc/passwd", "root:x:0:0::/root:/bin/sh\n");
	tree_write_text(tree, "etc/group", "root:x:0:\n");
	read_accounts("m root games\nm who games\n");
	expect_text(accounts_group, "root:x:0:\ngames:x:999:root,who\nwho:x:998:\n");
	expect_text(accounts_gshadow, "root:*::\ngames:*::root,who\nwho:*::\n");
	expect_text(accounts_passwd,
		    "root:x:0:0::/root:/bin/sh\nwho:x:998:998::/:/usr/sbin/nologin\n");
}

Test(accounts, a_line_corrects_what_an_administrator_changed)
{
	tree_write_text(tree, "etc/passwd",
			"root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/home:/bin/x\n");
	read_accounts("u daemon 1 - /srv -\nu root 0 - - /bin/root\n");
	expect_text(accounts_passwd, "root:x:0:0::/root:/bin/root\ndaemon:x:1:1::/srv:/bin/x\n");
}

Test(accounts, masters_count_most_if_a_package_owns_them)
{
	static const char user[] = "root:*:0:0:r:/root:/bin/master\nnew:*:3:4:n:/n:/bin/n\n"
				   "taken:*:1:1:t:/t:/bin/t\ndaemon:*:2:2:other number:/x:/x\n";

	tree_write_text(tree, "etc/passwd", "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/d\n");
	tree_write_text(tree, "etc/group", "root:x:0:\n");
	tree_write_text(tree, "usr/share/base-passwd/passwd.master", user);
	tree_write_text(tree, "usr/share/base-passwd/group.master", "root:*:0:\nsrc:*:40:\n");
	read_accounts("");
	expect_text(accounts_passwd, "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/d\n");
	expect_text(accounts_group, "root:x:0:\n");
	own_files("/usr/share/base-passwd/passwd.master\n/usr/share/base-passwd/group.master\n",
		  "");
	read_accounts("");
	expect_text(accounts_passwd, "root:x:0:0::/root:/bin/master\ndaemon:x:1:1::/:/bin/d\n"
				     "new:x:3:4::/n:/bin/n\n");
	expect_text(accounts_group, "root:x:0:\nsrc:x:40:\n");
}

Test(accounts, there_is_an_end_to_them)
{
	static char text[400000];
	size_t n = 0;

	for (int i = 0; i < 9000; i++)
		n += (size_t)sprintf(text + n, "u%d:x:5:5::/:/bin/sh\n", i);
	tree_write_text(tree, "etc/passwd", text);
	read_accounts("u one-more 6\n");
	cr_expect_eq(accounts.users.n, 8192);
}

Test(accounts, numbers_are_found_by_name_or_digits)
{
	tree_write_text(tree, "etc/group", "root:x:0:\nshadow:x:77:\n12:x:78:\n");
	read_accounts("");
	cr_expect_eq(accounts_id(&accounts.groups, "shadow"), 77);
	cr_expect_eq(accounts_id(&accounts.groups, "12"), 78, "a name first");
	cr_expect_eq(accounts_id(&accounts.groups, "13"), 13);
	cr_expect_eq(accounts_id(&accounts.groups, "4294967294"), 4294967294u);
	cr_expect_eq(accounts_id(&accounts.groups, "4294967295"), 0);
	cr_expect_eq(accounts_id(&accounts.groups, "13x"), 0);
	cr_expect_eq(accounts_id(&accounts.groups, "-1"), 0);
	cr_expect_eq(accounts_id(&accounts.groups, "unknown"), 0);
	cr_expect_eq(accounts_id(&accounts.groups, NULL), 0);
}
