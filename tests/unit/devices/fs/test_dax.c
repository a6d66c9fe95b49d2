/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/resource.h>
#include <unistd.h>

#include "devices/fs/fs_priv.h"
#include "tests/support/no_override.h"
#include "tests/unit/devices/fs/fuse_client.h"

/* The window is read here as a guest would: at what the device shows of it. */
enum { SLOT = 2 << 20, SLOTS = 8, BIG = 5 << 20, PAGE = 4096 };

static struct fuse_client c;
static const uint8_t *window;

/* Every page of a file says which it is. */
static void make_big(const char *path, size_t len)
{
	int fd = openat(c.dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0);
	for (size_t at = 0; at < len; at += PAGE) {
		char text[32];
		int n = snprintf(text, sizeof(text), "%s %zu", path, at);

		cr_assert_eq(pwrite(fd, text, (size_t)n, (off_t)at), n);
	}
	cr_assert_eq(ftruncate(fd, (off_t)len), 0);
	close(fd);
}

static bool page_is(size_t window_off, const char *path, size_t file_off)
{
	char text[32];

	snprintf(text, sizeof(text), "%s %zu", path, file_off);
	return strcmp((const char *)window + window_off, text) == 0;
}

static void truncate_to(const char *path, off_t len)
{
	int fd = openat(c.dirfd, path, O_WRONLY | O_CLOEXEC);

	cr_assert(fd >= 0 && ftruncate(fd, len) == 0);
	close(fd);
}

static void setup(void)
{
	fc_init_bare(&c);
	make_big("tree/big", BIG);
	make_big("tree/other", SLOT);
	cr_assert_eq(fs_server_add_window(c.server, (uint64_t)SLOTS * SLOT), 0);
	fc_export(&c, "base", "tree", false, FS_CACHE_LONG);
	fc_export(&c, "ro", "tree", false, FS_CACHE_SHORT);
	fc_export(&c, "rw", "tree", true, FS_CACHE_SHORT);
	fc_export(&c, "one", "tree/other", false, FS_CACHE_SHORT);
	fc_start(&c);
	cr_assert_eq(c.g->vdev->shm_len, (uint64_t)SLOTS * SLOT);
	window = c.g->vdev->shm;
}

static void teardown(void)
{
	fc_fini(&c);
}

TestSuite(dax, .init = setup, .fini = teardown);

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

static int unmap_all(const struct fuse_removemapping_one *ones, unsigned int n, uint32_t count)
{
	const struct fuse_removemapping_in in = {.count = count};

	return fc_call(&c, FUSE_REMOVEMAPPING, 0, &in, sizeof(in), ones, n * sizeof(*ones), NULL,
		       0);
}

static int unmap(uint64_t window_off)
{
	const struct fuse_removemapping_one one = {.moffset = window_off, .len = SLOT};

	return unmap_all(&one, 1, 1);
}

/* The lines of a file in /proc/self. */
static unsigned int count_lines(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned int n = 0;

	cr_assert_not_null(f);
	for (int ch; (ch = getc(f)) != EOF;)
		n += ch == '\n';
	fclose(f);
	return n;
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(dax, is_offered_to_drivers_that_ask_file_by_file)
{
	struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.flags = FUSE_MAP_ALIGNMENT | FUSE_INIT_EXT,
		.flags2 = (uint32_t)(FUSE_HAS_INODE_DAX >> 32),
	};
	struct fuse_init_out out;

	cr_assert_gt(fc_call(&c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)), 0);
	cr_assert_eq(out.flags & in.flags, in.flags);
	cr_assert_eq(out.flags2, in.flags2);
	cr_assert_eq(1u << out.map_alignment, SLOT);
	/* The structure of a driver before INIT_EXT. */
	cr_assert_gt(fc_call(&c, FUSE_INIT, 0, &in, offsetof(struct fuse_init_in, flags2), NULL, 0,
			     &out, sizeof(out)),
		     0);
	cr_assert_eq(out.flags & FUSE_MAP_ALIGNMENT, 0);
	cr_assert_eq(out.flags2, 0);
	in.flags = 0;
	cr_assert_gt(fc_call(&c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, &out, sizeof(out)), 0);
	cr_assert_eq(out.flags | out.flags2, 0);
}

Test(dax, large_files_that_cannot_be_written_are_marked)
{
	static const struct {
		const char *path;
		uint32_t flags;
	} files[] = {
		{"base/big", FUSE_ATTR_DAX},
		{"ro/big", FUSE_ATTR_DAX},
		{"one/file", 0},
		{"rw/big", 0},
		{"ro/hello", 0},
		{"ro/sub", 0},
		{"ro/fifo", 0},
		{"ro/escape", 0},
		{"ro", 0},
	};
	struct fuse_entry_out entry;
	struct fuse_attr attr;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		cr_assert_gt(fc_getattr(&c, fc_walk(&c, files[i].path), &attr), 0);
		cr_assert_eq(attr.flags, files[i].flags, "%s", files[i].path);
	}
	cr_assert(fc_listed(&c, fc_walk(&c, "ro"), "big", true, &entry));
	cr_assert_eq(entry.attr.flags, FUSE_ATTR_DAX);
	cr_assert_gt(fc_lookup(&c, fc_walk(&c, "ro"), "big", &entry), 0);
	cr_assert_eq(entry.attr.flags, FUSE_ATTR_DAX);
}

Test(dax, shows_files_until_they_are_taken_out)
{
	uint64_t big = fc_walk(&c, "base/big"), other = fc_walk(&c, "ro/other");

	cr_assert_eq(map(big, 0, 0), 0);
	cr_assert_eq(map(big, 2 * SLOT, (SLOTS - 1) * SLOT), 0);
	cr_assert_eq(map(other, 0, SLOT), 0);
	cr_assert(page_is(5 * PAGE, "tree/big", 5 * PAGE));
	cr_assert(page_is((SLOTS - 1) * SLOT + PAGE, "tree/big", 2 * SLOT + PAGE));
	cr_assert(page_is(SLOT, "tree/other", 0));
	cr_assert_eq(window[2 * SLOT], 0);
	/* In place of what was there. */
	cr_assert_eq(map(other, 0, 0), 0);
	cr_assert(page_is(PAGE, "tree/other", PAGE));
	cr_assert_eq(unmap(0), 0);
	cr_assert_eq(window[PAGE], 0);
	cr_assert(page_is(SLOT, "tree/other", 0));
	/* Empty already. */
	cr_assert_eq(unmap(0), 0);
}

Test(dax, what_the_host_writes_is_there)
{
	int fd = openat(c.dirfd, "tree/other", O_WRONLY | O_CLOEXEC | O_APPEND);

	cr_assert_eq(map(fc_walk(&c, "ro/other"), SLOT, 0), 0);
	/* Nothing is there yet: the slot begins at the file's end. */
	cr_assert_eq(write(fd, "grown", 5), 5);
	cr_assert_str_eq((const char *)window, "grown");
	close(fd);
}

Test(dax, refuses_what_it_cannot_show_and_changes_nothing)
{
	const struct fuse_setupmapping_in good = {
		.fh = UINT64_MAX, .len = SLOT, .flags = FUSE_SETUPMAPPING_FLAG_READ};
	static const struct {
		uint64_t foffset, len, flags, moffset;
		int error;
	} bad[] = {
		{1, SLOT, 2, 0, -EINVAL},
		{PAGE, SLOT, 2, 0, -EINVAL},
		{UINT64_MAX - SLOT + 1, SLOT, 2, 0, -EINVAL},
		{1ull << 63, SLOT, 2, 0, -EINVAL},
		{INT64_MAX - SLOT + 1, SLOT, 2, 0, -EINVAL},
		{0, 0, 2, 0, -EINVAL},
		{0, SLOT + 1, 2, 0, -EINVAL},
		{0, UINT64_MAX, 2, 0, -EINVAL},
		{0, SLOT, 2, PAGE, -EINVAL},
		{0, SLOT, 2, SLOTS * SLOT, -EINVAL},
		{0, SLOT, 2, UINT64_MAX - SLOT + 1, -EINVAL},
		{0, SLOT, 0, 0, -EINVAL},
		{0, SLOT, 6, 0, -EINVAL},
		{0, SLOT, 1, 0, -EROFS},
		{0, SLOT, 3, 0, -EROFS},
	};
	static const char *const paths[] = {"rw/big",	 "ro/sub", "ro/fifo",
					    "ro/escape", "ro",	   "one/file"};
	uint64_t big = fc_walk(&c, "ro/big");

	cr_assert_eq(map(big, 0, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fuse_setupmapping_in in = good;

		in.foffset = bad[i].foffset;
		in.len = bad[i].len;
		in.flags = bad[i].flags;
		in.moffset = bad[i].moffset;
		cr_assert_eq(fc_call(&c, FUSE_SETUPMAPPING, big, &in, sizeof(in), NULL, 0, NULL, 0),
			     bad[i].error, "%zu", i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		cr_assert_eq(map(fc_walk(&c, paths[i]), 0, 0), -EINVAL, "%s", paths[i]);
	cr_assert_eq(map(FUSE_ROOT_ID, 0, 0), -EINVAL);
	cr_assert_eq(map(UINT64_MAX, 0, 0), -ESTALE);
	cr_assert_eq(fc_call(&c, FUSE_SETUPMAPPING, big, &good, sizeof(good) - 1, NULL, 0, NULL, 0),
		     -EINVAL);
	cr_assert(page_is(PAGE, "tree/big", PAGE));
	give_up_override();
	cr_assert_eq(fchmodat(c.dirfd, "tree/big", 0, 0), 0);
	cr_assert_eq(map(big, 0, 0), -EACCES);
}

Test(dax, removes_all_that_was_asked_or_nothing)
{
	static const struct fuse_removemapping_one bad[] = {
		{PAGE, SLOT}, {SLOTS * SLOT, SLOT}, {UINT64_MAX - SLOT + 1, SLOT},
		{0, 0},	      {0, SLOT + 1},	    {0, UINT64_MAX},
	};
	struct fuse_removemapping_one ones[3] = {{0, SLOT}, {SLOT, SLOT}, {2 * SLOT, SLOT}};
	uint64_t big = fc_walk(&c, "ro/big");

	cr_assert_eq(map(big, 0, 0), 0);
	cr_assert_eq(map(big, SLOT, SLOT), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ones[2] = bad[i];
		cr_assert_eq(unmap_all(ones, 3, 3), -EINVAL, "%zu", i);
	}
	/* More than there are. */
	cr_assert_eq(unmap_all(ones, 2, 3), -EINVAL);
	cr_assert_eq(unmap_all(ones, 2, UINT32_MAX), -EINVAL);
	cr_assert_eq(unmap_all(ones, 2, 0), 0);
	cr_assert(page_is(PAGE, "tree/big", PAGE));
	cr_assert(page_is(SLOT, "tree/big", SLOT));
	cr_assert_eq(unmap_all(ones, 2, 2), 0);
	cr_assert(window[PAGE] == 0 && window[SLOT] == 0);
}

Test(dax, thousands_of_mappings_take_no_more_than_the_window)
{
	uint64_t nodes[2] = {fc_walk(&c, "ro/big"), fc_walk(&c, "base/other")};
	unsigned int maps = count_lines("/proc/self/maps"), fds = count_fds();

	for (unsigned int i = 0; i < 5000; i++)
		cr_assert_eq(map(nodes[i % 2], (i / 2) % 3 * SLOT, (uint64_t)(i % SLOTS) * SLOT),
			     0);
	cr_assert_leq(count_lines("/proc/self/maps"), maps + 2 * SLOTS);
	cr_assert_eq(count_fds(), fds);
	for (unsigned int i = 0; i < SLOTS; i++)
		cr_assert_eq(unmap((uint64_t)i * SLOT), 0);
	cr_assert_leq(count_lines("/proc/self/maps"), maps + 2);
}

/* No further mapping, as where the host has no more of them or no memory. */
static void allow_mappings(bool allowed)
{
	struct rlimit limit;

	cr_assert_eq(getrlimit(RLIMIT_AS, &limit), 0);
	limit.rlim_cur = allowed ? limit.rlim_max : 1 << 20;
	cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
}

Test(dax, a_host_without_mappings_leaves_everything_as_it_is)
{
	uint64_t big = fc_walk(&c, "ro/big"), other = fc_walk(&c, "ro/other");
	unsigned int fds = count_fds();
	int mapped, removed;
	bool mended;

	cr_assert_eq(map(big, 0, 0), 0);
	cr_assert_eq(map(big, SLOT, SLOT), 0);
	allow_mappings(false);
	mapped = map(other, 0, 0);
	removed = unmap(0);
	truncate_to("tree/other", 1);
	mended = fs_server_mend_window(c.server);
	allow_mappings(true);
	cr_assert_eq(mapped, -ENOMEM);
	cr_assert_eq(removed, -ENOMEM);
	cr_assert_not(mended);
	cr_assert(page_is(PAGE, "tree/big", PAGE) && page_is(SLOT, "tree/big", SLOT));
	cr_assert_eq(count_fds(), fds);

	truncate_to("tree/big", PAGE);
	allow_mappings(false);
	mended = fs_server_mend_window(c.server);
	fake_guest_reset(c.g);
	allow_mappings(true);
	cr_assert_not(mended);
	/* It is dead, but in the window: it can still be mended. */
	cr_assert(fs_server_mend_window(c.server));
	cr_assert(window[PAGE] == 0 && window[SLOT] == 0);
	cr_assert_leq(count_fds(), fds);
}

Test(dax, a_reset_takes_everything_out)
{
	unsigned int fds = count_fds();
	uint64_t big = fc_walk(&c, "ro/big");

	cr_assert_eq(map(big, 0, 0), 0);
	/* Mapped, it is known also after it was forgotten. */
	fc_forget(&c, big, 100);
	cr_assert_eq(map(big, SLOT, SLOT), 0);
	cr_assert(page_is(SLOT + PAGE, "tree/big", SLOT + PAGE));
	fake_guest_reset(c.g);
	cr_assert(window[PAGE] == 0 && window[SLOT] == 0);
	cr_assert_eq(count_fds(), fds);
	fake_guest_restart(c.g, 0);
	cr_assert_eq(map(big, 0, 0), -EPROTO);
}

Test(dax, the_last_mapping_lets_a_forgotten_file_go)
{
	unsigned int fds = count_fds();
	uint64_t big = fc_walk(&c, "ro/big");

	cr_assert_eq(map(big, 0, 0), 0);
	fc_forget(&c, big, 100);
	cr_assert_eq(unmap(0), 0);
	cr_assert_eq(count_fds(), fds);
	cr_assert_eq(map(big, 0, 0), -ESTALE);
}

Test(dax, a_forgotten_file_is_mapped_over_itself)
{
	unsigned int fds = count_fds();
	uint64_t big = fc_walk(&c, "ro/big");

	cr_assert_eq(map(big, 0, 0), 0);
	fc_forget(&c, big, 100);
	cr_assert_eq(map(big, SLOT, 0), 0);
	cr_assert(page_is(PAGE, "tree/big", SLOT + PAGE));
	/* Its number is still taken. */
	cr_assert_neq(fc_walk(&c, "ro/other") & UINT32_MAX, big & UINT32_MAX);
	fc_forget(&c, fc_walk(&c, "ro/other"), 100);
	cr_assert_eq(unmap(0), 0);
	cr_assert_eq(count_fds(), fds);
	cr_assert_eq(map(big, 0, 0), -ESTALE);
}

Test(dax, a_truncated_file_becomes_zeroes_and_stale)
{
	uint64_t big = fc_walk(&c, "ro/big"), other = fc_walk(&c, "ro/other"), fh, again;
	struct fuse_attr attr;
	char buf[16];

	cr_assert_gt(fc_open(&c, big, O_RDONLY, &fh), 0);
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_eq(map(big, (uint64_t)i * SLOT, (uint64_t)i * SLOT), 0);
	cr_assert_eq(map(other, 0, 3 * SLOT), 0);
	truncate_to("tree/big", 10);
	cr_assert(fs_server_mend_window(c.server));
	cr_assert(window[0] == 0 && window[PAGE] == 0 && window[2 * SLOT + PAGE] == 0);
	cr_assert(page_is(3 * SLOT, "tree/other", 0));

	cr_assert_eq(fc_getattr(&c, big, &attr), -ESTALE);
	cr_assert_eq(fc_read(&c, big, fh, 0, buf, sizeof(buf)), -ESTALE);
	cr_assert_eq(map(big, 0, 0), -ESTALE);
	cr_assert_eq(fc_flush(&c, big, fh, 1), 0);
	cr_assert_eq(fc_release(&c, big, fh), 0);
	again = fc_walk(&c, "ro/big");
	cr_assert_neq(again, big);
	cr_assert(fc_getattr(&c, again, &attr) > 0 && attr.size == 10);
	cr_assert_gt(fc_getattr(&c, other, &attr), 0);
	fc_forget(&c, big, 100);
	cr_assert_gt(fc_getattr(&c, again, &attr), 0);
}

Test(dax, behind_the_end_of_a_file_are_zeroes_once_a_guest_looked)
{
	uint64_t big = fc_walk(&c, "ro/big");

	truncate_to("tree/big", SLOT + 10);
	cr_assert_eq(map(big, SLOT, 0), 0);
	cr_assert_eq(map(big, 2 * SLOT, SLOT), 0);
	cr_assert_eq(map(big, 0, 2 * SLOT), 0);
	cr_assert(fs_server_mend_window(c.server));
	cr_assert(page_is(0, "tree/big", SLOT) || window[0] == 't');
	cr_assert(window[PAGE] == 0 && window[SLOT - 1] == 0 && window[SLOT] == 0);
	cr_assert(page_is(3 * SLOT - PAGE, "tree/big", SLOT - PAGE));
	/* All is done: if a vCPU still cannot go on, it is for another reason. */
	cr_assert_not(fs_server_mend_window(c.server));
}

Test(dax, nothing_to_mend_is_said)
{
	cr_assert_not(fs_server_mend_window(c.server));
	cr_assert_eq(map(fc_walk(&c, "ro/other"), 0, 0), 0);
	cr_assert_not(fs_server_mend_window(c.server));
}

Test(dax, an_export_that_is_taken_back_leaves_the_window)
{
	unsigned int fds;
	uint64_t node, kept;
	struct fuse_attr a;

	kept = fc_walk(&c, "ro/big");
	cr_assert_eq(map(kept, 0, 0), 0);
	fds = count_fds();
	fc_export(&c, "map7", "tree", false, FS_CACHE_SHORT);
	node = fc_walk(&c, "map7/big");
	cr_assert_eq(map(node, 0, SLOT), 0);
	cr_assert_eq(map(node, SLOT, 2 * SLOT), 0);
	cr_assert(page_is(SLOT, "tree/big", 0));
	cr_assert_eq(fs_server_remove_export(c.server, "map7"), 0);
	cr_assert_eq(window[SLOT], 0);
	cr_assert_eq(window[2 * SLOT], 0);
	cr_assert(page_is(0, "tree/big", 0));
	cr_assert_eq(fc_getattr(&c, node, &a), -ESTALE);
	cr_assert_eq(map(node, 0, SLOT), -ESTALE);
	cr_assert_eq(count_fds(), fds);
	/* What the guest still thinks to have there can be given back. */
	cr_assert_eq(unmap(SLOT), 0);
}

Test(dax, an_export_stays_where_the_window_cannot_be_emptied)
{
	uint64_t big;
	struct fuse_attr a;
	int r;

	fc_export(&c, "map7", "tree", false, FS_CACHE_SHORT);
	big = fc_walk(&c, "map7/big");
	cr_assert_eq(map(big, 0, 0), 0);
	allow_mappings(false);
	r = fs_server_remove_export(c.server, "map7");
	allow_mappings(true);
	cr_assert_eq(r, -ENOMEM);
	cr_assert_gt(fc_getattr(&c, big, &a), 0);
	cr_assert_eq(fs_server_remove_export(c.server, "map7"), 0);
	cr_assert_eq(fc_getattr(&c, big, &a), -ESTALE);
	cr_assert_eq(window[0], 0);
}

Test(dax, a_mapped_file_that_is_moved_out_leaves_the_window)
{
	const struct timespec t = {.tv_nsec = 260 * 1000000L};
	uint64_t node = fc_walk(&c, "ro/big"), kept = fc_walk(&c, "ro/other");

	cr_assert_eq(map(node, 0, 0), 0);
	cr_assert_eq(map(kept, 0, SLOT), 0);
	cr_assert(page_is(0, "tree/big", 0));
	/* One is only deleted: what runs from it goes on. */
	cr_assert_eq(unlinkat(c.dirfd, "tree/other", 0), 0);
	cr_assert_eq(renameat(c.dirfd, "tree/big", c.dirfd, "big"), 0);
	cr_assert_eq(nanosleep(&t, NULL), 0);
	fs_server_look(c.server);
	cr_assert_eq(window[0], 0);
	cr_assert(page_is(SLOT, "tree/other", 0));
}
