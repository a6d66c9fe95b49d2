/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "devices/fs/fs_priv.h"
#include "tests/unit/devices/fs/fuse_client.h"

enum {
	LIMIT = 600,
	BUDGET = (LIMIT - 256) /
		 2, /* FS_SPARE_FDS are left to the process, half to a second server */
	FILES = 1500, /* also more than the smallest hash table has chains: FS_HASH_BITS */
};

static struct fuse_client c;
static uint64_t rw, nodes[FILES];

static void setup(void)
{
	const struct rlimit lim = {.rlim_cur = LIMIT, .rlim_max = LIMIT};
	char name[32];

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	fc_init(&c);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "tree/n%d", i);
		fc_host_write(&c, name, name, 0644);
	}
	rw = fc_walk(&c, "rw");
}

static void teardown(void)
{
	fc_fini(&c);
}

TestSuite(fs_descriptors, .init = setup, .fini = teardown);

static uint64_t look_up(int i, const char *format)
{
	struct fuse_entry_out e;
	char name[32];

	snprintf(name, sizeof(name), format, i);
	cr_assert_gt(fc_lookup(&c, rw, name, &e), 0, "%s", name);
	return e.nodeid;
}

static void look_all_up(void)
{
	for (int i = 0; i < FILES; i++)
		nodes[i] = look_up(i, "n%d");
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < LIMIT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(fs_descriptors, more_files_are_known_than_can_be_open)
{
	struct fuse_attr a;
	struct stat st;
	uint64_t fh;
	char text[32] = "", name[32];

	look_all_up();
	cr_assert_leq(open_fds(), BUDGET + 32);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "tree/n%d", i);
		st = fc_host_stat(&c, name);
		cr_assert_gt(fc_getattr(&c, nodes[i], &a), 0, "%s", name);
		cr_assert_eq(a.ino, st.st_ino);
		cr_assert_gt(fc_open(&c, nodes[i], O_RDONLY, &fh), 0);
		cr_assert_eq(fc_read(&c, nodes[i], fh, 0, text, sizeof(text)), (int)strlen(name));
		cr_assert_eq(memcmp(text, name, strlen(name)), 0);
		cr_assert_eq(fc_release(&c, nodes[i], fh), 0);
	}
	cr_assert_leq(open_fds(), BUDGET + 32);
	/* They keep their numbers. */
	for (int i = 0; i < FILES; i++)
		cr_assert_eq(look_up(i, "n%d"), nodes[i]);
	for (int i = 0; i < FILES; i++)
		fc_forget(&c, nodes[i], 2);
	cr_assert_eq(fc_getattr(&c, nodes[5], &a), -ESTALE);
}

Test(fs_descriptors, a_file_replaced_meanwhile_is_stale)
{
	struct fuse_attr a;
	uint64_t again;

	nodes[0] = look_up(0, "n%d");
	for (int i = 1; i < FILES; i++)
		nodes[i] = look_up(i, "n%d");
	/* By another file, by a link out of the export, by nothing. */
	fc_host_write(&c, "tree/other", "other", 0644);
	cr_assert_eq(renameat(c.dirfd, "tree/other", c.dirfd, "tree/n0"), 0);
	cr_assert_eq(unlinkat(c.dirfd, "tree/n1", 0), 0);
	cr_assert_eq(symlinkat("../outside", c.dirfd, "tree/n1"), 0);
	cr_assert_eq(unlinkat(c.dirfd, "tree/n2", 0), 0);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(fc_getattr(&c, nodes[i], &a), -ESTALE, "%d", i);
	/* The guest looks again and finds what is there. */
	again = look_up(0, "n%d");
	cr_assert_neq(again, nodes[0]);
	cr_assert_gt(fc_getattr(&c, again, &a), 0);
	cr_assert_eq(a.size, 5);
	for (int i = 0; i < 3; i++)
		fc_forget(&c, nodes[i], 1);
	cr_assert_eq(fc_getattr(&c, nodes[0], &a), -ESTALE);
}

Test(fs_descriptors, a_tree_below_a_directory_is_found_again)
{
	struct fuse_entry_out e;
	uint64_t deep, outer;

	cr_assert_gt(fc_mkdir(&c, fc_walk(&c, "rw/sub"), "inner", 0755), 0);
	fc_host_write(&c, "tree/sub/inner/leaf", "leaf", 0644);
	outer = fc_walk(&c, "rw/sub");
	deep = fc_walk(&c, "rw/sub/inner/leaf");
	look_all_up();
	/* The guest moves the top of it and looks at the new name, as its kernel does. */
	cr_assert_eq(fc_rename(&c, rw, "sub", rw, "bus", 0), 0);
	look_all_up();
	cr_assert_gt(fc_lookup(&c, rw, "bus", &e), 0);
	cr_assert_eq(e.nodeid, outer);
	look_all_up();
	cr_assert_gt(fc_getattr(&c, deep, &e.attr), 0);
	cr_assert_eq(e.attr.size, 4);
}

Test(fs_descriptors, listings_with_lookups_need_no_more)
{
	struct fuse_entry_out e;

	for (int round = 0; round < 3; round++)
		cr_assert(fc_listed(&c, rw, "n599", true, &e));
	cr_assert_neq(e.nodeid, 0);
	cr_assert_leq(open_fds(), BUDGET + 32);
}

Test(fs_descriptors, open_files_have_a_limit)
{
	uint64_t node = fc_walk(&c, "rw/n0"), fh, last = 0;
	int i, r = 1;

	look_all_up();
	for (i = 0; i < FILES && r > 0; i++) {
		r = fc_open(&c, node, O_RDWR, &fh);
		if (r > 0)
			last = fh;
	}
	/* Nearly all: lookups give their descriptors up. */
	cr_assert_eq(r, -ENFILE);
	cr_assert_gt(i, BUDGET - 16);
	cr_assert_eq(fc_release(&c, node, last), 0);
	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
	/* The slot is used again under another number. */
	cr_assert_eq((uint32_t)fh, (uint32_t)last);
	cr_assert_neq(fh, last);
	cr_assert_eq(fc_create(&c, rw, "late", O_RDWR, 0644, &node, &fh), -ENFILE);
}

Test(fs_descriptors, a_small_guest_knows_few_files)
{
	struct fs_figures f;
	uint64_t fh;

	fs_server_limit(c.server, 64 << 20);
	cr_assert_eq(c.server->max_nodes, 65536);
	fs_server_limit(c.server, 1 << 20);
	cr_assert_eq(c.server->max_nodes, 16384);
	fs_server_limit(c.server, 1ull << 40);
	cr_assert_eq(c.server->max_nodes, 524288);
	cr_assert_leq(fs_fd_budget(), 16384);
	/* And what it uses is seen from outside. */
	cr_assert_gt(fc_open(&c, fc_walk(&c, "rw/hello"), O_RDONLY, &fh), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, fc_walk(&c, "rw/hello"), fh, 1, F_RDLCK, false), 0);
	fs_server_figures(c.server, &f);
	cr_assert_eq(f.nodes, c.server->n_nodes);
	cr_assert_eq(f.descriptors, c.server->n_fds);
	cr_assert_eq(f.locked_ranges, 1);
	cr_assert_eq(f.max_nodes, 524288);
	cr_assert(f.max_descriptors == c.server->max_fds && f.max_locked_ranges == 16384);
	/* Also when it is gone without a request. */
	cr_assert_eq(fs_server_remove_export(c.server, "rw"), 0);
	fs_server_figures(c.server, &f);
	cr_assert_eq(f.nodes, c.server->n_nodes);
	cr_assert_eq(f.locked_ranges, 0);
	fs_server_reset(c.server);
	fs_server_figures(c.server, &f);
	cr_assert(f.nodes == c.server->n_nodes && f.descriptors == c.server->n_fds);
}
