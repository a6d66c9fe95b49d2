/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/fs/fuse_client.h"

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
