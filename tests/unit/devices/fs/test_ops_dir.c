/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/fs.h>
#include <string.h>

#include "tests/unit/devices/fs/fuse_client.h"

static struct fuse_client c;

static void setup(void)
{
	fc_init(&c);
}

static void teardown(void)
{
	fc_fini(&c);
}

TestSuite(fs_dir, .init = setup, .fini = teardown);

Test(fs_dir, makes_directories_and_files)
{
	uint64_t rw = fc_walk(&c, "rw");

	cr_assert_gt(fc_mkdir(&c, rw, "d", 07755), 0);
	/* Sticky may pass, set-id may not. */
	cr_assert_eq(fc_host_stat(&c, "tree/d").st_mode, S_IFDIR | 01755);
	cr_assert_eq(fc_mkdir(&c, rw, "d", 0755), -EEXIST);
	cr_assert_gt(fc_mknod(&c, fc_walk(&c, "rw/d"), "f", S_IFREG | 06644), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/d/f").st_mode, S_IFREG | 0644);
	cr_assert_gt(fc_mknod(&c, rw, "p", S_IFIFO | 0600), 0);
	cr_assert(S_ISFIFO(fc_host_stat(&c, "tree/p").st_mode));
	cr_assert_gt(fc_mknod(&c, rw, "s", S_IFSOCK | 0600), 0);
	cr_assert(S_ISSOCK(fc_host_stat(&c, "tree/s").st_mode));
	cr_assert_eq(fc_rmdir(&c, rw, "d"), -ENOTEMPTY);
	cr_assert_eq(fc_unlink(&c, rw, "d"), -EISDIR);
	cr_assert_eq(fc_unlink(&c, fc_walk(&c, "rw/d"), "f"), 0);
	cr_assert_eq(fc_rmdir(&c, rw, "d"), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/d").st_nlink, 0);
}

Test(fs_dir, device_nodes_are_never_made)
{
	uint64_t rw = fc_walk(&c, "rw");

	cr_assert_eq(fc_mknod(&c, rw, "c", S_IFCHR | 0600), -EPERM);
	cr_assert_eq(fc_mknod(&c, rw, "b", S_IFBLK | 0600), -EPERM);
	cr_assert_eq(fc_mknod(&c, rw, "x", S_IFDIR | 0600), -EPERM);
	cr_assert_eq(fc_mknod(&c, rw, "x", 0600), -EPERM);
	cr_assert_eq(fc_mknod(&c, rw, "x", S_IFMT | 0600), -EPERM);
}

Test(fs_dir, the_umask_of_the_request_is_applied)
{
	const struct fuse_mkdir_in in = {.mode = 0777, .umask = 027};
	struct fuse_entry_out out;

	cr_assert_gt(fc_call(&c, FUSE_MKDIR, fc_walk(&c, "rw"), &in, sizeof(in), "m", 2, &out,
			     sizeof(out)),
		     0);
	cr_assert_eq(fc_host_stat(&c, "tree/m").st_mode, S_IFDIR | 0750);
}

Test(fs_dir, renames_within_an_export)
{
	uint64_t rw = fc_walk(&c, "rw"), sub = fc_walk(&c, "rw/sub");
	uint64_t hello = fc_walk(&c, "rw/hello");
	char text[32];

	cr_assert_eq(fc_rename(&c, rw, "hello", sub, "moved", 0), 0);
	cr_assert_eq(fc_host_read(&c, "tree/sub/moved", text, sizeof(text)), 13);
	cr_assert_eq(fc_walk(&c, "rw/sub/moved"), hello);
	cr_assert_eq(fc_rename(&c, rw, "suid", sub, "moved", RENAME_NOREPLACE), -EEXIST);
	cr_assert_eq(fc_rename(&c, rw, "suid", rw, "nosuid", RENAME_NOREPLACE), 0);
	cr_assert_eq(fc_rename(&c, rw, "nosuid", sub, "moved", RENAME_EXCHANGE), 0);
	fc_host_read(&c, "tree/nosuid", text, sizeof(text));
	cr_assert_str_eq(text, "hello, guest\n");
	cr_assert_eq(fc_rename(&c, rw, "nosuid", rw, "w", RENAME_WHITEOUT), -EINVAL);
	cr_assert_eq(fc_rename(&c, rw, "nosuid", rw, "w", 1u << 31), -EINVAL);
	cr_assert_eq(fc_rename(&c, rw, "nosuid", hello, "w", 0), -ENOTDIR);
	cr_assert_eq(fc_rename(&c, rw, "absent", rw, "w", 0), -ENOENT);
	cr_assert_eq(fc_rename(&c, rw, "nosuid", rw, "../w", 0), -EINVAL);
	cr_assert_eq(fc_rename(&c, rw, "..", rw, "w", 0), -EINVAL);
	cr_assert_eq(fc_rename(&c, rw, "nosuid", 999, "w", 0), -ESTALE);
}

Test(fs_dir, nothing_moves_between_exports)
{
	uint64_t rw = fc_walk(&c, "rw"), ro = fc_walk(&c, "ro");
	struct fuse_entry_out e;

	fc_export(&c, "other", "tree/sub", true, FS_CACHE_SHORT);
	cr_assert_eq(fc_rename(&c, rw, "hello", fc_walk(&c, "other"), "h", 0), -EXDEV);
	cr_assert_eq(fc_link(&c, fc_walk(&c, "rw/hello"), fc_walk(&c, "other"), "h", &e), -EXDEV);
	cr_assert_eq(fc_rename(&c, rw, "hello", ro, "h", 0), -EROFS);
	cr_assert_eq(fc_rename(&c, ro, "hello", rw, "h", 0), -EROFS);
	/* A link would make a read-only file writable under a new name. */
	cr_assert_eq(fc_link(&c, fc_walk(&c, "ro/hello"), rw, "h", &e), -EXDEV);
	cr_assert_eq(fc_rename(&c, rw, "hello", FUSE_ROOT_ID, "h", 0), -EROFS);
	cr_assert_eq(fc_rename(&c, FUSE_ROOT_ID, "rw", rw, "h", 0), -EROFS);
}

Test(fs_dir, links)
{
	uint64_t rw = fc_walk(&c, "rw"), hello = fc_walk(&c, "rw/hello");
	struct fuse_entry_out e;
	char text[16] = "";

	cr_assert_gt(fc_link(&c, hello, rw, "third", &e), 0);
	cr_assert_eq(e.nodeid, hello);
	cr_assert_eq(e.attr.nlink, 3);
	cr_assert_eq(fc_link(&c, hello, rw, "third", &e), -EEXIST);
	cr_assert_eq(fc_link(&c, fc_walk(&c, "rw/sub"), rw, "d", &e), -EPERM);
	cr_assert_eq(fc_link(&c, 777, rw, "d", &e), -ESTALE);
	/* A link to a link is one to the link, not to what it names. */
	cr_assert_gt(fc_link(&c, fc_walk(&c, "rw/escape"), rw, "l2", &e), 0);
	cr_assert(S_ISLNK(fc_host_stat(&c, "tree/l2").st_mode));
	cr_assert_gt(fc_symlink(&c, rw, "sym", "any/text"), 0);
	cr_assert_eq(fc_readlink(&c, fc_walk(&c, "rw/sym"), text, sizeof(text)), 8);
	cr_assert_str_eq(text, "any/text");
	/* Cut off where the room ends, as readlink(2) does. */
	cr_assert_eq(fc_readlink(&c, fc_walk(&c, "rw/sym"), text, 3), 3);
	cr_assert_eq(fc_symlink(&c, rw, "empty", ""), -ENOENT);
	cr_assert_eq(fc_call(&c, FUSE_SYMLINK, rw, NULL, 0, "x\0abc", 5, &e, sizeof(e)), -EINVAL);
}

Test(fs_dir, nothing_changes_in_a_read_only_export)
{
	static const char *const exports[] = {"ro", "base"};
	struct fuse_entry_out e;

	for (size_t i = 0; i < ARRAY_SIZE(exports); i++) {
		uint64_t dir = fc_walk(&c, exports[i]);

		cr_assert_eq(fc_mkdir(&c, dir, "d", 0755), -EROFS);
		cr_assert_eq(fc_mknod(&c, dir, "f", S_IFREG | 0644), -EROFS);
		cr_assert_eq(fc_symlink(&c, dir, "l", "t"), -EROFS);
		cr_assert_eq(fc_unlink(&c, dir, "hello"), -EROFS);
		cr_assert_eq(fc_rmdir(&c, dir, "sub"), -EROFS);
		cr_assert_eq(fc_rename(&c, dir, "hello", dir, "h", 0), -EROFS);
		cr_assert_eq(fc_rename(&c, dir, "hello", dir, "sub", RENAME_EXCHANGE), -EROFS);
		cr_assert_gt(fc_lookup(&c, dir, "hello", &e), 0);
		cr_assert_eq(fc_link(&c, e.nodeid, dir, "h", &e), -EROFS);
	}
	cr_assert_eq(fc_mkdir(&c, FUSE_ROOT_ID, "d", 0755), -EROFS);
	cr_assert_eq(fc_rmdir(&c, FUSE_ROOT_ID, "rw"), -EROFS);
}
