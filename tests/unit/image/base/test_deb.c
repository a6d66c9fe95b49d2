/* SPDX-License-Identifier: MIT */
/* What a package file that apt has kept gives. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/base/deb.h"
#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

TestSuite(deb, .init = make_tree, .fini = remove_tree);

Test(deb, a_changed_file_is_replaced_by_the_packages)
{
	write_deb("var/cache/apt/archives/tool_1%3a2-3_amd64.deb", "./etc/changed.conf",
		  "original\n");
	open_image(BASE_CURRENT);
	expect_bytes("etc/changed.conf", "original\n");
	cr_expect_eq(find_entry("etc/changed.conf")->how, INDEX_FROM_PACKAGE);
}

Test(deb, a_package_that_is_none_does_no_harm)
{
	tree_write_text(tree, "var/cache/apt/archives/tool_1%3a2-3_amd64.deb", "!<arch>\ngarbage");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("etc", "changed.conf"), INDEX_LEFT_CHANGED);
}

Test(deb, an_edited_file_is_replaced_if_the_archive_has_it)
{
	char sums[128];

	write_deb("var/cache/apt/archives/extra_1_all.deb", "./usr/share/app/unit", "packaged");
	tree_write_text(tree, "usr/share/app/unit", "SECRET-MARK");
	sprintf(sums, "%s  usr/share/app/unit\n", md5_of("packaged"));
	own_files("/usr/share/app/unit\n", sums);
	touch_file("usr/share/app/unit", 2000000000);
	open_image(BASE_CURRENT);
	expect_bytes("usr/share/app/unit", "packaged");
	/* What the archive has is compared, too. */
	sprintf(sums, "%s  usr/share/app/unit\n", md5_of("other"));
	own_files("/usr/share/app/unit\n", sums);
	open_image(BASE_ANEW);
	cr_expect_eq(left_out("usr/share/app", "unit"), INDEX_LEFT_CHANGED);
}

/* A link in another's tree leads nowhere but into it. */
Test(deb, an_archive_outside_the_tree_is_not_read)
{
	char path[4096];

	write_deb("outside.deb", "./etc/changed.conf", "original\n");
	in_tree("outside.deb", path);
	tree_write_text(tree, "var/cache/apt/archives/x", "");
	link_to(path, "var/cache/apt/archives/tool_1%3a2-3_amd64.deb");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("etc", "changed.conf"), INDEX_LEFT_CHANGED);
}

static struct buffer bytes;

static int original(const char *version, const char *arch, const char *path, size_t max)
{
	AUTO_CLOSE int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return deb_original(root, "cache", "p", version, arch, path, max, &bytes);
}

Test(deb, a_file_of_the_package_with_that_name_version_and_architecture)
{
	write_deb("cache/p_1%3a2-3_all.deb", "./etc/file", "12345");
	cr_assert_eq(original("1:2-3", "all", "/etc/file", 5), 0);
	cr_expect(bytes.len == 5 && memcmp(bytes.data, "12345", 5) == 0);
	cr_expect_eq(original("1:2-3", "all", "/etc/file", 4), -EFBIG);
	cr_expect_eq(original("1:2-3", "all", "/etc/other", 5), -ENOENT);
	cr_expect_eq(original("1:2-3", "all", "/etc", 5), -ENOENT);
	cr_expect_eq(original("1:2-4", "all", "/etc/file", 5), -ENOENT);
	cr_expect_eq(original("1:2-3", "amd64", "/etc/file", 5), -ENOENT);
	write_deb("cache/p_2_all.deb", "etc/file", "plain name");
	cr_expect_eq(original("2", "all", "/etc/file", 99), 0);
	cr_expect_eq(bytes.len, 10, "what was there is replaced");
	free(bytes.data);
}

Test(deb, a_version_is_no_path)
{
	char version[300];

	write_deb("p_2_all.deb", "./etc/file", "outside");
	cr_expect_eq(original("/../../p_2", "all", "/etc/file", 9), -ENOENT);
	memset(version, ':', sizeof(version) - 1);
	version[sizeof(version) - 1] = '\0';
	cr_expect_eq(original(version, "all", "/etc/file", 9), -ENOENT);
	free(bytes.data);
}

Test(deb, what_is_no_package)
{
	char path[4096];

	tree_write_text(tree, "cache/p_1_all.deb", "garbage");
	cr_expect_eq(original("1", "all", "/etc/file", 9), -EBADMSG);
	tree_write_text(tree, "cache/p_2_all.deb",
			"!<arch>\ndata.tar.xz     0           0     0     100644  7         `\n"
			"garbage\n");
	cr_expect_eq(original("2", "all", "/etc/file", 9), -EBADMSG);
	in_tree("cache/p_3_all.deb", path);
	cr_assert_eq(mkdir(path, 0755), 0);
	cr_expect_eq(original("3", "all", "/etc/file", 9), -ENOENT);
	free(bytes.data);
}
