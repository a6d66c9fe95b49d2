/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

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

TestSuite(fs_lookup, .init = setup, .fini = teardown);

Test(fs_lookup, the_root_lists_the_exports)
{
	struct fuse_entry_out e;
	struct fuse_attr a;

	cr_assert_gt(fc_getattr(&c, FUSE_ROOT_ID, &a), 0);
	cr_assert_eq(a.mode, S_IFDIR | 0555);
	cr_assert_gt(fc_lookup(&c, FUSE_ROOT_ID, "base", &e), 0);
	cr_assert(S_ISDIR(e.attr.mode));
	cr_assert_eq(e.entry_valid, 3600);
	cr_assert_gt(fc_lookup(&c, FUSE_ROOT_ID, "rw", &e), 0);
	cr_assert_eq(e.entry_valid, 0);
	cr_assert_leq(e.entry_valid_nsec, 1000000000);
	cr_assert_gt(e.entry_valid_nsec, 0);
	cr_assert_eq(fc_lookup(&c, FUSE_ROOT_ID, "other", &e), -ENOENT);
}

Test(fs_lookup, names_that_are_not_one_component_are_refused)
{
	static const char *const names[] = {
		".", "..", "/", "/etc", "sub/deep", "../outside", "sub/../../outside", "a/"};
	uint64_t rw = fc_walk(&c, "rw");
	struct fuse_entry_out e;
	char huge[NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cr_assert_eq(fc_lookup(&c, rw, names[i], &e), -EINVAL, "%s", names[i]);
		cr_assert_eq(fc_lookup(&c, FUSE_ROOT_ID, names[i], &e), -EINVAL, "%s", names[i]);
	}
	cr_assert_eq(fc_lookup(&c, rw, "", &e), -ENOENT);
	memset(huge, 'x', sizeof(huge));
	huge[NAME_MAX + 1] = '\0';
	cr_assert_eq(fc_lookup(&c, rw, huge, &e), -ENAMETOOLONG);
	huge[NAME_MAX] = '\0';
	cr_assert_eq(fc_lookup(&c, rw, huge, &e), -ENOENT);
}

Test(fs_lookup, a_name_without_its_end_is_refused)
{
	struct fuse_entry_out e;

	cr_assert_eq(
		fc_call(&c, FUSE_LOOKUP, fc_walk(&c, "rw"), NULL, 0, "hello", 5, &e, sizeof(e)),
		-EINVAL);
}

Test(fs_lookup, a_link_is_shown_and_not_followed)
{
	uint64_t rw = fc_walk(&c, "rw"), fh;
	struct fuse_entry_out e, through;
	char text[64] = "";

	cr_assert_gt(fc_lookup(&c, rw, "escape", &e), 0);
	cr_assert(S_ISLNK(e.attr.mode));
	cr_assert_eq(fc_readlink(&c, e.nodeid, text, sizeof(text)), 10);
	cr_assert_str_eq(text, "../outside");
	cr_assert_eq(fc_open(&c, e.nodeid, O_RDONLY, &fh), -ELOOP);
	cr_assert_gt(fc_lookup(&c, rw, "rootlink", &e), 0);
	cr_assert_eq(fc_lookup(&c, e.nodeid, "etc", &through), -ENOTDIR);
	cr_assert_eq(fc_opendir(&c, e.nodeid, &fh), -ENOTDIR);
	cr_assert_eq(fc_readlink(&c, rw, text, sizeof(text)), -EINVAL);
}

Test(fs_lookup, a_file_swapped_for_a_link_keeps_its_node)
{
	uint64_t node = fc_walk(&c, "rw/hello"), dir = fc_walk(&c, "rw/sub"), fh;
	struct fuse_entry_out e;
	char buf[64] = "";

	/* The host swaps both between the guest's lookup and its open. */
	cr_assert_eq(renameat(c.dirfd, "tree/hello", c.dirfd, "moved"), 0);
	cr_assert_eq(symlinkat("../outside", c.dirfd, "tree/hello"), 0);
	cr_assert_gt(fc_open(&c, node, O_RDONLY, &fh), 0);
	cr_assert_eq(fc_read(&c, node, fh, 0, buf, sizeof(buf)), 13);
	cr_assert_str_eq(buf, "hello, guest\n");

	cr_assert_eq(renameat(c.dirfd, "tree/sub", c.dirfd, "moved-sub"), 0);
	cr_assert_eq(symlinkat("/etc", c.dirfd, "tree/sub"), 0);
	cr_assert_eq(fc_lookup(&c, dir, "passwd", &e), -ENOENT);
	cr_assert_gt(fc_lookup(&c, dir, "deep", &e), 0);
	cr_assert_gt(fc_lookup(&c, fc_walk(&c, "rw"), "sub", &e), 0);
	cr_assert(S_ISLNK(e.attr.mode));
}

Test(fs_lookup, hard_links_are_one_node)
{
	cr_assert_eq(fc_walk(&c, "rw/hello"), fc_walk(&c, "rw/sub/again"));
	/* What two exports hold is two nodes: their rights differ. */
	cr_assert_neq(fc_walk(&c, "rw/hello"), fc_walk(&c, "ro/hello"));
}

Test(fs_lookup, absence_is_remembered_on_the_base_only)
{
	struct fuse_entry_out e;

	cr_assert_gt(fc_lookup(&c, fc_walk(&c, "base"), "absent", &e), 0);
	cr_assert_eq(e.nodeid, 0);
	cr_assert_eq(e.entry_valid, 3600);
	cr_assert_eq(fc_lookup(&c, fc_walk(&c, "rw"), "absent", &e), -ENOENT);
}

Test(fs_lookup, set_id_bits_show_on_the_base_only)
{
	struct fuse_attr a;

	cr_assert_gt(fc_getattr(&c, fc_walk(&c, "base/suid"), &a), 0);
	cr_assert_eq(a.mode, S_IFREG | S_ISUID | S_ISGID | 0755);
	cr_assert_gt(fc_getattr(&c, fc_walk(&c, "ro/suid"), &a), 0);
	cr_assert_eq(a.mode, S_IFREG | 0755);
}

Test(fs_lookup, special_files_have_a_type_and_do_not_open)
{
	uint64_t fifo = fc_walk(&c, "rw/fifo"), fh;
	struct fuse_attr a;

	cr_assert_gt(fc_getattr(&c, fifo, &a), 0);
	cr_assert(S_ISFIFO(a.mode));
	cr_assert_eq(a.rdev, 0);
	cr_assert_eq(fc_open(&c, fifo, O_RDONLY, &fh), -ENXIO);
	cr_assert_eq(fc_open(&c, fifo, O_RDWR, &fh), -ENXIO);
}

Test(fs_lookup, a_device_node_has_no_number_and_does_not_open)
{
	struct fuse_entry_out e;
	uint64_t fh;

	if (mknodat(c.dirfd, "tree/null", S_IFCHR | 0666, 0x103) < 0) {
		fc_fini(&c);
		cr_skip("needs CAP_MKNOD");
	}
	cr_assert_gt(fc_lookup(&c, fc_walk(&c, "rw"), "null", &e), 0);
	cr_assert(S_ISCHR(e.attr.mode));
	cr_assert_eq(e.attr.rdev, 0);
	cr_assert_eq(fc_open(&c, e.nodeid, O_RDWR, &fh), -ENXIO);
}

Test(fs_lookup, forgetting_more_than_was_looked_up_is_harmless)
{
	uint64_t node = fc_walk(&c, "rw/hello");
	struct fuse_attr a;
	struct fuse_entry_out e;

	fc_forget(&c, node, UINT64_MAX);
	cr_assert_eq(fc_getattr(&c, node, &a), -ESTALE);
	fc_forget(&c, node, 1);
	fc_forget(&c, 0, 1);
	fc_forget(&c, UINT64_MAX, 1);
	fc_forget(&c, FUSE_ROOT_ID, UINT64_MAX);
	cr_assert_gt(fc_getattr(&c, FUSE_ROOT_ID, &a), 0);
	/* An export's top survives being forgotten. */
	node = fc_walk(&c, "rw");
	fc_forget(&c, node, 5);
	cr_assert_gt(fc_lookup(&c, node, "hello", &e), 0);
}

Test(fs_lookup, a_slot_used_again_has_another_number)
{
	uint64_t first = fc_walk(&c, "rw/hello"), second;
	struct fuse_attr a;

	fc_forget(&c, first, 1);
	second = fc_walk(&c, "rw/sub");
	cr_assert_eq((uint32_t)first, (uint32_t)second);
	cr_assert_neq(first, second);
	cr_assert_eq(fc_getattr(&c, first, &a), -ESTALE);
}

Test(fs_lookup, a_batch_forgets_each)
{
	uint64_t a = fc_walk(&c, "rw/hello"), b = fc_walk(&c, "rw/suid");
	struct {
		struct fuse_in_header hdr;
		struct fuse_batch_forget_in in;
		struct fuse_forget_one one[2];
	} rq = {
		.hdr = {.len = sizeof(rq), .opcode = FUSE_BATCH_FORGET},
		.in = {.count = 1000000}, /* more than come along */
		.one = {{a, 1}, {b, 1}},
	};
	struct fuse_attr attr;

	cr_assert_eq(fake_request(c.g, FC_Q_HIPRIO, &rq, sizeof(rq), NULL, 0), 0);
	cr_assert_eq(fc_getattr(&c, a, &attr), -ESTALE);
	cr_assert_eq(fc_getattr(&c, b, &attr), -ESTALE);
}

Test(fs_lookup, files_of_two_file_systems_have_different_numbers)
{
	struct fuse_entry_out a, b;

	/* Its own top and an export of /dev: certainly two file systems. */
	fc_export(&c, "dev", "/dev", false, FS_CACHE_SHORT);
	cr_assert_gt(fc_lookup(&c, FUSE_ROOT_ID, "rw", &a), 0);
	cr_assert_gt(fc_lookup(&c, FUSE_ROOT_ID, "dev", &b), 0);
	cr_assert_eq(a.attr.ino >> 48, 0);
	cr_assert_eq(b.attr.ino >> 48, 1);
}

Test(fs_lookup, a_mount_point_below_an_export_does_not_exist)
{
	struct fuse_entry_out e;
	char path[96];

	/* A descriptor opened before belongs to the old namespace: begin again. */
	fc_fini(&c);
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fc_init(&c);
		cr_skip("needs CAP_SYS_ADMIN");
	}
	fc_init(&c);
	snprintf(path, sizeof(path), "%s/tree/sub", c.dir);
	cr_assert_eq(mount("none", path, "tmpfs", 0, NULL), 0);
	cr_assert_eq(fc_lookup(&c, fc_walk(&c, "rw"), "sub", &e), -ENOENT);
	cr_assert_not(fc_listed(&c, fc_walk(&c, "rw"), "sub", false, NULL));
	cr_assert_not(fc_listed(&c, fc_walk(&c, "rw"), "sub", true, NULL));
	cr_assert(fc_listed(&c, fc_walk(&c, "rw"), "hello", true, NULL));
	cr_assert_eq(umount2(path, MNT_DETACH), 0);
}

Test(fs_lookup, a_single_file_is_a_directory_that_holds_it)
{
	uint64_t dir, node, fh;
	struct fuse_entry_out e;
	char buf[64] = "";

	fc_export(&c, "one", "tree/hello", true, FS_CACHE_SHORT);
	dir = fc_walk(&c, "one");
	node = fc_walk(&c, "one/file");
	cr_assert(fc_listed(&c, dir, "file", false, NULL));
	cr_assert(fc_listed(&c, dir, "file", true, &e));
	cr_assert_eq(e.nodeid, node);
	cr_assert_eq(fc_lookup(&c, dir, "hello", &e), -ENOENT);
	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
	cr_assert_eq(fc_write(&c, node, fh, 0, "HELLO", 5, 0), 5);
	cr_assert_eq(fc_host_read(&c, "tree/hello", buf, sizeof(buf)), 13);
	cr_assert_str_eq(buf, "HELLO, guest\n");
	/* The name stays. */
	cr_assert_eq(fc_unlink(&c, dir, "file"), -EBUSY);
	cr_assert_eq(fc_rename(&c, dir, "file", dir, "other", 0), -EBUSY);
	cr_assert_eq(fc_unlink(&c, dir, "nothing"), -ENOENT);
	cr_assert_eq(fc_mkdir(&c, dir, "d", 0755), -EPERM);
	cr_assert_eq(fc_symlink(&c, dir, "l", "x"), -EPERM);
	cr_assert_eq(fc_create(&c, dir, "new", O_RDWR, 0644, &node, &fh), -EPERM);
}

/* As long as the server believes what it saw, and no less. */
static void let_time_pass(void)
{
	const struct timespec t = {.tv_nsec = 260 * 1000000L};

	cr_assert_eq(nanosleep(&t, NULL), 0);
}

static void move_out(const char *name)
{
	(void)mkdirat(c.dirfd, "private", 0700);
	cr_assert_eq(renameat(c.dirfd, name, c.dirfd, "private/moved"), 0);
}

Test(fs_lookup, a_directory_that_is_moved_out_is_gone)
{
	uint64_t ro = fc_walk(&c, "ro/sub"), rw = fc_walk(&c, "rw/sub"), fh, node;
	struct fuse_entry_out e;
	char buf[4096];

	cr_assert_gt(fc_opendir(&c, ro, &fh), 0);
	move_out("tree/sub");
	fc_host_write(&c, "private/moved/later", "secret", 0644);
	let_time_pass();
	cr_assert_eq(fc_lookup(&c, ro, "later", &e), -ESTALE);
	cr_assert_eq(fc_readdir(&c, ro, fh, 0, buf, sizeof(buf), true), -ESTALE);
	cr_assert_eq(fc_opendir(&c, ro, &fh), -ESTALE);
	cr_assert_eq(fc_create(&c, rw, "mine", O_WRONLY, 0644, &node, &fh), -ESTALE);
	cr_assert_eq(fc_mkdir(&c, rw, "mine", 0755), -ESTALE);
	cr_assert_eq(fc_unlink(&c, rw, "later"), -ESTALE);
	cr_assert_eq(fc_rename(&c, rw, "later", fc_walk(&c, "rw"), "later", 0), -ESTALE);
	cr_assert_eq(fc_host_stat(&c, "private/moved/mine").st_nlink, 0);
	/* Back in its place it is there again. */
	cr_assert_eq(renameat(c.dirfd, "private/moved", c.dirfd, "tree/sub"), 0);
	cr_assert_gt(fc_lookup(&c, ro, "later", &e), 0);
}

/* Neither is what lies in it, however deep, nor a file on its own. */
Test(fs_lookup, what_is_in_a_directory_that_is_moved_out_is_gone)
{
	uint64_t deep, file, fh, again;
	struct fuse_entry_out e;
	char buf[16];

	cr_assert_eq(mkdirat(c.dirfd, "tree/a", 0755), 0);
	cr_assert_eq(mkdirat(c.dirfd, "tree/a/b", 0755), 0);
	cr_assert_eq(mkdirat(c.dirfd, "tree/a/b/c", 0755), 0);
	fc_host_write(&c, "tree/a/b/file", "text", 0644);
	deep = fc_walk(&c, "rw/a/b/c");
	file = fc_walk(&c, "rw/a/b/file");
	let_time_pass();
	cr_assert_gt(fc_open(&c, file, O_RDONLY, &fh), 0);
	move_out("tree/a");
	fc_host_write(&c, "private/moved/b/c/later", "secret", 0644);
	let_time_pass();
	cr_assert_eq(fc_lookup(&c, deep, "later", &e), -ESTALE);
	cr_assert_eq(fc_open(&c, file, O_RDONLY, &again), -ESTALE);
	cr_assert_eq(fc_link(&c, file, fc_walk(&c, "rw"), "again", &e), -ESTALE);
	/* What it had open it goes on reading. */
	cr_assert_eq(fc_read(&c, file, fh, 0, buf, sizeof(buf)), 4);
}

Test(fs_lookup, what_the_guest_moves_itself_it_still_has)
{
	uint64_t rw = fc_walk(&c, "rw"), sub = fc_walk(&c, "rw/sub"),
		 hello = fc_walk(&c, "rw/hello");
	uint64_t fh;

	cr_assert_eq(fc_rename(&c, rw, "sub", rw, "moved", 0), 0);
	cr_assert_eq(fc_rename(&c, rw, "hello", sub, "hello", 0), 0);
	let_time_pass();
	cr_assert_gt(fc_mkdir(&c, sub, "new", 0755), 0);
	cr_assert_gt(fc_open(&c, hello, O_RDONLY, &fh), 0);
	/* Unlinked, an open file is as useful as ever. */
	cr_assert_eq(fc_unlink(&c, sub, "hello"), 0);
	let_time_pass();
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, hello, fh, 1, F_WRLCK, false), 0);
	cr_assert_gt(fc_getattr(&c, hello, &(struct fuse_attr){0}), 0);
}
