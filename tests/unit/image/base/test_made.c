/* SPDX-License-Identifier: MIT */
/* What packages declare, in the image. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

TestSuite(made, .init = make_tree, .fini = remove_tree);

static void declare(void)
{
	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.list",
			"/lib\n/lib/libs.so\n/lib64/ld.so\n/usr/lib/sysusers.d/libs.conf\n"
			"/usr/lib/tmpfiles.d/libs.conf\n/usr/share/base-passwd/passwd.master\n"
			"/usr/share/base-passwd/group.master\n/usr/share/libs/copied\n");
	tree_write_text(tree, "usr/share/base-passwd/passwd.master",
			"root:*:0:0:root:/root:/bin/bash\nsync:*:4:65534:s:/bin:/bin/sync\n"
			"taken:*:77:1:s:/bin:/bin/sync\ndaemon:*:1:1:d:/usr/sbin:/bin/no\n");
	tree_write_text(tree, "usr/share/base-passwd/group.master", "root:*:0:\ntape:*:26:\n");
	tree_write_text(tree, "usr/lib/sysusers.d/libs.conf",
			"u libsd - \"The libs\" /var/lib/libs\nu fixed 77:tape\ng disk 6\n"
			"m libsd disk\nu other 4:77 - /nowhere /bin/other\n");
	tree_write_text(tree, "usr/lib/sysusers.d/mine.conf", "u stranger 5\n");
	tree_write_text(tree, "usr/share/libs/copied", "copied");
	tree_write_text(tree, "usr/share/libs/unowned", "secret");
	tree_write_text(
		tree, "usr/lib/tmpfiles.d/libs.conf",
		"d /var/lib/libs 0750 libsd disk 10d\nf /var/log/libs 0640 root 6 - a%%b\\n\n"
		"L+ /etc/libs/link - - - - ../target\nC /etc/copied 0600 - - - "
		"/usr/share/libs/copied\n"
		"C /etc/unowned - - - - /usr/share/libs/unowned\nf /etc/kept.conf - - - - "
		"declared\n"
		"f /etc/stranger.conf\nf /etc/ssl/private/x\nf /etc/passwd - - - - no\n"
		"d /run/libs\nf /etc/%m\nd /var/lib/libs 0777\nd /var/cache/deep/er\n");
	tree_write_text(tree, "var/lib/libs/data", "secret");
}

Test(made, what_packages_declare_is_there)
{
	const struct index_entry *e;

	declare();
	open_image(BASE_CURRENT);
	cr_assert_eq(index_check_names(image.index), 0);
	e = find_entry("var/lib/libs");
	cr_assert(e && e->mode == (S_IFDIR | 0750) && e->uid == 999 && e->gid == 6);
	cr_expect_eq(left_out("var/lib/libs", "data"), INDEX_LEFT_UNOWNED);
	expect_bytes("var/log/libs", "a%b\n");
	cr_expect_eq(find_entry("var/log/libs")->mode, S_IFREG | 0640);
	cr_expect_eq(find_entry("var/log/libs")->gid, 6);
	cr_expect_eq(find_entry("etc/libs")->mode, S_IFDIR | 0755);
	cr_expect_eq(find_entry("etc/libs/link")->kind, INDEX_LINK);
	expect_bytes("etc/copied", "copied");
	cr_expect_null(find_entry("etc/unowned"));
	expect_bytes("etc/kept.conf", "as packaged\n");
	expect_bytes("etc/stranger.conf", "");
	cr_expect_null(find_entry("etc/ssl/private"));
	cr_expect_null(find_entry("run"));
	cr_expect_not_null(find_entry("var/cache/deep/er"));
	expect_bytes("etc/passwd", "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/bin/no\n"
				   "libsd:x:999:999::/var/lib/libs:/usr/sbin/nologin\n"
				   "fixed:x:77:998::/:/usr/sbin/nologin\n"
				   "other:x:4:77::/nowhere:/bin/other\n");
	expect_bytes("etc/group", "root:x:0:\nshadow:x:77:\ndisk:x:6:libsd\nlibsd:x:999:\n"
				  "tape:x:998:\n");
	expect_bytes("etc/gshadow", "root:*::\nshadow:*::\ndisk:*::libsd\nlibsd:*::\ntape:*::\n");
}

/* A package's tree for copies, and lines of it that are about what is there. */
static void declare_copies(void)
{
	tree_write_text(
		tree, "var/lib/dpkg/info/libs:amd64.list",
		"/lib\n/lib/libs.so\n/lib64/ld.so\n/usr/lib/tmpfiles.d/libs.conf\n"
		"/usr/share/factory/etc/app/a.conf\n/usr/share/factory/etc/app/sub/b.conf\n"
		"/usr/share/factory/etc/app/hidden\n/usr/share/factory/etc/app/link\n"
		"/usr/share/factory/etc/app/made\n/usr/share/factory/etc/app/x.key\n"
		"/usr/share/factory/etc/app/shut/c.conf\n/usr/share/factory/etc/app/denied\n"
		"/usr/share/factory/etc/passwd\n/etc/there\n/usr/..\n");
	tree_write_text(tree, "usr/share/factory/etc/app/a.conf", "a");
	set_mode("usr/share/factory/etc/app/a.conf", 0664);
	tree_write_text(tree, "usr/share/factory/etc/app/sub/b.conf", "b");
	tree_write_text(tree, "usr/share/factory/etc/app/unowned", "HIDDEN");
	tree_write_text(tree, "usr/share/factory/etc/app/hidden", "HIDDEN");
	set_mode("usr/share/factory/etc/app/hidden", 0640);
	link_to("../../stranger.conf", "usr/share/factory/etc/app/link");
	tree_write_text(tree, "usr/share/factory/etc/app/made", "copied");
	tree_write_text(tree, "usr/share/factory/etc/app/x.key", "HIDDEN");
	tree_write_text(tree, "usr/share/factory/etc/app/denied", "HIDDEN");
	tree_write_text(tree, "usr/share/factory/etc/app/shut/c.conf", "HIDDEN");
	set_mode("usr/share/factory/etc/app/shut", 0711);
	tree_write_text(tree, "usr/share/factory/etc/passwd", "HIDDEN");
	tree_write_text(tree, "cache/sandcastle/image.rules",
			"deny /usr/share/factory/etc/app/denied # mine\n"
			"default /etc/again/a.conf = /usr/share/factory/etc/app/made # mine\n");
	set_mode("usr/share/factory/etc/app/sub", 0775);
	tree_write_text(tree, "usr/lib/os-release", "ID=debian\n");
	tree_write_text(tree, "etc/there/own", "HIDDEN");
	tree_write_text(tree, "usr/lib/tmpfiles.d/libs.conf",
			"C /etc/app - daemon\n"
			"C /etc/again 0700 - - - /usr/share/factory/etc/app\n"
			"f /etc/app/made 0600 - - - declared\n"
			"d /etc/app/sub 0750\n"
			"f /etc/app/sub/deep/x\n"
			"f /etc/third/sub/x\nC /etc/third - - - - /usr/share/factory/etc/app\n"
			"C /etc/passwd\nC /etc/there\nC /etc/up - - - - /usr/..\n"
			"C /etc/upper - - - - /usr/share/factory/../..\n"
			"C /etc/root - - - - /etc\n"
			"C /etc/alone - - - - /usr/share/factory/etc/app/link\n"
			"C /var/lib/%o - - - - /usr/share/factory/etc/app/sub\n"
			"z /etc/kept.conf 0640 daemon shadow\n"
			"Z /etc/again/sub ~0770\n"
			"z /usr/bin/tool 0777\nz /etc/app/link 0777\n");
}

Test(made, folders_that_packages_declare_as_copies)
{
	declare_copies();
	open_image(BASE_CURRENT);
	cr_assert_eq(index_check_names(image.index), 0);
	expect_bytes("etc/app/a.conf", "a");
	cr_expect(find_entry("etc/app/a.conf")->mode == (S_IFREG | 0664) &&
		  find_entry("etc/app/a.conf")->uid == 1);
	expect_bytes("etc/app/sub/b.conf", "b");
	cr_expect_eq(find_entry("etc/app/sub")->mode, S_IFDIR | 0750);
	cr_expect_eq(find_entry("etc/app/sub")->uid, 0);
	expect_bytes("etc/app/sub/deep/x", "");
	expect_bytes("etc/app/made", "copied");
	cr_expect_eq(find_entry("etc/app/made")->mode, S_IFREG | 0600);
	cr_expect_eq(find_entry("etc/app/link")->kind, INDEX_LINK);
	cr_expect_null(find_entry("etc/app/unowned"));
	cr_expect_null(find_entry("etc/app/hidden"));
	cr_expect_null(find_entry("etc/app/denied"));
	cr_expect_null(find_entry("etc/app/x.key"));
	cr_expect_null(find_entry("etc/app/shut"));
	cr_expect_eq(find_entry("etc/again")->mode, S_IFDIR | 0700);
	expect_bytes("etc/again/a.conf", "copied");
	expect_bytes("etc/third/sub/x", "");
	cr_expect_eq(find_entry("etc/third/sub")->mode, S_IFDIR | 0775);
	expect_bytes("var/lib/debian/b.conf", "b");
	cr_expect_null(find_entry("etc/up"));
	cr_expect_null(find_entry("etc/upper"));
	cr_expect_null(find_entry("etc/root"));
	cr_expect_eq(find_entry("etc/alone")->kind, INDEX_LINK,
		     "it leads to what is not the package's");
	cr_expect_not_null(find_entry("etc/there"));
	cr_expect(!memmem(image.index->blob, image.index->head->blob_len, "HIDDEN", 6) &&
		  !find_entry("etc/there/own"));
}

Test(made, copies_that_packages_declare_have_a_limit)
{
	char lines[4096] = "", path[4096];

	declare();
	in_tree("usr/share/libs/copied", path);
	cr_assert_eq(truncate(path, 4 << 20), 0);
	for (int i = 0; i < 30; i++)
		sprintf(lines + strlen(lines), "C /etc/big%d - - - - /usr/share/libs/copied\n", i);
	tree_write_text(tree, "usr/lib/tmpfiles.d/libs.conf", lines);
	open_image(BASE_CURRENT);
	cr_expect_not_null(find_entry("etc/big0"));
	cr_expect_not_null(find_entry("etc/kept.conf"));
	cr_expect_gt(image.index->head->blob_len, 60 << 20);
	cr_expect_lt(image.index->head->blob_len, 70 << 20);
}

Test(made, changes_that_packages_declare)
{
	const struct index_entry *e;

	declare_copies();
	open_image(BASE_CURRENT);
	e = find_entry("etc/kept.conf");
	cr_assert(e && e->mode == (S_IFREG | 0640) && e->uid == 1 && e->gid == 77);
	cr_expect_eq(find_entry("etc/again/sub")->mode, S_IFDIR | 0770);
	cr_expect_eq(find_entry("etc/again/sub/b.conf")->mode, S_IFREG | 0660);
	cr_expect_eq(find_entry("etc/again/made")->mode, S_IFREG | 0644);
	cr_expect_eq(find_entry("usr/bin/tool")->mode, S_IFREG | 04755);
	cr_expect_eq(find_entry("etc/app/link")->mode, S_IFLNK | 0777);
}
