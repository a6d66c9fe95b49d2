/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/session/lookahead.h"

static struct lookahead la;
static char buf[1 << 16];

static void expect(size_t skip, const char *text)
{
	const ssize_t n = lookahead_read(&la, skip, buf, sizeof(buf));

	cr_assert_eq(n, (ssize_t)strlen(text), "%zd", n);
	cr_assert_eq(memcmp(buf, text, strlen(text)), 0);
}

static void expect_nothing(size_t skip, ssize_t what)
{
	cr_assert_eq(lookahead_read(&la, skip, buf, sizeof(buf)), what);
}

/* What a stream of bytes is to do, whichever kind it is; the writer's end is closed by it. */
static void walk_through(int reader, int writer)
{
	cr_assert_eq(lookahead_init(&la, reader), 0);
	expect_nothing(0, -EAGAIN);
	cr_assert_eq(write(writer, "abc", 3), 3);
	expect(0, "abc");
	expect(0, "abc");
	expect(1, "bc");
	expect_nothing(3, -EAGAIN);
	cr_assert_eq(write(writer, "de", 2), 2);
	expect(3, "de");
	lookahead_take(&la, 2);
	expect(0, "cde");
	close(writer);
	expect(2, "e");
	/* It has been seen to its end, though it is all there. */
	expect_nothing(3, 0);
	lookahead_take(&la, 1);
	cr_assert_eq(read(reader, buf, sizeof(buf)), 2);
	cr_assert_eq(memcmp(buf, "de", 2), 0);
	expect_nothing(0, 0);
	/* One who takes what is not there gets nothing, and does not wait. */
	lookahead_take(&la, 10);
	lookahead_fini(&la);
	close(reader);
}

Test(lookahead, a_pipe)
{
	int fds[2];

	cr_assert_eq(pipe(fds), 0);
	walk_through(fds[0], fds[1]);
}

Test(lookahead, a_socket)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	walk_through(fds[0], fds[1]);
}

Test(lookahead, a_pipe_larger_than_others)
{
	static const char page[4096];
	int fds[2];
	size_t seen = 0, there = 0;
	ssize_t n;

	cr_assert_eq(pipe2(fds, O_NONBLOCK), 0);
	cr_assert_eq(fcntl(fds[1], F_SETPIPE_SZ, 128 << 10), 128 << 10);
	cr_assert_eq(lookahead_init(&la, fds[0]), 0);
	while (write(fds[1], page, sizeof(page)) > 0)
		there += sizeof(page);
	while ((n = lookahead_read(&la, seen, buf, sizeof(buf))) > 0)
		seen += (size_t)n;
	cr_assert_eq(n, -EAGAIN);
	cr_assert_eq(seen, there);
	cr_assert_not(la.limited);
	lookahead_take(&la, there);
	/* Much was read: its writer need not wait each time. */
	cr_assert_eq(fcntl(fds[1], F_GETPIPE_SZ), 256 << 10);
	cr_assert(la.whole);
	expect_nothing(0, -EAGAIN);
	lookahead_fini(&la);
	close(fds[0]);
	close(fds[1]);
}

Test(lookahead, a_file)
{
	FILE *f = tmpfile();
	const int fd = fileno(f);

	cr_assert_eq(write(fd, "xxabcd", 6), 6);
	cr_assert_eq(lseek(fd, 2, SEEK_SET), 2);
	cr_assert_eq(lookahead_init(&la, fd), 0);
	expect(0, "abcd");
	expect(3, "d");
	expect_nothing(4, 0);
	lookahead_take(&la, 3);
	cr_assert_eq(lseek(fd, 0, SEEK_CUR), 5);
	expect(0, "d");
	lookahead_fini(&la);
	fclose(f);
}

Test(lookahead, what_cannot_be_looked_at)
{
	int fds[2], null = open("/dev/null", O_RDONLY);

	cr_assert_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	cr_assert_eq(lookahead_init(&la, fds[0]), 0);
	cr_assert_eq(la.kind, LOOKAHEAD_NONE);
	cr_assert_eq(lookahead_init(&la, null), 0);
	cr_assert_eq(la.kind, LOOKAHEAD_NONE);
	cr_assert_eq(lookahead_init(&la, -1), 0);
	cr_assert_eq(la.kind, LOOKAHEAD_NONE);
	lookahead_fini(&la);
	close(fds[0]);
	close(fds[1]);
	close(null);
}
