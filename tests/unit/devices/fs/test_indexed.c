/* SPDX-License-Identifier: MIT */
/* An export behind an index: what is answered from it, and a host that changes under it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/state.h"
#include "devices/fs/dax.h"
#include "devices/fs/fs_priv.h"
#include "image/base/index_writer.h"
#include "tests/unit/devices/fs/fuse_client.h"

enum { SLOT = 2 << 20, SLOTS = 4 };

static struct fuse_client c;
static uint8_t *file;
static struct index *ix;

static void add(struct index_writer *w, uint32_t dir, const char *name, enum index_kind kind,
		const char *path, const char *text)
{
	struct stat st = {.st_mode = S_IFREG | 0644};
	struct index_entry e = {.kind = (uint8_t)kind, .uid = 12};

	if (path)
		st = fc_host_stat(&c, path);
	e.mode = (uint16_t)(kind == INDEX_LINK ? S_IFLNK | 0777 : st.st_mode);
	e.size = (uint64_t)st.st_size;
	e.where = kind == INDEX_SHARED ? st.st_ino : 0;
	e.mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	cr_assert_eq(index_writer_add(w, dir, name, &e, text, text ? strlen(text) : 0, NULL), 0);
}

/* A pristine file as large as one that is mapped. */
static void add_kept_large(struct index_writer *w, uint32_t dir)
{
	const struct index_entry e = {.kind = INDEX_PRISTINE, .mode = S_IFREG | 0644};
	char *bytes = calloc(1, SLOT);

	cr_assert_not_null(bytes);
	cr_assert_eq(index_writer_add(w, dir, "kept", &e, bytes, SLOT, NULL), 0);
	free(bytes);
}

static int host_resize(const char *path, off_t len)
{
	int fd = openat(c.dirfd, path, O_WRONLY | O_CLOEXEC);
	int r = ftruncate(fd, len);

	close(fd);
	return r;
}

/* tree/sub and its files, as "sub" of a tree whose root is tree. */
static void setup(void)
{
	const struct index_header head = {.built = 0};
	struct index_entry dir = {.kind = INDEX_DIR, .mode = S_IFDIR | 0755, .mtime = -1};
	struct fs_export_config cfg = {.name = "ix", .cache = FS_CACHE_LONG};
	struct index_writer *w = NULL;
	uint32_t sub, in;
	size_t len;

	fc_init_bare(&c);
	fc_host_write(&c, "tree/sub/shared", "of the host", 04755);
	fc_host_write(&c, "tree/sub/large", "large file", 0644);
	cr_assert_eq(host_resize("tree/sub/large", SLOT + 4096), 0);
	fc_host_write(&c, "tree/sub/left", "secret", 0644);
	mkdirat(c.dirfd, "tree/sub/in", 0755);
	fc_host_write(&c, "tree/sub/in/file", "inner", 0644);
	cr_assert_eq(index_writer_new(&w), 0);
	cr_assert_eq(index_writer_add(w, 0, "sub", &dir, NULL, 0, &sub), 0);
	add(w, sub, "shared", INDEX_SHARED, "tree/sub/shared", NULL);
	add(w, sub, "large", INDEX_SHARED, "tree/sub/large", NULL);
	add_kept_large(w, sub);
	add(w, sub, "left", INDEX_LEFT_OUT, "tree/sub/left", NULL);
	add(w, sub, "pristine", INDEX_PRISTINE, NULL, "of the index");
	add(w, sub, "link", INDEX_LINK, NULL, "../outside");
	cr_assert_eq(index_writer_add(w, sub, "in", &dir, NULL, 0, &in), 0);
	add(w, in, "file", INDEX_SHARED, "tree/sub/in/file", NULL);
	cr_assert_eq(index_writer_finish(w, &head, &file, &len), 0);
	index_writer_free(w);
	cr_assert_eq(index_from_memory(file, len, &ix), 0);
	fs_server_freeze(c.server);
	cr_assert_eq(fs_server_add_window(c.server, (uint64_t)SLOTS * SLOT), 0);
	cfg.index = ix;
	cfg.fd = openat(c.dirfd, "tree", O_PATH | O_CLOEXEC);
	cr_assert_eq(fs_server_add_export(c.server, &cfg), 0);
	fc_export(&c, "ro", "tree", false, FS_CACHE_LONG);
	fc_start(&c);
}

static void teardown(void)
{
	fc_fini(&c);
	index_free(ix);
	free(file);
}

TestSuite(fs_indexed, .init = setup, .fini = teardown);

/* As Linux reads once it knows that nothing is to be opened: without a handle. */
static int read_file(const char *path, char *buf, size_t len)
{
	memset(buf, 0, len);
	return fc_read(&c, fc_walk(&c, path), 0, 0, buf, len - 1);
}

Test(fs_indexed, attributes_and_names_are_the_indexs)
{
	struct fuse_entry_out e;
	struct fuse_attr a;
	char buf[64] = "";
	uint64_t sub = fc_walk(&c, "ix/sub");

	cr_assert_gt(fc_lookup(&c, sub, "shared", &e), 0);
	cr_expect_eq(e.attr.mode, S_IFREG | 04755);
	cr_expect_eq(e.attr.uid, 12);
	cr_expect_eq(e.attr.size, 11);
	cr_expect_eq(e.entry_valid, 3600);
	cr_expect_eq(e.attr_valid, 3600);
	cr_assert_gt(fc_getattr(&c, e.nodeid, &a), 0);
	cr_expect_eq(a.ino, e.attr.ino);
	/* Before 1970. */
	cr_assert_gt(fc_getattr(&c, sub, &a), 0);
	cr_expect_eq((int64_t)a.mtime, -1);
	cr_expect_eq(a.mtimensec, 999999999);
	cr_assert_gt(fc_readlink(&c, fc_walk(&c, "ix/sub/link"), buf, sizeof(buf)), 0);
	cr_expect(strncmp(buf, "../outside", 10) == 0);
	cr_expect_lt(fc_readlink(&c, sub, buf, sizeof(buf)), 0);
}

Test(fs_indexed, what_is_left_out_is_not_there)
{
	struct fuse_entry_out e;
	uint64_t sub = fc_walk(&c, "ix/sub");

	for (int plus = 0; plus < 2; plus++) {
		cr_expect(fc_listed(&c, sub, "shared", plus, NULL));
		cr_expect(fc_listed(&c, sub, "in", plus, NULL));
		cr_expect(fc_listed(&c, sub, "..", plus, NULL));
		cr_expect_not(fc_listed(&c, sub, "left", plus, NULL));
		cr_expect_not(fc_listed(&c, sub, "deep", plus, NULL), "not in the index");
		cr_expect_not(fc_listed(&c, fc_walk(&c, "ix"), "hello", plus, NULL));
	}
	cr_assert_gt(fc_lookup(&c, sub, "left", &e), 0, "an absence that may be remembered");
	cr_expect_eq(e.nodeid, 0);
	cr_assert_gt(fc_lookup(&c, sub, "deep", &e), 0);
	cr_expect_eq(e.nodeid, 0);
	cr_expect_lt(fc_lookup(&c, sub, "..", &e), 0);
	cr_expect_lt(fc_lookup(&c, sub, ".", &e), 0);
}

Test(fs_indexed, a_listing_looks_up)
{
	struct fuse_entry_out e;
	uint64_t sub = fc_walk(&c, "ix/sub"), node = fc_walk(&c, "ix/sub/in/file");
	struct fuse_attr a;

	cr_assert(fc_listed(&c, fc_walk(&c, "ix/sub/in"), "file", true, &e));
	cr_expect_eq(e.nodeid, node);
	fc_forget(&c, node, 1);
	cr_assert_gt(fc_getattr(&c, node, &a), 0);
	fc_forget(&c, node, 1);
	cr_assert_eq(fc_getattr(&c, node, &a), -ESTALE);
	cr_assert(fc_listed(&c, sub, "pristine", true, &e));
	cr_expect_eq(e.attr.size, 12);
}

Test(fs_indexed, bytes)
{
	uint64_t node = fc_walk(&c, "ix/sub/pristine");
	char buf[64];

	cr_assert_eq(read_file("ix/sub/shared", buf, sizeof(buf)), 11);
	cr_expect_str_eq(buf, "of the host");
	cr_assert_eq(read_file("ix/sub/in/file", buf, sizeof(buf)), 5);
	cr_assert_eq(read_file("ix/sub/pristine", buf, sizeof(buf)), 12);
	cr_expect_str_eq(buf, "of the index");
	cr_expect_eq(fc_read(&c, node, 0, 7, buf, 3), 3);
	cr_expect_arr_eq(buf, "ind", 3);
	/* Whatever the handle. */
	cr_expect_eq(fc_read(&c, node, 99, 12, buf, 3), 0);
	cr_expect_eq(fc_read(&c, node, 0, 1 << 30, buf, 3), 0);
	cr_expect_eq(fc_read(&c, fc_walk(&c, "ix/sub/shared"), 0, UINT64_MAX, buf, 3), -EINVAL);
	cr_expect_eq(fc_read(&c, fc_walk(&c, "ix/sub"), 0, 0, buf, 3), -EBADF);
	cr_expect_eq(fc_read(&c, fc_walk(&c, "ix/sub/link"), 0, 0, buf, 3), -EBADF);
	/* Of a tree without an index beside it: the kernel's modules. */
	cr_assert_eq(read_file("ro/sub/shared", buf, sizeof(buf)), 11);
	cr_expect_str_eq(buf, "of the host");
	cr_expect_eq(fc_read(&c, fc_walk(&c, "ro/sub"), 0, 0, buf, 3), -EBADF);
}

Test(fs_indexed, nothing_is_written)
{
	static const char *const paths[] = {"ix/sub/shared", "ix/sub/pristine"};
	uint64_t sub = fc_walk(&c, "ix/sub"), fh, node;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		cr_expect_eq(fc_open(&c, fc_walk(&c, paths[i]), O_RDWR, &fh), -ENOSYS);
		cr_expect_eq(fc_write(&c, fc_walk(&c, paths[i]), 0, 0, "x", 1, 0), -EROFS);
		cr_expect_eq(fc_chmod(&c, fc_walk(&c, paths[i]), 0600), -EROFS);
	}
	cr_expect_eq(fc_create(&c, sub, "new", O_RDWR, 0644, &node, &fh), -EROFS);
	cr_expect_eq(fc_unlink(&c, sub, "shared"), -EROFS);
	cr_expect_eq(fc_mkdir(&c, sub, "dir", 0755), -EROFS);
	cr_expect_lt(fc_setxattr(&c, fc_walk(&c, "ix/sub/shared"), "user.a", "b"), 0);
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Each way a host may change the file: the guest gets an error, never other bytes. */
static void expect_stale(const char *path)
{
	char buf[64];

	cr_expect_eq(read_file(path, buf, sizeof(buf)), -ESTALE, "%s", path);
}

Test(fs_indexed, another_file_under_the_name)
{
	uint64_t node = fc_walk(&c, "ix/sub/shared");
	char buf[64] = "";

	cr_assert_eq(fc_read(&c, node, 0, 0, buf, 2), 2);
	fc_host_write(&c, "tree/sub/new", "another one", 0644);
	cr_assert_eq(renameat(c.dirfd, "tree/sub/new", c.dirfd, "tree/sub/shared"), 0);
	/* What was read goes on, until the guest's kernel has forgotten the file. */
	cr_assert_eq(read_file("ix/sub/shared", buf, sizeof(buf)), 11);
	cr_expect_str_eq(buf, "of the host");
	fc_forget(&c, node, 100);
	expect_stale("ix/sub/shared");
}

Test(fs_indexed, a_file_written_to_after_it_was_read)
{
	char buf[64];

	cr_assert_eq(read_file("ix/sub/shared", buf, sizeof(buf)), 11);
	fc_host_write(&c, "tree/sub/shared", "of the host, and more", 0644);
	expect_stale("ix/sub/shared");
}

/* More files are read than may be open: one is closed, found again, and not if it is another. */
Test(fs_indexed, what_is_open_is_closed_when_descriptors_run_short)
{
	uint64_t node = fc_walk(&c, "ix/sub/shared");
	unsigned int fds = count_fds();
	char buf[64];

	cr_assert_eq(read_file("ix/sub/shared", buf, sizeof(buf)), 11);
	cr_expect_eq(count_fds(), fds + 1);
	cr_assert_eq(fc_read(&c, node, 0, 0, buf, 2), 2);
	cr_expect_eq(count_fds(), fds + 1);
	c.server->max_fds = c.server->n_fds;
	cr_assert_eq(read_file("ix/sub/in/file", buf, sizeof(buf)), 5);
	cr_expect_eq(count_fds(), fds + 1);
	cr_assert_eq(read_file("ix/sub/shared", buf, sizeof(buf)), 11);
	fc_host_write(&c, "tree/sub/new", "inner", 0644);
	cr_assert_eq(renameat(c.dirfd, "tree/sub/new", c.dirfd, "tree/sub/in/file"), 0);
	expect_stale("ix/sub/in/file");
	fake_guest_reset(c.g);
	cr_expect_eq(count_fds(), fds);
}

Test(fs_indexed, a_file_written_to)
{
	fc_host_write(&c, "tree/sub/shared", "of the host, and more", 0644);
	expect_stale("ix/sub/shared");
}

Test(fs_indexed, a_file_that_is_gone_or_closed_to_others)
{
	cr_assert_eq(fchmodat(c.dirfd, "tree/sub/shared", 0700, 0), 0);
	expect_stale("ix/sub/shared");
	cr_assert_eq(unlinkat(c.dirfd, "tree/sub/shared", 0), 0);
	expect_stale("ix/sub/shared");
}

Test(fs_indexed, links_in_the_way)
{
	cr_assert_eq(unlinkat(c.dirfd, "tree/sub/shared", 0), 0);
	cr_assert_eq(symlinkat("left", c.dirfd, "tree/sub/shared"), 0);
	expect_stale("ix/sub/shared");
	cr_assert_eq(renameat(c.dirfd, "tree/sub/in", c.dirfd, "tree/sub/moved"), 0);
	cr_assert_eq(symlinkat("moved", c.dirfd, "tree/sub/in"), 0);
	expect_stale("ix/sub/in/file");
}

Test(fs_indexed, numbers_are_no_other_exports)
{
	struct fuse_entry_out e, other;

	cr_assert_gt(fc_lookup(&c, fc_walk(&c, "ix/sub"), "shared", &e), 0);
	cr_assert_gt(fc_lookup(&c, fc_walk(&c, "ro"), "hello", &other), 0);
	cr_expect_eq(e.attr.ino >> 48, 0);
	cr_expect_neq(other.attr.ino >> 48, 0);
}

static int map(uint64_t node, uint64_t file_off, uint64_t window_off)
{
	const struct fuse_setupmapping_in in = {
		.fh = UINT64_MAX,
		.foffset = file_off,
		.len = SLOT,
		.flags = FUSE_SETUPMAPPING_FLAG_READ,
		.moffset = window_off,
	};

	return fc_call(&c, FUSE_SETUPMAPPING, node, &in, sizeof(in), NULL, 0, NULL, 0);
}

static const char *window(uint64_t off)
{
	return (const char *)c.g->vdev->shm + off;
}

Test(fs_indexed, large_shared_files_are_mapped)
{
	uint64_t large = fc_walk(&c, "ix/sub/large");
	unsigned int fds = count_fds();
	struct fuse_attr a;

	cr_assert_gt(fc_getattr(&c, large, &a), 0);
	cr_expect_eq(a.flags, FUSE_ATTR_DAX);
	cr_assert_gt(fc_getattr(&c, fc_walk(&c, "ix/sub/shared"), &a), 0);
	cr_expect_eq(a.flags, 0);
	cr_assert_eq(map(large, 0, 0), 0);
	cr_assert_eq(map(large, SLOT, SLOT), 0);
	cr_expect_str_eq(window(0), "large file");
	cr_expect_eq(*window(SLOT), 0);
	/* The file has one descriptor, also if it is mapped anew. */
	cr_assert_eq(map(large, 0, SLOT), 0);
	cr_expect_str_eq(window(SLOT), "large file");
	cr_expect_eq(count_fds(), fds + 1);
	fc_forget(&c, large, 100);
	cr_assert_eq(map(large, 0, 0), 0);
	cr_expect_str_eq(window(0), "large file");
	fake_guest_reset(c.g);
	cr_expect_eq(*window(0), 0);
	cr_expect_eq(count_fds(), fds);
}

Test(fs_indexed, nothing_else_is_mapped)
{
	static const char *const paths[] = {"ix/sub/kept", "ix/sub", "ix", "ix/sub/link"};
	unsigned int fds = count_fds();
	struct fuse_attr a;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		uint64_t node = fc_walk(&c, paths[i]);

		cr_expect_eq(map(node, 0, 0), -EINVAL, "%s", paths[i]);
		cr_assert_gt(fc_getattr(&c, node, &a), 0);
		cr_expect_eq(a.flags, 0, "%s", paths[i]);
	}
	cr_expect_eq(count_fds(), fds);
}

Test(fs_indexed, a_mapping_is_of_the_right_file_only)
{
	uint64_t large = fc_walk(&c, "ix/sub/large");
	struct fuse_init_out out;

	cr_assert_eq(map(large, 0, 0), 0);
	fc_host_write(&c, "tree/sub/new", "another one", 0644);
	cr_assert_eq(host_resize("tree/sub/new", SLOT + 4096), 0);
	cr_assert_eq(renameat(c.dirfd, "tree/sub/new", c.dirfd, "tree/sub/large"), 0);
	/* What was mapped goes on, until the guest's kernel has forgotten the file. */
	cr_assert_eq(map(large, 0, SLOT), 0);
	cr_expect_str_eq(window(SLOT), "large file");
	cr_assert_gt(fc_init_session(&c, &out), 0);
	large = fc_walk(&c, "ix/sub/large");
	cr_expect_eq(map(large, 0, 2 * SLOT), -ESTALE);
	cr_expect_eq(*window(2 * SLOT), 0);
}

Test(fs_indexed, a_mapped_file_made_shorter_becomes_stale)
{
	uint64_t large = fc_walk(&c, "ix/sub/large");
	struct fuse_attr a;

	cr_assert_eq(map(large, 0, 0), 0);
	cr_assert_not(fs_server_mend_window(c.server));
	cr_assert_eq(host_resize("tree/sub/large", 5), 0);
	cr_assert(fs_server_mend_window(c.server));
	cr_expect_eq(*window(0), 0);
	cr_expect_eq(fc_getattr(&c, large, &a), -ESTALE);
	expect_stale("ix/sub/large");
}

/* Longer than the server believes what it saw. */
static void let_time_pass(void)
{
	const struct timespec t = {.tv_nsec = 260 * 1000000L};

	cr_assert_eq(nanosleep(&t, NULL), 0);
}

static void close_dir(const char *path, mode_t mode)
{
	cr_assert_eq(fchmodat(c.dirfd, path, mode, 0), 0);
}

Test(fs_indexed, a_directory_closed_to_others)
{
	static const struct {
		const char *path;
		mode_t mode;
	} closed[] = {{"tree/sub/in", 0700},
		      {"tree/sub/in", 0754},
		      {"tree/sub/in", 0751},
		      {"tree/sub", 0750},
		      {"tree/sub", 0751}};
	char buf[32];

	for (unsigned int i = 0; i < ARRAY_SIZE(closed); i++) {
		close_dir(closed[i].path, closed[i].mode);
		cr_assert_eq(read_file("ix/sub/in/file", buf, sizeof(buf)), -ESTALE, "%u", i);
		close_dir(closed[i].path, 0755);
		let_time_pass();
	}
	cr_assert_eq(read_file("ix/sub/in/file", buf, sizeof(buf)), 5);
	/* Open by now. */
	close_dir("tree/sub", 0700);
	let_time_pass();
	cr_assert_eq(read_file("ix/sub/in/file", buf, sizeof(buf)), -ESTALE);
	/* A file that is replaced with its directory is not closed: what was begun goes on. */
	close_dir("tree/sub", 0755);
	cr_assert_eq(read_file("ix/sub/in/file", buf, sizeof(buf)), 5);
	cr_assert_eq(renameat(c.dirfd, "tree/sub/in", c.dirfd, "tree/sub/before"), 0);
	let_time_pass();
	cr_assert_eq(read_file("ix/sub/in/file", buf, sizeof(buf)), 5);
}

static uint64_t map_large(void)
{
	uint64_t node = fc_walk(&c, "ix/sub/large");
	const struct fuse_setupmapping_in in = {
		.fh = UINT64_MAX, .len = SLOT, .flags = FUSE_SETUPMAPPING_FLAG_READ};

	cr_assert_eq(fc_call(&c, FUSE_SETUPMAPPING, node, &in, sizeof(in), NULL, 0, NULL, 0), 0);
	cr_assert_str_eq(c.g->vdev->shm, "large file");
	return node;
}

static void check_gone(uint64_t node)
{
	let_time_pass();
	fs_server_look(c.server);
	cr_assert_eq(*(const char *)c.g->vdev->shm, 0);
	cr_assert_eq(fc_getattr(&c, node, &(struct fuse_attr){0}), -ESTALE);
}

Test(fs_indexed, a_mapped_file_that_is_closed_to_others_leaves_the_window)
{
	uint64_t node = map_large();

	fs_server_look(c.server);
	cr_assert_str_eq(c.g->vdev->shm, "large file");
	close_dir("tree/sub/large", 0600);
	check_gone(node);
}

Test(fs_indexed, a_mapped_file_whose_directory_is_closed_leaves_the_window)
{
	uint64_t node = map_large();

	close_dir("tree/sub", 0700);
	check_gone(node);
}

Test(fs_indexed, a_read_that_finds_a_file_changed_takes_it_out_of_the_window)
{
	uint64_t node = map_large();
	char buf[32];

	close_dir("tree/sub/large", 0640);
	cr_assert_eq(fc_read(&c, node, 0, 0, buf, sizeof(buf)), -ESTALE);
	cr_assert_eq(*(const char *)c.g->vdev->shm, 0);
	cr_assert_eq(fc_getattr(&c, node, &(struct fuse_attr){0}), -ESTALE);
}

Test(fs_indexed, reading_leaves_no_trace)
{
	const struct timespec old[2] = {{.tv_sec = 1}, {.tv_nsec = UTIME_OMIT}};
	struct stat st;
	char buf[32];

	cr_assert_eq(utimensat(c.dirfd, "tree/sub/shared", old, 0), 0);
	cr_assert_eq(utimensat(c.dirfd, "tree/hello", old, 0), 0);
	cr_assert_gt(read_file("ix/sub/shared", buf, sizeof(buf)), 0);
	cr_assert_gt(read_file("ro/hello", buf, sizeof(buf)), 0);
	st = fc_host_stat(&c, "tree/sub/shared");
	cr_assert_eq(st.st_atim.tv_sec, 1);
	st = fc_host_stat(&c, "tree/hello");
	cr_assert_eq(st.st_atim.tv_sec, 1);
}

/* ---- as a state (devices/fs/state.c) ---- */

/* A server made as that of setup() was, which no guest has used. */
static struct fs_server *another_server(void)
{
	struct fs_export_config base = {.name = "ix", .cache = FS_CACHE_LONG, .index = ix};
	struct fs_export_config modules = {.name = "ro", .cache = FS_CACHE_LONG};
	struct fs_server *s = NULL;

	base.fd = modules.fd = -1;
	cr_assert_eq(fs_server_new(&s), 0);
	fs_server_freeze(s);
	cr_assert_eq(fs_server_add_window(s, (uint64_t)SLOTS * SLOT), 0);
	base.fd = openat(c.dirfd, "tree", O_PATH | O_CLOEXEC);
	modules.fd = openat(c.dirfd, "tree", O_PATH | O_CLOEXEC);
	cr_assert_eq(fs_server_add_export(s, &base), 0);
	cr_assert_eq(fs_server_add_export(s, &modules), 0);
	return s;
}

static struct state_writer state_of(const struct fs_server *s)
{
	struct state_writer w = {.error = 0};

	fs_server_save(s, &w);
	return w;
}

static int load_state(struct fs_server *s, const struct state_writer *w, size_t len)
{
	struct state_reader r = {.next = (const uint8_t *)w->bytes.data, .left = len};

	fs_server_load(s, &r);
	return r.error;
}

Test(fs_indexed, what_the_guest_knows_comes_back_in_another_server)
{
	const uint64_t large = fc_walk(&c, "ix/sub/large"), inner = fc_walk(&c, "ix/sub/in/file");
	struct fs_server *s = another_server();
	struct state_writer first, second;
	struct fs_node *node;

	cr_assert_eq(map(large, 0, SLOT), 0);
	/* A number that was given back leaves a hole. */
	fs_node_forget(c.server, fs_node_find(c.server, fc_walk(&c, "ix/sub/pristine")),
		       UINT64_MAX);
	(void)fc_walk(&c, "ix/sub/link");
	first = state_of(c.server);
	cr_assert_eq(first.error, 0);
	cr_assert_eq(load_state(s, &first, first.bytes.len), 0);
	node = fs_node_find(s, inner);
	cr_assert_not_null(node);
	cr_assert_eq(node->kind, FS_INDEXED);
	cr_assert_eq(node->ino, fs_node_find(c.server, inner)->ino);
	cr_assert_eq(memcmp((const char *)fs_dax_host(s->dax) + SLOT, "large file", 10), 0);
	second = state_of(s);
	cr_assert_eq(second.bytes.len, first.bytes.len);
	cr_assert_eq(memcmp(second.bytes.data, first.bytes.data, first.bytes.len), 0);
	free(first.bytes.data);
	free(second.bytes.data);
	fs_server_free(s);
}

Test(fs_indexed, a_file_that_changed_since_is_no_state)
{
	const uint64_t large = fc_walk(&c, "ix/sub/large");
	struct fs_server *s = another_server();
	struct state_writer w;

	cr_assert_eq(map(large, 0, 0), 0);
	w = state_of(c.server);
	cr_assert_eq(host_resize("tree/sub/large", SLOT), 0);
	cr_assert_eq(load_state(s, &w, w.bytes.len), -ESTALE);
	free(w.bytes.data);
	fs_server_free(s);
}

Test(fs_indexed, a_file_of_the_hosts_own_is_not_written)
{
	struct state_writer w;

	(void)fc_walk(&c, "ro/hello");
	w = state_of(c.server);
	cr_assert_eq(w.error, -EBUSY);
	free(w.bytes.data);
}

Test(fs_indexed, a_damaged_state_is_refused_or_harmless)
{
	struct state_writer w;

	cr_assert_eq(map(fc_walk(&c, "ix/sub/large"), 0, 0), 0);
	w = state_of(c.server);
	for (size_t i = 0; i < w.bytes.len; i++) {
		struct fs_server *s = another_server();

		w.bytes.data[i] = (char)(w.bytes.data[i] ^ 0x7f);
		(void)load_state(s, &w, w.bytes.len);
		w.bytes.data[i] = (char)(w.bytes.data[i] ^ 0x7f);
		fs_server_free(s);
		s = another_server();
		cr_assert_lt(load_state(s, &w, i), 0);
		fs_server_free(s);
	}
	free(w.bytes.data);
}
