/* SPDX-License-Identifier: MIT */
/* What dpkg and ucf know of files. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "image/base/packages.h"
#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

static struct packages *packages;

static void clean_up(void)
{
	packages_free(packages);
	remove_tree();
}

TestSuite(dpkg, .init = make_tree, .fini = clean_up);

/* What ucf put into place counts as a conffile; its original may be kept, or be the package's. */
Test(dpkg, configuration_that_scripts_made)
{
	char registry[512], hashes[1024];

	snprintf(registry, sizeof(registry),
		 "tool \t /etc/ucf-kept\ntool /etc/ucf-changed\nlibs /etc/ucf-shared\n"
		 "tool /etc/ucf-lost\nunknown /etc/ucf-unknown\ntool /etc/kept.conf\n");
	tree_write_text(tree, "var/lib/ucf/registry", registry);
	sprintf(hashes, "%s  /etc/ucf-kept\n", md5_of("kept"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-changed\n", md5_of("cached"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-shared\n", md5_of("the package's"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-lost\n", md5_of("lost"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-unknown\n", md5_of("secret"));
	sprintf(hashes + strlen(hashes), "%s  /etc/kept.conf\n", md5_of("secret"));
	tree_write_text(tree, "var/lib/ucf/hashfile", hashes);
	tree_write_text(tree, "var/lib/ucf/cache/:etc:ucf-changed", "cached");
	tree_write_text(tree, "var/lib/ucf/cache/:etc:ucf-lost", "secret");
	tree_write_text(tree, "usr/share/libs/master", "the package's");
	sprintf(hashes, "%s  usr/share/libs/master\n", md5_of("the package's"));
	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.md5sums", hashes);
	tree_write_text(tree, "etc/ucf-kept", "kept");
	tree_write_text(tree, "etc/ucf-changed", "secret");
	tree_write_text(tree, "etc/ucf-shared", "secret");
	tree_write_text(tree, "etc/ucf-lost", "secret");
	tree_write_text(tree, "etc/ucf-unknown", "secret");
	open_image(BASE_CURRENT);
	expect_bytes("etc/ucf-kept", "kept");
	expect_bytes("etc/ucf-changed", "cached");
	expect_bytes("etc/ucf-shared", "the package's");
	expect_bytes("etc/kept.conf", "as packaged\n");
	cr_expect_eq(left_out("etc", "ucf-lost"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("etc", "ucf-unknown"), INDEX_LEFT_UNOWNED);
	/* A master that not everyone may read is none. */
	set_mode("var/lib/ucf/cache/:etc:ucf-changed", 0600);
	open_image(BASE_ANEW);
	cr_expect_eq(left_out("etc", "ucf-changed"), INDEX_LEFT_CHANGED);
}

Test(dpkg, a_file_that_was_moved_aside)
{
	char sums[256];

	sprintf(sums, "%s  usr/bin/moved\n", md5_of("packaged"));
	own_files("/usr/bin/moved\n", sums);
	tree_write_text(tree, "var/lib/dpkg/diversions",
			"/usr/bin/moved\n/usr/bin/moved.distrib\n:\n");
	tree_write_text(tree, "usr/bin/moved", "SECRET-MARK");
	touch_file("usr/bin/moved", 1000);
	tree_write_text(tree, "usr/bin/moved.distrib", "packaged");
	touch_file("usr/bin/moved.distrib", 2000000000);
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("usr/bin", "moved"), INDEX_LEFT_UNOWNED);
	cr_expect_eq(find_entry("usr/bin/moved.distrib")->kind, INDEX_SHARED);
	tree_write_text(tree, "var/lib/dpkg/diversions",
			"/usr/bin/moved\n/usr/bin/moved.distrib\nlibs\n");
	touch_database(1000);
	open_image(BASE_ANEW);
	cr_expect_eq(find_entry("usr/bin/moved")->kind, INDEX_SHARED, "another package's");
}

static int read_database(const char *status)
{
	int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC), r;

	cr_assert_geq(root, 0);
	tree_write_text(tree, "var/lib/dpkg/status", status);
	packages_free(packages);
	packages = NULL;
	r = packages_read(root, &packages);
	cr_assert(r == 0 || !packages);
	return r;
}

/* Paragraphs that are each the only one. */
Test(dpkg, packages_that_have_no_files_or_no_sound_name_are_none)
{
	static const char *const none[] = {
		"",
		"\n\n",
		"garbage\n",
		"Package: a\nStatus: install ok installed\nArchitecture: all\n",
		"Package: a\nStatus: install ok installed\nVersion: 1\n",
		"Package: a\nArchitecture: all\nVersion: 1\n",
		"Status: install ok installed\nArchitecture: all\nVersion: 1\n",
		"Package: a\nStatus: install ok\nArchitecture: all\nVersion: 1\n",
		"Package: a\nStatus: install ok not-installed\nArchitecture: all\nVersion: 1\n",
		"Package: a\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n",
		"Package: a\nStatus: install ok half-installed\nArchitecture: all\nVersion: 1\n",
		"Package: ../a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n",
		"Package: .a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n",
		"Package: a\nStatus: install ok installed\nArchitecture: a/b\nVersion: 1\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		cr_expect_eq(read_database(none[i]), -EBADMSG, "%s", none[i]);
}

Test(dpkg, paragraphs)
{
	cr_assert_eq(
		read_database("package: one\nSTATUS: hold ok unpacked\nArchitecture:all\n"
			      "Version:  1:2-3 \nDescription: x\n Package: inner\n\n\n"
			      "Package: two\nStatus: install ok installed\nArchitecture: amd64\n"
			      "Multi-Arch: same\nVersion: 5"),
		0);
	cr_assert_eq(packages->n, 2);
	cr_expect_str_eq(packages->list[0].name, "one");
	cr_expect_str_eq(packages->list[0].file, "one");
	cr_expect_str_eq(packages->list[0].arch, "all");
	cr_expect_str_eq(packages->list[1].file, "two:amd64");
	cr_expect_str_eq(packages->list[1].version, "5");
}

Test(dpkg, conffiles_that_a_package_still_has)
{
	const struct package_conffile *c;

	cr_assert_eq(read_database("Package: a\nStatus: install ok installed\nArchitecture: all\n"
				   "Version: 1\nConffiles:\n"
				   " /etc/a 00112233445566778899aabbccddeeff\n"
				   " /etc/old 00112233445566778899aabbccddeeff obsolete\n"
				   " /etc/short 0011\n /etc/none\n relative "
				   "00112233445566778899aabbccddeeff\n"
				   "Description: d\n /etc/text 00112233445566778899aabbccddeeff\n"),
		     0);
	c = packages_conffile(packages, "/etc/a");
	cr_assert_not_null(c);
	cr_expect(c->md5[1] == 0x11 && c->package == 0 && !c->made);
	cr_expect_null(packages_conffile(packages, "/etc/old"));
	cr_expect_null(packages_conffile(packages, "/etc/short"));
	cr_expect_null(packages_conffile(packages, "/etc/none"));
	cr_expect_null(packages_conffile(packages, "/etc/text"));
	cr_expect_eq(packages->n_conffiles, 1);
}

Test(dpkg, checksums_of_a_path_however_it_is_spelt)
{
	uint8_t md5[PACKAGES_MD5];

	tree_write_text(tree, "var/lib/dpkg/info/a.list", "/lib/x y\n/usr/bin/z\n");
	tree_write_text(tree, "var/lib/dpkg/info/a.md5sums",
			"00112233445566778899aabbccddeeff  lib/x y\n"
			"short  usr/bin/z\nff112233445566778899aabbccddeeff  usr/bin/z\n");
	cr_assert_eq(read_database("Package: a\nStatus: install ok installed\nArchitecture: all\n"
				   "Version: 1\n"),
		     0);
	cr_assert_eq(packages->kind->md5(packages, 0, "/usr/lib/x y", md5), 0);
	cr_expect_eq(md5[1], 0x11);
	cr_assert_eq(packages->kind->md5(packages, 0, "/usr/bin/z", md5), 0);
	cr_expect_eq(md5[0], 0xff);
	cr_expect_eq(packages->kind->md5(packages, 0, "/usr/bin/y", md5), -ENOENT);
}

static void stamp(struct buffer *out)
{
	int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);

	out->len = 0;
	cr_assert_eq(package_kind_dpkg.stamp(root, out), 0);
	cr_assert_eq(buffer_add(out, "", 1), 0);
	close(root);
}

Test(dpkg, each_change_of_the_database_has_another_stamp)
{
	struct buffer before = {NULL, 0, 0}, after = {NULL, 0, 0};
	int nowhere = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	touch_database(1000);
	stamp(&before);
	stamp(&after);
	cr_expect_str_eq(before.data, after.data);
	touch_database(1001);
	stamp(&after);
	cr_expect_str_neq(before.data, after.data);
	touch_database(1000);
	tree_write_text(tree, "var/lib/dpkg/diversions", "");
	stamp(&after);
	cr_expect_str_neq(before.data, after.data);
	cr_expect_eq(package_kind_dpkg.stamp(nowhere, &after), -ENOENT);
	close(nowhere);
	free(before.data);
	free(after.data);
}
