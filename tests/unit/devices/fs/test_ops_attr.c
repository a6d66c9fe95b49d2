/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
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

TestSuite(fs_attr, .init = setup, .fini = teardown);

Test(fs_attr, shows_what_the_host_has)
{
	struct stat st = fc_host_stat(&c, "tree/hello");
	struct fuse_attr a;

	cr_assert_gt(fc_getattr(&c, fc_walk(&c, "rw/hello"), &a), 0);
	cr_assert_eq(a.ino, st.st_ino);
	cr_assert_eq(a.size, 13);
	cr_assert_eq(a.mode, st.st_mode);
	cr_assert_eq(a.nlink, 2);
	cr_assert_eq(a.uid, st.st_uid);
	cr_assert_eq(a.gid, st.st_gid);
	cr_assert_eq(a.mtime, (uint64_t)st.st_mtim.tv_sec);
	cr_assert_eq(a.mtimensec, st.st_mtim.tv_nsec);
	cr_assert_eq(fc_getattr(&c, 4711, &a), -ESTALE);
	cr_assert_eq(fc_getattr(&c, 0, &a), -ESTALE);
}

Test(fs_attr, size_with_and_without_a_handle)
{
	uint64_t node = fc_walk(&c, "rw/hello"), fh;
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = 5};

	cr_assert_gt(fc_setattr(&c, node, &in), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, 5);
	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
	in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .fh = fh, .size = 100};
	cr_assert_gt(fc_setattr(&c, node, &in), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, 100);
	/* A handle that is none does not matter to a file that may be written. */
	in.fh = 999;
	in.size = 7;
	cr_assert_gt(fc_setattr(&c, node, &in), 0);
	in.size = UINT64_MAX;
	cr_assert_eq(fc_setattr(&c, node, &in), -EFBIG);
	in.size = 0;
	cr_assert_eq(fc_setattr(&c, fc_walk(&c, "rw/sub"), &in), -EISDIR);
	cr_assert_eq(fc_setattr(&c, fc_walk(&c, "rw/fifo"), &in), -EINVAL);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, 7);
}

Test(fs_attr, modes_lose_set_id_bits)
{
	uint64_t hello = fc_walk(&c, "rw/hello"), sub = fc_walk(&c, "rw/sub");

	cr_assert_gt(fc_chmod(&c, hello, 06750), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_mode, S_IFREG | 0750);
	cr_assert_gt(fc_chmod(&c, fc_walk(&c, "rw/suid"), 06755), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/suid").st_mode, S_IFREG | 0755);
	cr_assert_gt(fc_chmod(&c, sub, 03777), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/sub").st_mode, S_IFDIR | 01777);
	/* The bit the host's user gave a directory stays if the guest sends it back. */
	cr_assert_eq(fchmodat(c.dirfd, "tree/sub", 02755, 0), 0);
	cr_assert_gt(fc_chmod(&c, sub, 02700), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/sub").st_mode, S_IFDIR | 02700);
	cr_assert_gt(fc_chmod(&c, sub, 0700), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/sub").st_mode, S_IFDIR | 0700);
	cr_assert_eq(fc_chmod(&c, fc_walk(&c, "rw/escape"), 0777), -EOPNOTSUPP);
	cr_assert_eq(fc_host_stat(&c, "outside").st_mode, S_IFREG | 0644);
	cr_assert_gt(fc_chmod(&c, fc_walk(&c, "rw/fifo"), 0600), 0);
}

Test(fs_attr, truncating_takes_set_id_bits_off)
{
	struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = 1};

	cr_assert_gt(fc_setattr(&c, fc_walk(&c, "rw/suid"), &in), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/suid").st_mode, S_IFREG | 0755);
}

Test(fs_attr, the_owner_never_changes)
{
	uint64_t node = fc_walk(&c, "rw/hello");
	struct stat st = fc_host_stat(&c, "tree/hello");
	struct fuse_setattr_in in = {
		.valid = FATTR_UID | FATTR_GID, .uid = st.st_uid + 1, .gid = st.st_gid + 1};
	struct fuse_attr a;

	/* The guest's root is told it worked, and shown the truth. */
	c.uid = 0;
	cr_assert_gt(fc_setattr(&c, node, &in), 0);
	cr_assert_gt(fc_getattr(&c, node, &a), 0);
	cr_assert_eq(a.uid, st.st_uid);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_uid, st.st_uid);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_gid, st.st_gid);
	/* Anyone else may set what is set already. */
	c.uid = 1000;
	cr_assert_eq(fc_setattr(&c, node, &in), -EPERM);
	in.uid = st.st_uid;
	cr_assert_eq(fc_setattr(&c, node, &in), -EPERM);
	in.gid = st.st_gid;
	cr_assert_gt(fc_setattr(&c, node, &in), 0);
}

Test(fs_attr, times)
{
	uint64_t node = fc_walk(&c, "rw/hello");
	struct fuse_setattr_in in = {
		.valid = FATTR_ATIME | FATTR_MTIME,
		.atime = 1000,
		.mtime = 2000,
		.mtimensec = 5,
	};

	cr_assert_gt(fc_setattr(&c, node, &in), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_mtim.tv_sec, 2000);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_mtim.tv_nsec, 5);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_atim.tv_sec, 1000);
	in.valid = FATTR_MTIME | FATTR_MTIME_NOW;
	cr_assert_gt(fc_setattr(&c, node, &in), 0);
	cr_assert_gt(fc_host_stat(&c, "tree/hello").st_mtim.tv_sec, 2000);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_atim.tv_sec, 1000);
	/* Would mean "now" or "leave" to the host's kernel. */
	in.valid = FATTR_MTIME;
	in.mtimensec = UTIME_NOW;
	cr_assert_eq(fc_setattr(&c, node, &in), -EINVAL);
	/* A link's own, not those of what it names. */
	in.mtimensec = 0;
	in.mtime = 3000;
	cr_assert_gt(fc_setattr(&c, fc_walk(&c, "rw/escape"), &in), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/escape").st_mtim.tv_sec, 3000);
	cr_assert_gt(fc_host_stat(&c, "outside").st_mtim.tv_sec, 3000);
}

Test(fs_attr, nothing_is_set_on_what_is_read_only)
{
	static const uint32_t valid[] = {FATTR_MODE,  FATTR_UID,       FATTR_GID, FATTR_SIZE,
					 FATTR_ATIME, FATTR_MTIME_NOW, 0};
	struct stat before = fc_host_stat(&c, "tree/hello"), after;

	for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
		struct fuse_setattr_in in = {.valid = valid[i]};

		cr_assert_eq(fc_setattr(&c, fc_walk(&c, "ro/hello"), &in), -EROFS);
		cr_assert_eq(fc_setattr(&c, fc_walk(&c, "base"), &in), -EROFS);
		cr_assert_eq(fc_setattr(&c, FUSE_ROOT_ID, &in), -EROFS);
	}
	after = fc_host_stat(&c, "tree/hello");
	cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0);
}

Test(fs_attr, statfs)
{
	struct fuse_statfs_out out;

	cr_assert_gt(
		fc_call(&c, FUSE_STATFS, fc_walk(&c, "rw"), NULL, 0, NULL, 0, &out, sizeof(out)),
		0);
	cr_assert_gt(out.st.blocks, 0);
	cr_assert_gt(out.st.bsize, 0);
	cr_assert_gt(fc_call(&c, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0, &out, sizeof(out)),
		     0);
	cr_assert_eq(out.st.blocks, 0);
	cr_assert_eq(out.st.namelen, 255);
}
