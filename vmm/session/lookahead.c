/* SPDX-License-Identifier: MIT */
#include "vmm/session/lookahead.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* How far the guest may be shown more than its command has read. */
enum { LOOKAHEAD_MAX = 256 << 10, MUCH = 64 << 10 };

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static enum lookahead_kind kind_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return LOOKAHEAD_NONE;
	if (S_ISFIFO(st.st_mode))
		return LOOKAHEAD_PIPE;
	if (S_ISSOCK(st.st_mode) && is_stream(fd))
		return LOOKAHEAD_SOCKET;
	if ((S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) && lseek(fd, 0, SEEK_CUR) >= 0)
		return LOOKAHEAD_FILE;
	return LOOKAHEAD_NONE;
}

/* Ours is to hold what theirs does. */
static void match_size(struct lookahead *la)
{
	const int size = fcntl(la->fd, F_GETPIPE_SZ);

	la->whole = size > 0 && (size <= fcntl(la->copy[0], F_GETPIPE_SZ) ||
				 fcntl(la->copy[0], F_SETPIPE_SZ, size) >= size);
}

int lookahead_init(struct lookahead *la, int fd)
{
	*la = (struct lookahead){.kind = kind_of(fd), .fd = fd, .copy = {-1, -1}};
	if (la->kind != LOOKAHEAD_PIPE)
		return 0;
	if (pipe2(la->copy, O_CLOEXEC | O_NONBLOCK) < 0) {
		la->kind = LOOKAHEAD_NONE;
		return -errno;
	}
	match_size(la);
	return 0;
}

void lookahead_fini(struct lookahead *la)
{
	if (la->kind == LOOKAHEAD_PIPE) {
		close(la->copy[0]);
		close(la->copy[1]);
	}
	la->kind = LOOKAHEAD_NONE;
}

/* Whether all that will ever come is there already. Asked before looking. */
static bool hung_up(const struct lookahead *la)
{
	struct pollfd pfd = {.fd = la->fd, .events = POLLRDHUP};

	return poll(&pfd, 1, 0) == 1 && pfd.revents & (POLLHUP | POLLRDHUP | POLLERR);
}

static void discard(const struct lookahead *la, size_t n)
{
	char scratch[4096];
	ssize_t got = 1;

	for (; n > 0 && got > 0; n -= (size_t)got) {
		got = read(la->copy[0], scratch, min_size(n, sizeof(scratch)));
		got = got < 0 ? 0 : got;
	}
}

static ssize_t look_at_pipe(struct lookahead *la, size_t skip, void *buf, size_t len)
{
	const bool over = la->whole && hung_up(la);
	const ssize_t n = tee(la->fd, la->copy[1], skip + len, SPLICE_F_NONBLOCK);

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -EAGAIN : 0;
	if ((size_t)n <= skip) {
		discard(la, (size_t)n);
		la->limited = !la->whole;
		return over ? 0 : -EAGAIN;
	}
	discard(la, skip);
	return read(la->copy[0], buf, (size_t)n - skip);
}

static ssize_t look_at_socket(struct lookahead *la, size_t skip, void *buf, size_t len)
{
	const bool over = hung_up(la);
	ssize_t n;

	la->limited = skip >= len;
	if (la->limited)
		return -EAGAIN;
	do
		n = recv(la->fd, buf, len, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -EAGAIN : 0;
	if ((size_t)n <= skip)
		return over ? 0 : -EAGAIN;
	memmove(buf, (const char *)buf + skip, (size_t)n - skip);
	return n - (ssize_t)skip;
}

static ssize_t look_at_file(const struct lookahead *la, size_t skip, void *buf, size_t len)
{
	const off_t at = lseek(la->fd, 0, SEEK_CUR);
	ssize_t n;

	do
		n = at < 0 ? 0 : pread(la->fd, buf, len, at + (off_t)skip);
	while (n < 0 && errno == EINTR);
	return n < 0 ? 0 : n;
}

ssize_t lookahead_read(struct lookahead *la, size_t skip, void *buf, size_t len)
{
	la->limited = skip >= LOOKAHEAD_MAX;
	if (la->limited)
		return -EAGAIN;
	if (la->kind == LOOKAHEAD_PIPE)
		return look_at_pipe(la, skip, buf, len);
	if (la->kind == LOOKAHEAD_SOCKET)
		return look_at_socket(la, skip, buf, len);
	return look_at_file(la, skip, buf, len);
}

static void take_from_pipe(struct lookahead *la, size_t n)
{
	ssize_t moved = 1;

	if (la->taken < MUCH && la->taken + n >= MUCH) {
		if (fcntl(la->fd, F_GETPIPE_SZ) < LOOKAHEAD_MAX)
			(void)!fcntl(la->fd, F_SETPIPE_SZ, LOOKAHEAD_MAX);
		match_size(la);
	}
	la->taken = min_size(la->taken + n, MUCH);
	for (; n > 0 && moved > 0; n -= (size_t)moved) {
		moved = splice(la->fd, NULL, la->copy[1], NULL, n,
			       SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		moved = moved < 0 ? 0 : moved;
		discard(la, (size_t)moved);
	}
}

static void take_from_socket(const struct lookahead *la, size_t n)
{
	char scratch[4096];
	ssize_t got = 1;

	for (; n > 0 && got > 0; n -= (size_t)got) {
		got = recv(la->fd, scratch, min_size(n, sizeof(scratch)), MSG_DONTWAIT);
		got = got < 0 ? 0 : got;
	}
}

void lookahead_take(struct lookahead *la, size_t n)
{
	if (la->kind == LOOKAHEAD_PIPE)
		take_from_pipe(la, n);
	else if (la->kind == LOOKAHEAD_SOCKET)
		take_from_socket(la, n);
	else if (la->kind == LOOKAHEAD_FILE)
		(void)!lseek(la->fd, (off_t)n, SEEK_CUR);
}
