/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/kernel_fs.h"
#include "devices/fs/fs_priv.h"
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

TestSuite(fs_server, .init = setup, .fini = teardown);

static int add(const char *name, const char *path, int flags)
{
	const struct fs_export_config cfg = {.name = name,
					     .fd = openat(c.dirfd, path, flags | O_CLOEXEC)};

	return fs_server_add_export(c.server, &cfg);
}

/* The descriptors of this process. */
static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(fs_server, offers_what_it_serves)
{
	struct fuse_init_out out;

	cr_assert_eq(fc_init_session(&c, &out), sizeof(out));
	cr_assert_eq(out.major, 7);
	cr_assert(out.flags & FUSE_DO_READDIRPLUS);
	cr_assert(out.flags & FUSE_POSIX_LOCKS);
	cr_assert_not(out.flags & (FUSE_WRITEBACK_CACHE | FUSE_POSIX_ACL | FUSE_EXPORT_SUPPORT |
				   FUSE_NO_OPEN_SUPPORT | FUSE_SUBMOUNTS));
	cr_assert_eq(out.flags2, 0);
	/* A request of max_pages and its headers fit the ring. */
	cr_assert_leq(out.max_pages + 4u, VIRTQ_MAX_SEGS);
	cr_assert_eq(out.max_write, out.max_pages * 4096u);
}

Test(fs_server, speaks_major_version_seven)
{
	struct fuse_init_in in = {.major = 6, .minor = 38};
	struct fuse_init_out out;

	cr_assert_eq(fc_call(&c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
		     -EPROTO);
	in.major = 7;
	in.minor = 5;
	cr_assert_eq(fc_call(&c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
		     -EPROTO);
	/* A later driver learns our version and asks again. */
	in.major = 8;
	cr_assert_gt(fc_call(&c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)), 0);
	cr_assert_eq(out.major, 7);
	/* The structure as it was before INIT_EXT. */
	in.major = 7;
	in.minor = 31;
	cr_assert_gt(fc_call(&c, FUSE_INIT, 0, &in, 16, NULL, 0, &out, sizeof(out)), 0);
	cr_assert_eq(fc_call(&c, FUSE_INIT, 0, &in, 12, NULL, 0, &out, sizeof(out)), -EINVAL);
}

Test(fs_server, nothing_works_before_init)
{
	struct fuse_attr a;

	fake_guest_reset(c.g);
	fake_guest_restart(c.g, 0);
	cr_assert_eq(fc_getattr(&c, FUSE_ROOT_ID, &a), -EPROTO);
	cr_assert_gt(fc_init_session(&c, &(struct fuse_init_out){0}), 0);
	cr_assert_gt(fc_getattr(&c, FUSE_ROOT_ID, &a), 0);
}

Test(fs_server, unknown_operations_say_so)
{
	static const uint32_t opcodes[] = {
		0,
		FUSE_ACCESS,
		FUSE_IOCTL,
		FUSE_POLL,
		FUSE_BMAP,
		FUSE_SYNCFS,
		FUSE_SETUPMAPPING,
		FUSE_REMOVEMAPPING,
		FUSE_NOTIFY_REPLY,
		7,
		19,
		52,
		CUSE_INIT,
		UINT32_MAX,
	};

	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++)
		cr_assert_eq(fc_call(&c, opcodes[i], FUSE_ROOT_ID, NULL, 0, NULL, 0, NULL, 0),
			     -ENOSYS, "%u", opcodes[i]);
}

Test(fs_server, arguments_or_room_too_short_do_nothing)
{
	uint64_t rw = fc_walk(&c, "rw");
	struct fuse_mkdir_in in = {.mode = 0755};
	uint8_t out[4096];

	for (uint32_t op = 0; op < 60; op++) {
		int r;

		if (op == FUSE_FORGET || op == FUSE_BATCH_FORGET || op == FUSE_INTERRUPT ||
		    op == FUSE_DESTROY)
			continue;
		r = fc_call(&c, op, rw, NULL, 0, NULL, 0, out, sizeof(out));
		cr_assert(r < 0 || op == FUSE_STATFS, "%u: %d", op, r);
		r = fc_call(&c, op, rw, NULL, 0, "x", 1, NULL, 0);
		cr_assert(r <= 0, "%u: %d", op, r);
	}
	/* No room for the answer: the directory is not made. */
	cr_assert_eq(fc_call(&c, FUSE_MKDIR, rw, &in, sizeof(in), "d", 2, out, 100), -EINVAL);
	cr_assert_eq(fc_host_stat(&c, "tree/d").st_nlink, 0);
}

Test(fs_server, arguments_have_a_limit)
{
	size_t len = 200 << 10;
	char *tail = calloc(1, len);

	cr_assert_eq(fc_call(&c, FUSE_UNLINK, fc_walk(&c, "rw"), NULL, 0, tail, len, NULL, 0),
		     -E2BIG);
	free(tail);
}

Test(fs_server, exports_are_checked)
{
	char name[NAME_MAX + 2];
	unsigned int before = count_fds();
	int fds = 0;

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	cr_assert_eq(add("rw", "tree", O_PATH), -EEXIST);
	cr_assert_eq(add("", "tree", O_PATH), -ENOENT);
	cr_assert_eq(add("..", "tree", O_PATH), -EINVAL);
	cr_assert_eq(add("a/b", "tree", O_PATH), -EINVAL);
	cr_assert_eq(add(name, "tree", O_PATH), -ENAMETOOLONG);
	cr_assert_eq(add("fifo", "tree/fifo", O_PATH), -EINVAL);
	cr_assert_eq(add("link", "tree/escape", O_PATH | O_NOFOLLOW), -EINVAL);
	/* Each took its descriptor over. */
	cr_assert_eq(count_fds(), before);
	while (fds < 1000) {
		int r;

		snprintf(name, sizeof(name), "e%d", fds);
		r = add(name, "tree", O_PATH);
		if (r < 0) {
			cr_assert_eq(r, -ENOSPC);
			break;
		}
		fds++;
	}
	cr_assert_eq(fds, 128 - 3);
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "e100", true, NULL));
}

Test(fs_server, destroy_and_reset_give_everything_back)
{
	unsigned int before = count_fds();
	uint64_t fh;

	for (int round = 0; round < 2; round++) {
		cr_assert_gt(fc_open(&c, fc_walk(&c, "rw/hello"), O_RDWR, &fh), 0);
		cr_assert_gt(fc_opendir(&c, fc_walk(&c, "rw/sub"), &fh), 0);
		cr_assert_gt(fc_opendir(&c, FUSE_ROOT_ID, &fh), 0);
		cr_assert_eq(fc_lock(&c, FUSE_SETLK, fc_walk(&c, "rw/hello"), 1, 7, F_RDLCK, false),
			     round ? -EBADF : 0);
		cr_assert_gt(count_fds(), before);
		if (round == 0) {
			cr_assert_eq(fc_call(&c, FUSE_DESTROY, 0, NULL, 0, NULL, 0, NULL, 0), 0);
		} else {
			fake_guest_reset(c.g);
			fake_guest_restart(c.g, 0);
		}
		cr_assert_eq(count_fds(), before);
		cr_assert_gt(fc_init_session(&c, &(struct fuse_init_out){0}), 0);
	}
}

Test(fs_server, half_built_and_null_are_freed)
{
	struct fs_server *s;

	fs_server_free(NULL);
	cr_assert_eq(fs_server_new(&s), 0);
	fs_server_free(s);
}

/* A guest that has of the export all there is to have, and keeps its numbers. */
static void hold_everything(struct fuse_client *cl, const char *name, uint64_t numbers[4])
{
	struct fuse_entry_out e;

	cr_assert_gt(fc_lookup(cl, FUSE_ROOT_ID, name, &e), 0);
	numbers[0] = e.nodeid;
	cr_assert_gt(fc_lookup(cl, numbers[0], "hello", &e), 0);
	numbers[1] = e.nodeid;
	cr_assert_gt(fc_open(cl, numbers[1], O_RDONLY, &numbers[2]), 0);
	cr_assert_gt(fc_opendir(cl, numbers[0], &numbers[3]), 0);
	cr_assert_eq(fc_lock(cl, FUSE_SETLK, numbers[1], numbers[2], 7, F_RDLCK, false), 0);
	cr_assert_eq(fc_lock(cl, FUSE_SETLK, numbers[1], numbers[2], 8, F_RDLCK, true), 0);
}

static void expect_nothing_of(struct fuse_client *cl, const uint64_t numbers[4])
{
	struct fuse_entry_out e;
	struct fuse_attr a;
	uint64_t fh, other = fc_walk(cl, "rw");
	char buf[512];

	cr_assert_eq(fc_getattr(cl, numbers[0], &a), -ESTALE);
	cr_assert_eq(fc_getattr(cl, numbers[1], &a), -ESTALE);
	cr_assert_eq(fc_lookup(cl, numbers[0], "hello", &e), -ESTALE);
	cr_assert_eq(fc_open(cl, numbers[1], O_RDONLY, &fh), -ESTALE);
	cr_assert_eq(fc_read(cl, numbers[1], numbers[2], 0, buf, sizeof(buf)), -ESTALE);
	cr_assert_eq(fc_readdir(cl, numbers[0], numbers[3], 0, buf, sizeof(buf), false), -ESTALE);
	cr_assert_eq(fc_write(cl, numbers[1], numbers[2], 0, "x", 1, 0), -ESTALE);
	cr_assert_eq(fc_mkdir(cl, numbers[0], "made", 0755), -ESTALE);
	cr_assert_eq(fc_release(cl, numbers[1], numbers[2]), -ESTALE);
	/* As the second node of a request, and with a handle under another node's number. */
	cr_assert_eq(fc_rename(cl, other, "hello", numbers[0], "stolen", 0), -ESTALE);
	cr_assert_eq(fc_link(cl, numbers[1], other, "linked", &e), -ESTALE);
	cr_assert_eq(fc_read(cl, fc_walk(cl, "rw/hello"), numbers[2], 0, buf, sizeof(buf)), -EBADF);
	fc_forget(cl, numbers[0], 1);
	fc_forget(cl, numbers[1], 1);
}

Test(fs_server, an_export_is_taken_back_whatever_the_guest_has_of_it)
{
	unsigned int fds = count_fds();
	uint64_t numbers[4];
	char text[64];

	fc_export(&c, "map7", "tree", true, FS_CACHE_SHORT);
	hold_everything(&c, "map7", numbers);
	cr_assert_gt(count_fds(), fds + 4);
	cr_assert_eq(fs_server_remove_export(c.server, "map7"), 0);
	cr_assert_eq(count_fds(), fds);
	expect_nothing_of(&c, numbers);
	cr_assert_eq(fs_server_remove_export(c.server, "map7"), -ENOENT);
	cr_assert_eq(fs_server_remove_export(c.server, ""), -ENOENT);
	cr_assert_eq(fc_lookup(&c, FUSE_ROOT_ID, "map7", &(struct fuse_entry_out){0}), -ENOENT);
	cr_assert_not(fc_listed(&c, FUSE_ROOT_ID, "map7", false, NULL));
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "rw", true, NULL));
	cr_assert_eq(fc_host_stat(&c, "tree/made").st_nlink, 0);
	cr_assert_eq(fc_host_read(&c, "tree/hello", text, sizeof(text)), 13);
	/* The slot's next owner is not reached by the old numbers. */
	fc_export(&c, "map8", "tree", true, FS_CACHE_SHORT);
	(void)fc_walk(&c, "map8/hello");
	expect_nothing_of(&c, numbers);
}

Test(fs_server, a_single_file_is_taken_back)
{
	struct fuse_attr a;
	uint64_t dir, file, fh;
	unsigned int fds = count_fds();

	fc_export(&c, "map7", "tree/hello", false, FS_CACHE_SHORT);
	dir = fc_walk(&c, "map7");
	file = fc_walk(&c, "map7/file");
	cr_assert_gt(fc_open(&c, file, O_RDONLY, &fh), 0);
	cr_assert_eq(fs_server_remove_export(c.server, "map7"), 0);
	cr_assert_eq(fc_getattr(&c, dir, &a), -ESTALE);
	cr_assert_eq(fc_getattr(&c, file, &a), -ESTALE);
	cr_assert_eq(count_fds(), fds);
}

Test(fs_server, who_waits_for_a_lock_is_answered_when_the_export_goes)
{
	uint64_t node, fh;

	fc_export(&c, "map7", "tree", true, FS_CACHE_SHORT);
	node = fc_walk(&c, "map7/hello");
	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, node, fh, 1, F_WRLCK, false), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 2, F_WRLCK, false), -EINPROGRESS);
	cr_assert_eq(fs_server_remove_export(c.server, "map7"), 0);
	/* By the timer that tries again, or by the next request. */
	(void)fc_walk(&c, "rw");
	cr_assert_eq(fc_lock_answer(&c), -ESTALE);
}

Test(fs_server, exports_come_and_go_without_end)
{
	unsigned int fds = count_fds();
	uint64_t first = 0, numbers[4];
	char name[16];

	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "map%u", i);
		fc_export(&c, name, i % 2 ? "tree" : "tree/sub", i % 3 == 0, FS_CACHE_SHORT);
		if (i % 2)
			hold_everything(&c, name, numbers);
		else
			(void)fc_walk(&c, name);
		/* The low half is the slot: the table does not grow. */
		if (i == 9)
			first = fc_walk(&c, name) & 0xffffffff;
		cr_assert(i < 9 || (fc_walk(&c, name) & 0xffffffff) <= first + 16);
		cr_assert_eq(fs_server_remove_export(c.server, name), 0);
	}
	cr_assert_eq(count_fds(), fds);
	expect_nothing_of(&c, numbers);
	/* As many at once as there ever could be. */
	for (unsigned int i = 3; i < 128; i++) {
		snprintf(name, sizeof(name), "x%u", i);
		fc_export(&c, name, "tree", false, FS_CACHE_SHORT);
	}
	cr_assert_eq(add("more", "tree", O_PATH), -ENOSPC);
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "x127", false, NULL));
	cr_assert_eq(fs_server_remove_export(c.server, "x9"), 0);
	cr_assert_eq(add("more", "tree", O_PATH), 0);
	cr_assert(fc_listed(&c, FUSE_ROOT_ID, "more", true, NULL));
}

/* What makes Linux ask no more: ENOSYS. Directories are listed without having been opened. */
Test(fs_server, a_frozen_one_has_no_attributes_and_no_open_directories)
{
	const char name[] = "trusted.overlay.metacopy";
	struct fuse_init_out out;
	struct fuse_getxattr_in in = {.size = 64};
	struct fuse_fsync_in sync = {.fsync_flags = 0};
	uint64_t dir = fc_walk(&c, "base/sub"), file = fc_walk(&c, "base/hello"), fh;
	uint8_t buf[1024];

	cr_assert_gt(fc_opendir(&c, dir, &fh), 0);
	fs_server_freeze(c.server);
	cr_assert_eq(fc_getxattr(&c, file, name, (char *)buf, sizeof(buf)), -ENOSYS);
	cr_assert_eq(fc_setxattr(&c, file, "user.a", "value"), -ENOSYS);
	cr_assert_eq(fc_call(&c, FUSE_LISTXATTR, file, &in, sizeof(in), NULL, 0, buf, sizeof(buf)),
		     -ENOSYS);
	cr_assert_eq(fc_call(&c, FUSE_REMOVEXATTR, file, NULL, 0, "user.a", 7, NULL, 0), -ENOSYS);
	cr_assert_eq(fc_opendir(&c, dir, &fh), -ENOSYS);
	cr_assert_eq(fc_call(&c, FUSE_FSYNCDIR, dir, &sync, sizeof(sync), NULL, 0, NULL, 0),
		     -ENOSYS);
	/* Whatever the handle. */
	for (fh = 0; fh < 3; fh++) {
		cr_assert_gt(fc_readdir(&c, dir, fh, 0, buf, sizeof(buf), fh == 1), 0);
		cr_assert_gt(fc_readdir(&c, FUSE_ROOT_ID, fh, 0, buf, sizeof(buf), true), 0);
	}
	cr_assert_eq(fc_readdir(&c, file, 0, 0, buf, sizeof(buf), false), -ENOTDIR);
	cr_assert_gt(fc_init_session(&c, &out), 0);
	cr_assert(out.flags & FUSE_DO_READDIRPLUS);
	cr_assert_not(out.flags & FUSE_READDIRPLUS_AUTO);
}

/* A guest that looked much up once cannot have every INIT walk over it again. */
Test(fs_server, tables_shrink_when_the_guest_starts_over)
{
	struct fuse_init_out out;
	const uint32_t base = c.server->top_node;
	uint64_t fh, old = fc_walk(&c, "rw/hello");
	char name[32];

	for (unsigned int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "tree/n%u", i);
		fc_host_write(&c, name, "", 0644);
		snprintf(name, sizeof(name), "rw/n%u", i);
		cr_assert_gt(fc_open(&c, fc_walk(&c, name), O_RDONLY, &fh), 0);
	}
	cr_assert_geq(c.server->top_node, base + 500);
	cr_assert_gt(fc_init_session(&c, &out), 0);
	cr_assert_leq(c.server->top_node, base);
	cr_assert_eq(c.server->top_handle, 1);
	/* A number of before is not current, whoever has the slot now. */
	for (unsigned int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "rw/n%u", i);
		cr_assert_neq(fc_walk(&c, name), old);
	}
	cr_assert_eq(fc_getattr(&c, old, &(struct fuse_attr){0}), -ESTALE);
}

Test(fs_server, a_kernels_file_system_is_refused)
{
	static const char *const paths[] = {"/proc/self", "/proc/self/status", "/sys", "/dev/pts",
					    "/sys/kernel"};
	char name[16];

	for (unsigned int i = 0; i < ARRAY_SIZE(paths); i++) {
		struct fs_export_config cfg = {.name = name,
					       .fd = open(paths[i], O_PATH | O_CLOEXEC)};

		snprintf(name, sizeof(name), "k%u", i);
		/* Not every place has all of them mounted. */
		if (cfg.fd < 0 || !kernel_fs_name(cfg.fd)) {
			cr_assert(i >= 2, "%s", paths[i]);
			continue;
		}
		cr_assert_eq(fs_server_add_export(c.server, &cfg), -EOPNOTSUPP, "%s", paths[i]);
	}
}
