/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
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

TestSuite(fs_readdir, .init = setup, .fini = teardown);

Test(fs_readdir, exports_are_listed)
{
	struct fuse_entry_out e;

	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "base", false, NULL));
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "ro", false, NULL));
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, ".", false, NULL));
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "..", true, &e));
	cr_assert_eq(e.nodeid, 0);
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "rw", true, &e));
	cr_assert_eq(e.nodeid, fc_walk(&c, "rw"));
}

Test(fs_readdir, plus_looks_entries_up)
{
	struct fuse_entry_out e;
	uint64_t dir = fc_walk(&c, "rw");
	struct fuse_attr a;

	cr_assert(fc_listed(&c, dir, "hello", true, &e));
	cr_assert_eq(e.attr.size, 13);
	cr_assert_eq(e.nodeid, fc_walk(&c, "rw/hello"));
	/* One by the listing, one by the walk. */
	fc_forget(&c, e.nodeid, 1);
	cr_assert_gt(fc_getattr(&c, e.nodeid, &a), 0);
	fc_forget(&c, e.nodeid, 1);
	cr_assert_eq(fc_getattr(&c, e.nodeid, &a), -ESTALE);
	cr_assert(fc_listed(&c, dir, ".", true, &e));
	cr_assert_eq(e.nodeid, 0);
}

Test(fs_readdir, a_big_directory_comes_in_parts_and_whole)
{
	uint64_t dir = fc_walk(&c, "rw/sub"), fh, off = 0;
	unsigned int seen = 0;
	char name[64];
	uint8_t buf[700];
	int n;

	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "tree/sub/file-with-a-longish-name-%d", i);
		fc_host_write(&c, name, "", 0644);
	}
	for (int plus = 0; plus < 2; plus++) {
		cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
		seen = 0;
		off = 0;
		while ((n = fc_readdir(&c, dir, fh, off, buf, sizeof(buf), plus)) > 0) {
			for (size_t pos = 0; pos < (size_t)n;) {
				struct fuse_dirent d;

				pos += plus ? sizeof(struct fuse_entry_out) : 0;
				memcpy(&d, buf + pos, FUSE_NAME_OFFSET);
				pos += FUSE_REC_ALIGN(FUSE_NAME_OFFSET + d.namelen);
				off = d.off;
				seen++;
			}
		}
		cr_assert_eq(n, 0);
		/* Besides: ".", "..", "deep", "again". */
		cr_assert_eq(seen, 504);
		cr_assert_eq(fc_release(&c, dir, fh), 0);
	}
}

/* The names of a listing that takes only the first of each reply, as a small buffer does. */
static unsigned int remove_while_reading(uint64_t dir, uint64_t fh, size_t room, bool first_only)
{
	uint64_t off = 0;
	unsigned int seen = 0;
	uint8_t buf[4096];
	int n;

	while ((n = fc_readdir(&c, dir, fh, off, buf, room, false)) > 0) {
		for (size_t pos = 0; pos < (size_t)n && (pos == 0 || !first_only);) {
			char name[NAME_MAX + 1] = "";
			struct fuse_dirent d;

			memcpy(&d, buf + pos, FUSE_NAME_OFFSET);
			memcpy(name, buf + pos + FUSE_NAME_OFFSET, d.namelen);
			pos += FUSE_REC_ALIGN(FUSE_NAME_OFFSET + d.namelen);
			off = d.off;
			if (strncmp(name, "f-", 2) != 0)
				continue;
			cr_assert_eq(fc_unlink(&c, dir, name), 0, "%s was listed twice", name);
			seen++;
		}
	}
	cr_assert_eq(n, 0);
	return seen;
}

Test(fs_readdir, a_directory_that_is_emptied_meanwhile_loses_no_name)
{
	uint64_t dir = fc_walk(&c, "rw/sub"), fh;
	char name[64];

	for (int way = 0; way < 4; way++) {
		for (int i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "tree/sub/f-%d", i);
			fc_host_write(&c, name, "", 0644);
		}
		cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
		cr_expect_eq(remove_while_reading(dir, fh, way & 1 ? 4096 : 600, way & 2), 300);
		cr_assert_eq(fc_release(&c, dir, fh), 0);
	}
}

Test(fs_readdir, more_directories_are_read_at_a_time_than_windows_are_kept)
{
	uint64_t dir = fc_walk(&c, "rw/sub"), fh[72], off[72] = {0};
	unsigned int seen[72] = {0}, done = 0;
	char name[64];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "tree/sub/f-%d", i);
		fc_host_write(&c, name, "", 0644);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fh); i++)
		cr_assert_gt(fc_opendir(&c, dir, &fh[i]), 0);
	while (done < ARRAY_SIZE(fh))
		for (size_t i = 0; i < ARRAY_SIZE(fh); i++) {
			struct fuse_dirent d;
			uint8_t buf[256];
			int n = fc_readdir(&c, dir, fh[i], off[i], buf, sizeof(buf), false);

			cr_assert_geq(n, 0);
			done += n == 0;
			for (size_t pos = 0; pos < (size_t)n; seen[i]++) {
				memcpy(&d, buf + pos, FUSE_NAME_OFFSET);
				pos += FUSE_REC_ALIGN(FUSE_NAME_OFFSET + d.namelen);
				off[i] = d.off;
			}
			if (n == 0)
				cr_assert_eq(seen[i], 44, "%u", seen[i]);
		}
}

Test(fs_readdir, who_begins_anew_sees_what_is_there_now)
{
	uint64_t dir = fc_walk(&c, "rw/sub"), fh;
	uint8_t buf[4096];
	int n, more;

	cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
	n = fc_readdir(&c, dir, fh, 0, buf, sizeof(buf), false);
	cr_assert_gt(n, 0);
	fc_host_write(&c, "tree/sub/new", "", 0644);
	more = fc_readdir(&c, dir, fh, 0, buf, sizeof(buf), false);
	cr_assert_gt(more, n);
}

Test(fs_readdir, a_buffer_too_small_for_an_entry_is_an_error)
{
	uint64_t dir = fc_walk(&c, "rw"), fh;
	uint8_t buf[64];

	cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
	cr_assert_eq(fc_readdir(&c, dir, fh, 0, buf, 8, false), -EINVAL);
	cr_assert_eq(fc_readdir(&c, dir, fh, 0, buf, 0, false), -EINVAL);
	cr_assert_eq(fc_readdir(&c, dir, fh, 0, buf, 64, true), -EINVAL);
	cr_assert_gt(fc_opendir(&c, FUSE_ROOT_ID, &fh), 0);
	cr_assert_eq(fc_readdir(&c, FUSE_ROOT_ID, fh, 0, buf, 16, false), -EINVAL);
}

Test(fs_readdir, odd_offsets_and_handles_are_refused)
{
	uint64_t dir = fc_walk(&c, "rw"), fh, root;
	uint8_t buf[512];

	cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
	cr_assert_eq(fc_readdir(&c, dir, fh, UINT64_MAX, buf, sizeof(buf), false), -EINVAL);
	cr_assert_geq(fc_readdir(&c, dir, fh, INT64_MAX, buf, sizeof(buf), false), -EINVAL);
	cr_assert_eq(fc_readdir(&c, dir, fh + 1, 0, buf, sizeof(buf), false), -EBADF);
	cr_assert_eq(fc_readdir(&c, fc_walk(&c, "rw/hello"), fh, 0, buf, sizeof(buf), false),
		     -ENOTDIR);
	cr_assert_gt(fc_opendir(&c, FUSE_ROOT_ID, &root), 0);
	cr_assert_eq(fc_readdir(&c, FUSE_ROOT_ID, root, UINT64_MAX, buf, sizeof(buf), false), 0);
	cr_assert_eq(fc_readdir(&c, FUSE_ROOT_ID, root, 5, buf, sizeof(buf), true), 0);
	cr_assert_eq(fc_readdir(&c, dir, root, 0, buf, sizeof(buf), true), -EBADF);
}

Test(fs_readdir, what_lies_above_an_export_does_not_show)
{
	uint64_t dir = fc_walk(&c, "rw"), fh;
	struct stat above = fc_host_stat(&c, "."), top = fc_host_stat(&c, "tree");
	uint8_t buf[4096];
	int n;

	cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
	n = fc_readdir(&c, dir, fh, 0, buf, sizeof(buf), false);
	cr_assert_gt(n, 0);
	for (size_t pos = 0; pos < (size_t)n;) {
		struct fuse_dirent d;

		memcpy(&d, buf + pos, FUSE_NAME_OFFSET);
		cr_assert_neq(d.ino, above.st_ino);
		if (d.namelen == 2 && !memcmp(buf + pos + FUSE_NAME_OFFSET, "..", 2))
			cr_assert_eq(d.ino, top.st_ino);
		pos += FUSE_REC_ALIGN(FUSE_NAME_OFFSET + d.namelen);
	}
}

Test(fs_readdir, fsyncdir_takes_a_directory_handle)
{
	uint64_t dir = fc_walk(&c, "rw"), fh;
	struct fuse_fsync_in in = {.fsync_flags = 0};

	cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
	in.fh = fh;
	cr_assert_eq(fc_call(&c, FUSE_FSYNCDIR, dir, &in, sizeof(in), NULL, 0, NULL, 0), 0);
	in.fh++;
	cr_assert_eq(fc_call(&c, FUSE_FSYNCDIR, dir, &in, sizeof(in), NULL, 0, NULL, 0), -EBADF);
}
