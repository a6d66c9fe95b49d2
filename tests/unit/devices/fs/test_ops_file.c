/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/falloc.h>
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

TestSuite(fs_file, .init = setup, .fini = teardown);

Test(fs_file, reads_what_the_host_has)
{
	uint64_t node = fc_walk(&c, "ro/hello"), fh;
	char buf[64] = "";

	cr_assert_gt(fc_open(&c, node, O_RDONLY, &fh), 0);
	cr_assert_eq(fc_read(&c, node, fh, 0, buf, 5), 5);
	cr_assert_str_eq(buf, "hello");
	cr_assert_eq(fc_read(&c, node, fh, 7, buf, sizeof(buf)), 6);
	cr_assert_eq(memcmp(buf, "guest\n", 6), 0);
	cr_assert_eq(fc_read(&c, node, fh, 1000, buf, sizeof(buf)), 0);
	cr_assert_eq(fc_write(&c, node, fh, 0, "x", 1, 0), -EROFS);
	cr_assert_eq(fc_release(&c, node, fh), 0);
	cr_assert_eq(fc_read(&c, node, fh, 0, buf, 5), -EBADF);
	cr_assert_eq(fc_release(&c, node, fh), -EBADF);
}

Test(fs_file, data_may_come_in_any_pieces)
{
	uint64_t node = fc_walk(&c, "rw/hello"), fh;
	struct fuse_in_header hdr = {.opcode = FUSE_READ, .unique = 9, .nodeid = node};
	struct fuse_read_in in = {.size = 10};
	struct fake_seg segs[20];
	struct fuse_out_header out;
	uint32_t written;
	uint8_t whole[26];

	cr_assert_gt(fc_open(&c, node, O_RDONLY, &fh), 0);
	in.fh = fh;
	hdr.len = sizeof(hdr) + sizeof(in);
	segs[0] = fake_put(c.g, &hdr, 7);
	segs[1] = fake_put(c.g, (uint8_t *)&hdr + 7, sizeof(hdr) - 7);
	segs[2] = fake_put(c.g, &in, sizeof(in));
	for (int i = 3; i < 20; i++)
		segs[i] = fake_room(c.g, i < 19 ? 1 : 10);
	fake_publish(c.g, FC_Q_REQUEST, segs, 20);
	fake_kick(c.g, FC_Q_REQUEST);
	cr_assert(fake_reap(c.g, FC_Q_REQUEST, NULL, &written));
	cr_assert_eq(written, 26);
	for (int i = 0; i < 16; i++)
		whole[i] = *(uint8_t *)fake_ptr(c.g, segs[3 + i].addr, 1);
	memcpy(whole + 16, fake_ptr(c.g, segs[19].addr, 10), 10);
	memcpy(&out, whole, sizeof(out));
	cr_assert_eq(out.len, 26);
	cr_assert_eq(out.error, 0);
	cr_assert_eq(memcmp(whole + 16, "hello, gue", 10), 0);
}

Test(fs_file, writes_reach_the_host_at_once)
{
	uint64_t node, fh, dir = fc_walk(&c, "rw");
	char big[FC_MAX_IO], back[FC_MAX_IO];
	char text[32];

	cr_assert_gt(fc_create(&c, dir, "new", O_RDWR, 0640, &node, &fh), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/new").st_mode, S_IFREG | 0640);
	cr_assert_eq(fc_write(&c, node, fh, 0, "first", 5, 0), 5);
	cr_assert_eq(fc_host_read(&c, "tree/new", text, sizeof(text)), 5);
	memset(big, 'b', sizeof(big));
	cr_assert_eq(fc_write(&c, node, fh, 5, big, sizeof(big), 0), sizeof(big));
	cr_assert_eq(fc_read(&c, node, fh, 5, back, sizeof(back)), sizeof(back));
	cr_assert_eq(memcmp(big, back, sizeof(big)), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/new").st_size, 5 + FC_MAX_IO);
}

Test(fs_file, an_open_that_truncates_does)
{
	uint64_t node = fc_walk(&c, "rw/hello"), fh;

	cr_assert_gt(fc_open(&c, node, O_WRONLY | O_TRUNC, &fh), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, 0);
	/* Write-only is that. */
	cr_assert_eq(fc_read(&c, node, fh, 0, (char[4]){0}, 4), -EBADF);
	cr_assert_eq(fc_open(&c, node, O_ACCMODE, &fh), -EINVAL);
}

Test(fs_file, appending_goes_to_the_end_the_host_knows)
{
	uint64_t node = fc_walk(&c, "rw/hello"), fh;
	char text[64];

	cr_assert_gt(fc_open(&c, node, O_WRONLY | O_APPEND, &fh), 0);
	cr_assert_eq(fc_write(&c, node, fh, 0, "end", 3, O_APPEND), 3);
	fc_host_read(&c, "tree/hello", text, sizeof(text));
	cr_assert_str_eq(text, "hello, guest\nend");
}

Test(fs_file, impossible_offsets_and_sizes_are_refused)
{
	uint64_t node = fc_walk(&c, "rw/hello"), fh;
	struct fuse_write_in in = {.size = 4096};
	struct fuse_fallocate_in fa = {.offset = 1, .length = INT64_MAX};
	struct fuse_write_out out;
	char buf[8];

	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
	cr_assert_eq(fc_read(&c, node, fh, UINT64_MAX, buf, 8), -EINVAL);
	cr_assert_eq(fc_write(&c, node, fh, 1ull << 63, buf, 8, 0), -EINVAL);
	/* More announced than sent. */
	in.fh = fh;
	cr_assert_eq(fc_call(&c, FUSE_WRITE, node, &in, sizeof(in), buf, 8, &out, sizeof(out)),
		     -EINVAL);
	fa.fh = fh;
	cr_assert_eq(fc_call(&c, FUSE_FALLOCATE, node, &fa, sizeof(fa), NULL, 0, NULL, 0), -EFBIG);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, 13);
}

Test(fs_file, handles_belong_to_their_node)
{
	uint64_t a = fc_walk(&c, "rw/hello"), b = fc_walk(&c, "rw/sub/deep"), fh, dh;
	char buf[8];

	cr_assert_gt(fc_open(&c, a, O_RDWR, &fh), 0);
	cr_assert_eq(fc_read(&c, b, fh, 0, buf, 8), -EBADF);
	cr_assert_eq(fc_read(&c, a, fh + 1, 0, buf, 8), -EBADF);
	cr_assert_eq(fc_read(&c, a, fh | 1ull << 32, 0, buf, 8), -EBADF);
	cr_assert_eq(fc_read(&c, a, 0, 0, buf, 8), -EBADF);
	cr_assert_gt(fc_opendir(&c, fc_walk(&c, "rw"), &dh), 0);
	cr_assert_eq(fc_read(&c, fc_walk(&c, "rw"), dh, 0, buf, 8), -EBADF);
	/* The read-only twin of the file cannot be written through the writable handle. */
	cr_assert_eq(fc_write(&c, fc_walk(&c, "ro/hello"), fh, 0, "x", 1, 0), -EROFS);
}

Test(fs_file, an_open_file_survives_being_forgotten)
{
	uint64_t node = fc_walk(&c, "rw/hello"), fh;
	char buf[8];

	cr_assert_gt(fc_open(&c, node, O_RDONLY, &fh), 0);
	fc_forget(&c, node, 1);
	cr_assert_eq(fc_read(&c, node, fh, 0, buf, 5), 5);
	cr_assert_eq(fc_release(&c, node, fh), 0);
	cr_assert_eq(fc_read(&c, node, fh, 0, buf, 5), -ESTALE);
}

Test(fs_file, set_id_bits_never_reach_the_host)
{
	uint64_t dir = fc_walk(&c, "rw"), node, fh;

	cr_assert_gt(fc_create(&c, dir, "tool", O_RDWR, 06755, &node, &fh), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/tool").st_mode, S_IFREG | 0755);
	/* What the host marked loses the mark before the guest may write to it. */
	cr_assert(fc_host_stat(&c, "tree/suid").st_mode & S_ISUID);
	cr_assert_gt(fc_open(&c, fc_walk(&c, "rw/suid"), O_RDWR, &fh), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/suid").st_mode, S_IFREG | 0755);
}

Test(fs_file, create_opens_what_exists_unless_exclusive)
{
	uint64_t dir = fc_walk(&c, "rw"), node, fh;
	char buf[8];

	cr_assert_eq(fc_create(&c, dir, "hello", O_RDWR | O_EXCL, 0644, &node, &fh), -EEXIST);
	cr_assert_gt(fc_create(&c, dir, "hello", O_RDWR, 0600, &node, &fh), 0);
	cr_assert_eq(node, fc_walk(&c, "rw/hello"));
	cr_assert_eq(fc_read(&c, node, fh, 0, buf, 5), 5);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_mode, S_IFREG | 0644);
	/* A link, a directory, a FIFO by that name: look again. */
	cr_assert_eq(fc_create(&c, dir, "escape", O_RDWR, 0600, &node, &fh), -ESTALE);
	cr_assert_eq(fc_create(&c, dir, "fifo", O_RDWR, 0600, &node, &fh), -ESTALE);
	cr_assert_eq(fc_create(&c, dir, "sub", O_RDWR, 0600, &node, &fh), -ESTALE);
	fc_host_read(&c, "outside", buf, sizeof(buf));
	cr_assert_str_eq(buf, "secret");
}

Test(fs_file, a_temporary_file_can_be_given_a_name)
{
	const struct fuse_create_in in = {.flags = O_RDWR | O_TMPFILE, .mode = S_IFREG | 04600};
	uint64_t dir = fc_walk(&c, "rw");
	struct fuse_entry_out named;
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	char text[8];
	int r = fc_call(&c, FUSE_TMPFILE, dir, &in, sizeof(in), "/", 2, &out, sizeof(out));

	if (r == -EOPNOTSUPP) {
		fc_fini(&c);
		cr_skip("the host's file system has no O_TMPFILE");
	}
	cr_assert_eq(r, sizeof(out));
	cr_assert_eq(out.entry.attr.nlink, 0);
	cr_assert_eq(fc_write(&c, out.entry.nodeid, out.open.fh, 0, "tmp", 3, 0), 3);
	cr_assert_gt(fc_link(&c, out.entry.nodeid, dir, "kept", &named), 0);
	cr_assert_eq(named.nodeid, out.entry.nodeid);
	cr_assert_eq(fc_host_read(&c, "tree/kept", text, sizeof(text)), 3);
	cr_assert_eq(fc_host_stat(&c, "tree/kept").st_mode, S_IFREG | 0600);
}

Test(fs_file, space_holes_and_sync)
{
	uint64_t node = fc_walk(&c, "rw/hello"), fh;
	struct fuse_fallocate_in fa = {.length = 100 << 10};
	struct fuse_lseek_in seek = {.whence = SEEK_HOLE};
	struct fuse_fsync_in sync = {.fsync_flags = 0};
	struct fuse_lseek_out at;

	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
	fa.fh = seek.fh = sync.fh = fh;
	cr_assert_eq(fc_call(&c, FUSE_FALLOCATE, node, &fa, sizeof(fa), NULL, 0, NULL, 0), 0);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, 100 << 10);
	fa.mode = FALLOC_FL_COLLAPSE_RANGE;
	cr_assert_eq(fc_call(&c, FUSE_FALLOCATE, node, &fa, sizeof(fa), NULL, 0, NULL, 0),
		     -EOPNOTSUPP);
	cr_assert_eq(fc_call(&c, FUSE_LSEEK, node, &seek, sizeof(seek), NULL, 0, &at, sizeof(at)),
		     sizeof(at));
	cr_assert_leq(at.offset, 100 << 10);
	seek.whence = SEEK_SET;
	cr_assert_eq(fc_call(&c, FUSE_LSEEK, node, &seek, sizeof(seek), NULL, 0, &at, sizeof(at)),
		     -EINVAL);
	cr_assert_eq(fc_call(&c, FUSE_FSYNC, node, &sync, sizeof(sync), NULL, 0, NULL, 0), 0);
	sync.fsync_flags = FUSE_FSYNC_FDATASYNC;
	cr_assert_eq(fc_call(&c, FUSE_FSYNC, node, &sync, sizeof(sync), NULL, 0, NULL, 0), 0);
}

Test(fs_file, copies_between_files_on_the_host)
{
	uint64_t from = fc_walk(&c, "ro/hello"), to, from_fh, to_fh;
	struct fuse_copy_file_range_in in = {.off_in = 7, .len = UINT64_MAX};
	struct fuse_write_out out;
	char text[32];
	int r;

	cr_assert_gt(fc_open(&c, from, O_RDONLY, &from_fh), 0);
	cr_assert_gt(fc_create(&c, fc_walk(&c, "rw"), "copy", O_RDWR, 0644, &to, &to_fh), 0);
	in.fh_in = from_fh;
	in.nodeid_out = to;
	in.fh_out = to_fh;
	r = fc_call(&c, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in), NULL, 0, &out, sizeof(out));
	cr_assert_eq(r, sizeof(out));
	cr_assert_eq(out.size, 6);
	fc_host_read(&c, "tree/copy", text, sizeof(text));
	cr_assert_str_eq(text, "guest\n");
	/* Not into a read-only export, nor with anything odd. */
	in.nodeid_out = from;
	in.fh_out = from_fh;
	cr_assert_eq(fc_call(&c, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in), NULL, 0, &out,
			     sizeof(out)),
		     -EROFS);
	in.nodeid_out = to;
	in.fh_out = to_fh;
	in.off_out = UINT64_MAX;
	cr_assert_eq(fc_call(&c, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in), NULL, 0, &out,
			     sizeof(out)),
		     -EINVAL);
	in.off_out = 0;
	in.nodeid_out = 12345;
	cr_assert_eq(fc_call(&c, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in), NULL, 0, &out,
			     sizeof(out)),
		     -ESTALE);
}

Test(fs_file, nothing_read_only_opens_for_writing)
{
	static const uint32_t flags[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND,
					 O_RDWR | O_TRUNC};
	uint64_t fh, node;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		cr_assert_eq(fc_open(&c, fc_walk(&c, "ro/hello"), flags[i], &fh), -EROFS);
		cr_assert_eq(fc_open(&c, fc_walk(&c, "base/hello"), flags[i], &fh), -EROFS);
	}
	cr_assert_eq(fc_create(&c, fc_walk(&c, "ro"), "new", O_RDWR, 0644, &node, &fh), -EROFS);
	cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, 13);
	cr_assert_eq(fc_host_stat(&c, "tree/new").st_nlink, 0);
}
