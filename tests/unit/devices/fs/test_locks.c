/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <sys/file.h>

#include "tests/unit/devices/fs/fuse_client.h"

static struct fuse_client c;
static uint64_t node, fh;

static void setup(void)
{
	fc_init(&c);
	node = fc_walk(&c, "rw/hello");
	cr_assert_gt(fc_open(&c, node, O_RDWR, &fh), 0);
}

static void teardown(void)
{
	fc_fini(&c);
}

TestSuite(fs_locks, .init = setup, .fini = teardown);

static int set(uint64_t owner, uint32_t type)
{
	return fc_lock(&c, FUSE_SETLK, node, fh, owner, type, false);
}

static uint32_t held(uint64_t owner, uint32_t type)
{
	const struct fuse_lk_in in = {
		.fh = fh, .owner = owner, .lk = {.end = INT64_MAX, .type = type}};
	struct fuse_lk_out out;

	cr_assert_eq(fc_call(&c, FUSE_GETLK, node, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
		     sizeof(out));
	return out.lk.type;
}

/* A host program's lock, on a descriptor of its own; closed to give it up. */
static int host_lock(bool flock_style)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = openat(c.dirfd, "tree/hello", O_RDWR | O_CLOEXEC);

	if (flock_style)
		cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	else
		cr_assert_eq(fcntl(fd, F_OFD_SETLK, &fl), 0);
	return fd;
}

Test(fs_locks, two_owners_exclude_each_other)
{
	cr_assert_eq(set(1, F_WRLCK), 0);
	cr_assert_eq(set(2, F_WRLCK), -EAGAIN);
	cr_assert_eq(set(2, F_RDLCK), -EAGAIN);
	cr_assert_eq(set(1, F_RDLCK), 0);
	cr_assert_eq(set(2, F_RDLCK), 0);
	cr_assert_eq(held(1, F_WRLCK), F_RDLCK);
	cr_assert_eq(held(1, F_RDLCK), F_UNLCK);
	cr_assert_eq(set(1, F_UNLCK), 0);
	cr_assert_eq(held(2, F_WRLCK), F_UNLCK);
	cr_assert_eq(set(2, F_WRLCK), 0);
	cr_assert_eq(set(3, F_UNLCK), 0);
}

Test(fs_locks, closing_drops_the_owners_locks)
{
	cr_assert_eq(set(1, F_WRLCK), 0);
	cr_assert_eq(fc_flush(&c, node, fh, 2), 0);
	cr_assert_eq(set(2, F_WRLCK), -EAGAIN);
	cr_assert_eq(fc_flush(&c, node, fh, 1), 0);
	cr_assert_eq(set(2, F_WRLCK), 0);
	cr_assert_eq(fc_flush(&c, node, fh + 1, 2), -EBADF);
}

Test(fs_locks, the_host_and_the_guest_exclude_each_other)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = host_lock(false);

	cr_assert_eq(set(1, F_WRLCK), -EAGAIN);
	cr_assert_eq(held(1, F_WRLCK), F_WRLCK);
	close(fd);
	cr_assert_eq(set(1, F_WRLCK), 0);
	fd = openat(c.dirfd, "tree/hello", O_RDWR | O_CLOEXEC);
	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &fl), -1);
	close(fd);
}

Test(fs_locks, flock_locks_belong_to_the_open_file)
{
	uint64_t second;
	int fd;

	cr_assert_gt(fc_open(&c, node, O_RDONLY, &second), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, node, fh, 1, F_WRLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, node, second, 2, F_RDLCK, true), -EAGAIN);
	fd = openat(c.dirfd, "tree/hello", O_RDWR | O_CLOEXEC);
	cr_assert_eq(flock(fd, LOCK_SH | LOCK_NB), -1);
	close(fd);
	/* POSIX locks are a matter of their own. */
	cr_assert_eq(set(2, F_WRLCK), 0);
	cr_assert_eq(fc_release(&c, node, fh), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, node, second, 2, F_WRLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, node, second, 2, F_UNLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, node, second, 2, 77, true), -EINVAL);
}

Test(fs_locks, waiting_ends_when_the_guest_gives_up_its_lock)
{
	cr_assert_eq(set(1, F_WRLCK), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 2, F_WRLCK, false), -EINPROGRESS);
	cr_assert_eq(fc_lock_answer(&c), -EINPROGRESS);
	cr_assert_eq(set(1, F_UNLCK), 0);
	cr_assert_eq(fc_lock_answer(&c), 0);
	cr_assert_eq(set(1, F_WRLCK), -EAGAIN);
	/* What can be had at once is had at once. */
	cr_assert_eq(set(2, F_UNLCK), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 1, F_WRLCK, false), 0);
}

/* Lets the retry timer do its work; bounded by the test's own time limit. */
static int answer_in_time(void)
{
	int r;

	while ((r = fc_lock_answer(&c)) == -EINPROGRESS)
		(void)poll(NULL, 0, 1);
	return r;
}

Test(fs_locks, waiting_ends_when_the_host_gives_up_its_lock)
{
	int fd = host_lock(false);

	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 1, F_WRLCK, false), -EINPROGRESS);
	close(fd);
	cr_assert_eq(answer_in_time(), 0);
	fd = host_lock(true);
	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 1, F_WRLCK, true), -EINPROGRESS);
	close(fd);
	cr_assert_eq(answer_in_time(), 0);
}

Test(fs_locks, a_wait_whose_file_is_closed_is_answered)
{
	int fd = host_lock(false);

	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 1, F_WRLCK, false), -EINPROGRESS);
	cr_assert_eq(fc_release(&c, node, fh), 0);
	cr_assert_eq(answer_in_time(), -EBADF);
	close(fd);
}

Test(fs_locks, waits_are_limited_and_dropped_by_a_reset)
{
	int fd = host_lock(false);

	for (uint64_t i = 0; i < 64; i++)
		cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 100 + i, F_WRLCK, false),
			     -EINPROGRESS);
	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, node, fh, 99, F_WRLCK, false), -ENOLCK);
	fake_guest_reset(c.g);
	close(fd);
	fake_guest_restart(c.g, 0);
	fake_guest_settle(c.g);
	cr_assert_not(fake_reap(c.g, FC_Q_REQUEST, NULL, NULL));
	/* Nothing holds the file any more. */
	fd = host_lock(false);
	close(fd);
}

Test(fs_locks, a_read_only_file_is_locked_among_guests_only)
{
	uint64_t ro = fc_walk(&c, "ro/hello"), rfh, rfh2;
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd;

	cr_assert_gt(fc_open(&c, ro, O_RDONLY, &rfh), 0);
	cr_assert_gt(fc_open(&c, ro, O_RDONLY, &rfh2), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, rfh, 1, F_RDLCK, false), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, rfh2, 2, F_WRLCK, false), -EAGAIN);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, rfh, 1, F_UNLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, rfh, 1, F_WRLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, rfh2, 2, F_RDLCK, true), -EAGAIN);
	/* The host feels none of it. */
	fd = openat(c.dirfd, "tree/hello", O_RDWR | O_CLOEXEC);
	cr_assert_eq(fcntl(fd, F_OFD_SETLK, &fl), 0);
	cr_assert_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	close(fd);
	cr_assert_eq(fc_release(&c, ro, rfh), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, rfh2, 2, F_WRLCK, false), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, rfh2, 2, F_RDLCK, true), 0);
}

Test(fs_locks, impossible_locks_are_refused)
{
	struct fuse_lk_in in = {.fh = fh, .owner = 1, .lk = {.start = 5, .end = 4}};
	struct fuse_lk_out out;
	uint64_t dir = fc_walk(&c, "rw"), dh;

	cr_assert_eq(fc_call(&c, FUSE_SETLK, node, &in, sizeof(in), NULL, 0, NULL, 0), -EINVAL);
	in.lk.start = UINT64_MAX;
	in.lk.end = UINT64_MAX;
	cr_assert_eq(fc_call(&c, FUSE_SETLK, node, &in, sizeof(in), NULL, 0, NULL, 0), -EINVAL);
	in.lk = (struct fuse_file_lock){.end = 10, .type = 9};
	cr_assert_eq(fc_call(&c, FUSE_SETLK, node, &in, sizeof(in), NULL, 0, NULL, 0), -EINVAL);
	cr_assert_eq(fc_call(&c, FUSE_GETLK, node, &in, sizeof(in), NULL, 0, &out, sizeof(out)),
		     -EINVAL);
	in.lk.type = F_WRLCK;
	in.fh = 0;
	cr_assert_eq(fc_call(&c, FUSE_SETLK, node, &in, sizeof(in), NULL, 0, NULL, 0), -EBADF);
	cr_assert_gt(fc_opendir(&c, dir, &dh), 0);
	in.fh = dh;
	cr_assert_eq(fc_call(&c, FUSE_SETLK, dir, &in, sizeof(in), NULL, 0, NULL, 0), -EBADF);
	cr_assert_gt(fc_opendir(&c, FUSE_ROOT_ID, &dh), 0);
	in.fh = dh;
	in.lk_flags = FUSE_LK_FLOCK;
	cr_assert_eq(fc_call(&c, FUSE_SETLK, FUSE_ROOT_ID, &in, sizeof(in), NULL, 0, NULL, 0),
		     -EBADF);
}

Test(fs_locks, owners_are_limited)
{
	int r = 0;
	uint64_t n = 0;

	while (r == 0 && n < 5000)
		r = fc_lock(&c, FUSE_SETLK, node, fh, ++n, F_RDLCK, false);
	cr_assert_eq(r, -ENOLCK);
	cr_assert_leq(n, 1025);
	cr_assert_eq(fc_flush(&c, node, fh, 1), 0);
	cr_assert_eq(set(n, F_RDLCK), 0);
}

/* SETLK of [start, end] by one owner. */
static int set_range(uint64_t n, uint64_t h, uint64_t owner, uint64_t start, uint64_t end,
		     uint32_t type)
{
	const struct fuse_lk_in in = {
		.fh = h, .owner = owner, .lk = {.start = start, .end = end, .type = type}};

	return fc_call(&c, FUSE_SETLK, n, &in, sizeof(in), NULL, 0, NULL, 0);
}

/* One byte, the next one not, and so on: the kernel keeps each apart. Returns how many were granted. */
static unsigned int comb(uint64_t n, uint64_t h, uint64_t owner, unsigned int most)
{
	for (unsigned int i = 0; i < most; i++) {
		int r = set_range(n, h, owner, 2ull * i, 2ull * i, F_RDLCK);

		if (r < 0) {
			cr_assert_eq(r, -ENOLCK);
			return i;
		}
	}
	return most;
}

static void check_range_limits(const char *path)
{
	uint64_t n = fc_walk(&c, path), h, owner = 1;
	unsigned int all = 0, got;

	cr_assert_gt(fc_open(&c, n, O_RDONLY, &h), 0);
	cr_assert_eq(comb(n, h, owner, 1000), 256);
	/* What makes fewer ranges of it, or none, is done all the same. */
	cr_assert_eq(set_range(n, h, owner, 0, 2, F_RDLCK), 0);
	cr_assert_eq(set_range(n, h, owner, 0, 9, F_UNLCK), 0);
	cr_assert_eq(set_range(n, h, owner, 0, INT64_MAX, F_UNLCK), 0);
	while ((got = comb(n, h, ++owner, 256)) == 256)
		all += got;
	all += got;
	cr_assert_eq(all, 16384);
	/* Closed, they are gone: another owner has them. */
	cr_assert_eq(fc_flush(&c, n, h, 2), 0);
	cr_assert_eq(comb(n, h, owner + 1, 256), 256);
	cr_assert_eq(fc_release(&c, n, h), 0);
}

Test(fs_locks, ranges_are_limited_on_the_host)
{
	check_range_limits("rw/hello");
}

Test(fs_locks, ranges_are_limited_in_a_read_only_export)
{
	check_range_limits("ro/hello");
}

Test(fs_locks, a_read_only_export_locks_ranges)
{
	uint64_t ro = fc_walk(&c, "ro/hello"), a, b;
	struct fuse_lk_in in = {.owner = 2, .lk = {.start = 0, .end = 100, .type = F_WRLCK}};
	struct fuse_lk_out out;

	cr_assert_gt(fc_open(&c, ro, O_RDONLY, &a), 0);
	cr_assert_gt(fc_open(&c, ro, O_RDONLY, &b), 0);
	cr_assert_eq(set_range(ro, a, 1, 10, 19, F_WRLCK), 0);
	cr_assert_eq(set_range(ro, b, 2, 0, 9, F_WRLCK), 0);
	cr_assert_eq(set_range(ro, b, 2, 19, 25, F_RDLCK), -EAGAIN);
	cr_assert_eq(set_range(ro, b, 2, 20, INT64_MAX, F_WRLCK), 0);
	/* Its middle is given up, and others may have that. */
	cr_assert_eq(set_range(ro, a, 1, 12, 17, F_UNLCK), 0);
	cr_assert_eq(set_range(ro, b, 2, 12, 17, F_RDLCK), 0);
	cr_assert_eq(set_range(ro, a, 1, 12, 12, F_WRLCK), -EAGAIN);
	in.fh = b;
	cr_assert_gt(fc_call(&c, FUSE_GETLK, ro, &in, sizeof(in), NULL, 0, &out, sizeof(out)), 0);
	cr_assert_eq(out.lk.type, F_WRLCK);
	cr_assert_eq(out.lk.start, 10);
	cr_assert_eq(out.lk.end, 11);
	in.lk.start = in.lk.end = 15;
	cr_assert_gt(fc_call(&c, FUSE_GETLK, ro, &in, sizeof(in), NULL, 0, &out, sizeof(out)), 0);
	cr_assert_eq(out.lk.type, F_UNLCK);
}

Test(fs_locks, a_read_only_export_has_flock)
{
	uint64_t ro = fc_walk(&c, "ro/hello"), h[3];

	for (unsigned int i = 0; i < 3; i++)
		cr_assert_gt(fc_open(&c, ro, O_RDONLY, &h[i]), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, h[0], 1, F_RDLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, h[0], 1, F_RDLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, h[1], 1, F_RDLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, h[0], 1, F_WRLCK, true), -EAGAIN);
	cr_assert_eq(fc_release(&c, ro, h[1]), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, h[0], 1, F_WRLCK, true), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLKW, ro, h[2], 1, F_RDLCK, true), -EINPROGRESS);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, h[0], 1, F_UNLCK, true), 0);
	cr_assert_eq(fc_lock_answer(&c), 0);
	cr_assert_eq(fc_lock(&c, FUSE_SETLK, ro, h[0], 1, F_WRLCK, true), -EAGAIN);
}
