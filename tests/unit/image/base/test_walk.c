/* SPDX-License-Identifier: MIT */
/* A tree that somebody else made, as the walk meets it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

TestSuite(walk, .init = make_tree, .fini = remove_tree);

/* Opened or not, the kernel says so. */
static void make_fifo(int watch, const char *path)
{
	char full[4096];

	tree_write_text(tree, path, "");
	in_tree(path, full);
	cr_assert_eq(unlink(full), 0);
	cr_assert_eq(mkfifo(full, 0644), 0, "%s", full);
	cr_assert_geq(inotify_add_watch(watch, full, IN_OPEN), 0);
}

/* As root it could be a device, and what opening does is done then. */
Test(walk, nothing_is_opened_but_files, .timeout = 60)
{
	static const char *const paths[] = {
		"var/lib/dpkg/diversions",
		"var/lib/dpkg/info/libs:amd64.list",
		"var/lib/dpkg/info/tool.md5sums",
		"var/lib/ucf/registry",
		"var/lib/ucf/hashfile",
		"var/cache/apt/archives/tool_1%3a2-3_amd64.deb",
		"usr/lib/sysusers.d/a.conf",
		"usr/lib/tmpfiles.d/a.conf",
		"usr/share/pam-configs/a",
		"usr/share/base-files/motd",
		"usr/share/base-files/profile",
		"usr/lib/python3/dist-packages/a.py",
		"usr/local/bin/fifo",
		"opt/app/fifo",
		"etc/motd",
		"etc/passwd",
		"etc/group",
		"etc/kept.conf",
		"etc/pam.d/common-auth",
		"etc/apt/sources.list",
		"etc/shells",
		"etc/localtime",
	};
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct inotify_event event;

	own_files(
		"/usr/lib/sysusers.d/a.conf\n/usr/lib/tmpfiles.d/a.conf\n/usr/share/pam-configs/a\n"
		"/usr/share/base-files/motd\n/usr/lib/python3/dist-packages/a.py\n/etc/pam.d\n"
		"/etc/apt\n",
		"");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		make_fifo(watch, paths[i]);
	open_image(BASE_CURRENT);
	cr_assert_eq(read(watch, &event, sizeof(event)), -1, "watch %d was opened", event.wd);
	close(watch);
	cr_expect_eq(left_out("etc", "kept.conf"), INDEX_LEFT_SPECIAL);
	cr_expect_eq(left_out("usr/local/bin", "fifo"), INDEX_LEFT_SPECIAL);
	cr_expect_not_null(find_entry("usr/bin/tool"));
}

static void make_hole(const char *path)
{
	char full[4096];

	tree_write_text(tree, path, "");
	in_tree(path, full);
	cr_assert_eq(truncate(full, 1ll << 42), 0);
}

/* Files of 4 TiB, with nothing in them. */
Test(walk, files_with_holes_do_not_hold_it_up, .timeout = 60)
{
	char sums[128];

	sprintf(sums, "%s  usr/share/app/huge\n", md5_of("packaged"));
	own_files("/usr/share/app/huge\n/etc/xml\n", sums);
	make_hole("usr/share/app/huge");
	touch_file("usr/share/app/huge", 2000000000);
	make_hole("usr/share/mime/huge");
	make_hole("opt/app/lib/huge.so");
	make_hole("opt/app/huge");
	set_mode("opt/app/huge", 0755);
	make_hole("etc/kept.conf");
	make_hole("etc/passwd");
	make_hole("etc/xml/huge.xml");
	make_hole("etc/shells");
	make_hole("var/lib/dpkg/diversions");
	make_hole("var/lib/dpkg/info/libs:amd64.list");
	make_hole("var/lib/ucf/registry");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("usr/share/app", "huge"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("etc", "kept.conf"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("etc/xml", "huge.xml"), INDEX_LEFT_UNREADABLE);
	cr_expect_eq(left_out("etc", "shells"), INDEX_LEFT_UNREADABLE);
	cr_expect_not_null(find_entry("usr/bin/tool"));
}

/* A bind mount has the device number of what it is in. */
Test(walk, what_is_mounted_in_the_tree_is_left_out)
{
	char from[4096], to[4096];

	if (!may_mount()) {
		remove_tree();
		cr_skip("mounting needs root");
	}
	own_files("/usr/share/bound\n/usr/share/bound/secret\n/usr/share/file\n", "");
	tree_write_text(tree, "home/jane/secret", "SECRET-MARK");
	tree_write_text(tree, "usr/share/bound/x", "");
	tree_write_text(tree, "usr/share/file", "");
	in_tree("home/jane", from);
	in_tree("usr/share/bound", to);
	cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
	in_tree("home/jane/secret", from);
	in_tree("usr/share/file", to);
	cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_eq(left_out("usr/share", "bound"), INDEX_LEFT_MOUNT);
	cr_expect_eq(left_out("usr/share", "file"), INDEX_LEFT_MOUNT);
	cr_assert_eq(umount2(to, MNT_DETACH), 0);
	in_tree("usr/share/bound", to);
	cr_assert_eq(umount2(to, MNT_DETACH), 0);
}
