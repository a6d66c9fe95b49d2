/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "tests/unit/fs/fuse_client.h"

static struct fuse_client c;

/* 344 descriptors for the server: few enough to use up. */
static void setup(void)
{
	const struct rlimit lim = {.rlim_cur = 600, .rlim_max = 600};
	char name[32];

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
	fc_init(&c);
	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "tree/n%d", i);
		fc_host_write(&c, name, "", 0644);
	}
}

static void teardown(void)
{
	fc_fini(&c);
}

TestSuite(fs_inode, .init = setup, .fini = teardown);

Test(fs_inode, lookups_end_before_descriptors_do)
{
	uint64_t rw = fc_walk(&c, "rw"), first = 0, fh;
	struct fuse_entry_out e;
	char name[32];
	int i, r = 1;

	for (i = 0; i < 600 && r > 0; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		r = fc_lookup(&c, rw, name, &e);
		if (i == 0)
			first = e.nodeid;
	}
	cr_assert_eq(r, -ENFILE);
	cr_assert_gt(i, 250);
	/* The process still has descriptors, and so have files to be opened. */
	cr_assert_gt(fc_open(&c, first, O_RDWR, &fh), 0);
	/* A known file needs no new node. */
	cr_assert_gt(fc_lookup(&c, rw, "n1", &e), 0);
	/* A listing goes on without what does not fit. */
	cr_assert(fc_listed(&c, rw, "n599", true, &e));
	cr_assert_eq(e.nodeid, 0);
	/* What is forgotten makes room. */
	fc_forget(&c, e.nodeid, 1);
	fc_forget(&c, fc_walk(&c, "rw/n2"), 10);
	cr_assert_gt(fc_lookup(&c, rw, "n599", &e), 0);
}

Test(fs_inode, handles_end_with_an_error)
{
	uint64_t node = fc_walk(&c, "rw/n0"), fh, last = 0;
	int i, r = 1;

	for (i = 0; i < 600 && r > 0; i++) {
		r = fc_open(&c, node, O_RDWR, &fh);
		if (r > 0)
			last = fh;
	}
	cr_assert_eq(r, -ENFILE);
	cr_assert_gt(i, 250);
	cr_assert_eq(fc_release(&c, node, last), 0);
	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
	/* The slot is used again under another number. */
	cr_assert_eq((uint32_t)fh, (uint32_t)last);
	cr_assert_neq(fh, last);
	/* A file that could not be handed out is not left behind as a lookup. */
	cr_assert_eq(fc_create(&c, fc_walk(&c, "rw"), "late", O_RDWR, 0644, &node, &fh), -ENFILE);
}
