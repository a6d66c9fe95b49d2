/* SPDX-License-Identifier: MIT */
#include "vmm/session/stdio_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/job.h"
#include "common/log.h"
#include "common/own_fd.h"

/* Reads of STDIO_BUFFER bytes before the loop gets a turn. */
enum { IN_STEPS = 8 };

/* Negative if it cannot be had. */
static int open_anew(int fd, const struct stat *st, int access)
{
	/* Opening a pseudo-terminal's master again would make another terminal. */
	if (!S_ISFIFO(st->st_mode) && (!isatty(fd) || st->st_rdev == makedev(5, 2)))
		return -1;
	return own_fd_reopen(fd, access | O_NONBLOCK | O_NOCTTY);
}

static bool is_nonblocking(int fd)
{
	const int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_NONBLOCK;
}

static int end_init(struct stdio_end *end, struct loop *loop, int fd, bool writes, loop_fn fn,
		    const char *name)
{
	struct stat st;
	int r;

	*end = (struct stdio_end){
		.src = {.fd = fd, .fn = fn, .name = name},
		.kind = STDIO_CLOSED,
		.own_fd = -1,
		.ready = true,
	};
	if (fstat(fd, &st) < 0)
		return 0;
	if (S_ISSOCK(st.st_mode)) {
		end->kind = STDIO_SOCKET;
	} else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
		end->own_fd = open_anew(fd, &st, writes ? O_WRONLY : O_RDONLY);
		/* One that does not block already, as clients send them, is as good. */
		end->kind = end->own_fd >= 0 || is_nonblocking(fd) ? STDIO_OWN : STDIO_SHARED;
		end->step = isatty(fd) ? 1 : PIPE_BUF;
		if (end->own_fd >= 0)
			end->src.fd = end->own_fd;
	} else {
		end->kind = STDIO_FILE;
		return 0;
	}
	r = loop_add(loop, &end->src, (writes ? EPOLLOUT : EPOLLIN) | EPOLLET);
	if (r == -EPERM) {
		end->kind = STDIO_FILE;
		return 0;
	}
	return r;
}

static void end_fini(struct stdio_end *end)
{
	loop_remove(&end->src);
	/* A zeroed one was never initialised. */
	if (end->kind != STDIO_CLOSED && end->own_fd >= 0)
		close(end->own_fd);
	end->kind = STDIO_CLOSED;
}

static bool polls(const struct stdio_end *end, short events)
{
	struct pollfd pfd = {.fd = end->src.fd, .events = events};

	/* Hang-ups and errors count: the call that follows will report them. */
	return poll(&pfd, 1, 0) == 1;
}

/* Bytes, 0 at the end, or -EAGAIN; every other error is the end too. */
static ssize_t end_read(const struct stdio_end *end, void *buf, size_t len)
{
	ssize_t n;

	do {
		if (end->kind == STDIO_CLOSED)
			return 0;
		if (end->kind == STDIO_SOCKET)
			n = recv(end->src.fd, buf, len, MSG_DONTWAIT);
		else if (end->kind == STDIO_SHARED && !polls(end, POLLIN))
			return -EAGAIN;
		else
			n = read(end->src.fd, buf, len);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	return errno == EAGAIN ? -EAGAIN : 0;
}

static ssize_t end_write(const struct stdio_end *end, struct iovec *iov, unsigned int n_iov)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = n_iov};
	ssize_t n;

	do {
		if (end->kind == STDIO_CLOSED)
			return -EPIPE;
		if (end->kind == STDIO_SOCKET)
			n = sendmsg(end->src.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (end->kind != STDIO_SHARED)
			n = writev(end->src.fd, iov, (int)n_iov);
		else if (!polls(end, POLLOUT))
			return -EAGAIN;
		else
			n = write(end->src.fd, iov[0].iov_base,
				  min_size(iov[0].iov_len, end->step));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static void run_in_pump(void *arg)
{
	struct stdio_in *in = arg;

	stdio_in_pump(in);
	if (in->moved)
		in->moved(in);
}

static void in_event(struct loop_source *src, uint32_t events)
{
	struct stdio_in *in = CONTAINER_OF(src, struct stdio_in, end.src);

	(void)events;
	in->end.ready = true;
	vsock_run(in->vs, run_in_pump, in);
}

static void in_again_event(struct loop_source *src, uint32_t events)
{
	struct stdio_in *in = CONTAINER_OF(src, struct stdio_in, again);
	eventfd_t n;

	(void)events;
	(void)!eventfd_read(src->fd, &n);
	vsock_run(in->vs, run_in_pump, in);
}

int stdio_in_init(struct stdio_in *in, struct loop *loop, struct vsock *vs, int fd)
{
	int r;

	in->vs = vs;
	in->conn = NULL;
	in->moved = NULL;
	in->ended = in->counted = false;
	in->terminal = isatty(fd);
	in->job = 0;
	in->ahead = (struct lookahead){.kind = LOOKAHEAD_NONE};
	in->untaken = in->taken = 0;
	in->start = in->len = 0;
	in->again = (struct loop_source){.fd = -1, .fn = in_again_event, .name = "stdin-again"};
	in->again.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->again.fd < 0)
		return -errno;
	r = loop_add(loop, &in->again, EPOLLIN);
	if (r < 0)
		return r;
	return end_init(&in->end, loop, fd, false, in_event, "stdin");
}

int stdio_in_count(struct stdio_in *in, int job)
{
	in->counted = true;
	in->job = job;
	return in->end.kind == STDIO_CLOSED ? 0 : lookahead_init(&in->ahead, in->end.src.fd);
}

void stdio_in_fini(struct stdio_in *in)
{
	lookahead_fini(&in->ahead);
	end_fini(&in->end);
	loop_remove(&in->again);
	if (in->vs && in->again.fd >= 0)
		close(in->again.fd);
	in->vs = NULL;
}

void stdio_in_attach(struct stdio_in *in, struct vsock_conn *conn)
{
	in->conn = conn;
	stdio_in_pump(in);
}

void stdio_in_detach(struct stdio_in *in)
{
	in->conn = NULL;
	/* What the host still writes is for whoever reads stdin after us. */
	loop_remove(&in->end.src);
}

static ssize_t in_read(struct stdio_in *in)
{
	if (in->ahead.kind != LOOKAHEAD_NONE)
		return lookahead_read(&in->ahead, in->untaken, in->buf, sizeof(in->buf));
	if ((in->counted && in->untaken > 0) ||
	    (in->terminal && !job_has_terminal(in->end.src.fd, in->job)))
		return -EAGAIN;
	return end_read(&in->end, in->buf, sizeof(in->buf));
}

/* True if buf holds something now. */
static bool in_fill(struct stdio_in *in)
{
	ssize_t n;

	if (!in->end.ready)
		return false;
	n = in_read(in);
	if (n == -EAGAIN) {
		in->end.ready = false;
		return false;
	}
	if (n <= 0) {
		in->ended = true;
		vsock_conn_shutdown_write(in->conn);
		loop_remove(&in->end.src);
		return false;
	}
	in->start = 0;
	in->len = (size_t)n;
	return true;
}

/* n bytes of buf are the guest's now. */
static void in_sent(struct stdio_in *in, size_t n)
{
	in->start += n;
	in->len -= n;
	if (in->counted)
		in->untaken += n;
	/* They are where they were, and looked at again when there is room. */
	if (in->ahead.kind != LOOKAHEAD_NONE)
		in->len = 0;
}

void stdio_in_pump(struct stdio_in *in)
{
	for (unsigned int step = 0; in->conn && !in->ended; step++) {
		ssize_t n;
		bool all;

		if (step == IN_STEPS) {
			(void)!eventfd_write(in->again.fd, 1);
			return;
		}
		if (in->len == 0 && !in_fill(in))
			return;
		n = vsock_conn_write(in->conn, in->buf + in->start, in->len);
		if (n < 0) {
			stdio_in_detach(in);
			return;
		}
		all = (size_t)n == in->len;
		in_sent(in, (size_t)n);
		/* The connection will say when it takes more. */
		if (!all)
			return;
	}
}

void stdio_in_taken(struct stdio_in *in, uint32_t total)
{
	const size_t n = min_size(total - in->taken, in->untaken);

	if (n == 0)
		return;
	in->taken += (uint32_t)n;
	in->untaken -= n;
	lookahead_take(&in->ahead, n);
	/* What comes where there is room now is announced. */
	if (in->ahead.kind != LOOKAHEAD_PIPE || in->ahead.limited || in->untaken == 0)
		in->end.ready = true;
	stdio_in_pump(in);
}

static void run_out_pump(void *arg)
{
	struct stdio_out *out = arg;

	stdio_out_pump(out);
	out->moved(out);
}

static void out_event(struct loop_source *src, uint32_t events)
{
	struct stdio_out *out = CONTAINER_OF(src, struct stdio_out, end.src);

	(void)events;
	out->end.ready = true;
	vsock_run(out->vs, run_out_pump, out);
}

int stdio_out_init(struct stdio_out *out, struct loop *loop, struct vsock *vs, int fd,
		   const char *name, void (*moved)(struct stdio_out *out))
{
	*out = (struct stdio_out){.vs = vs, .name = name, .moved = moved};
	return end_init(&out->end, loop, fd, true, out_event, name);
}

void stdio_out_fini(struct stdio_out *out)
{
	end_fini(&out->end);
}

void stdio_out_attach(struct stdio_out *out, struct vsock_conn *conn)
{
	out->conn = conn;
	stdio_out_pump(out);
}

void stdio_out_detach(struct stdio_out *out)
{
	out->conn = NULL;
	out->owed = 0;
}

/* As with a pipe whose reader has gone: the guest's writer gets EPIPE. */
static void out_break(struct stdio_out *out, int error)
{
	if (error != -EPIPE && error != -ECONNRESET)
		log_error("cannot write to %s: %s", out->name, strerror(-error));
	out->broken = true;
	out->owed = 0;
	loop_remove(&out->end.src);
	vsock_conn_shutdown_read(out->conn);
}

void stdio_out_pump(struct stdio_out *out)
{
	struct iovec iov[2];
	unsigned int n_iov;

	if (!out->conn)
		return;
	/* A second connection for a stream that is broken already. */
	if (out->broken) {
		vsock_conn_shutdown_read(out->conn);
		return;
	}
	while (out->end.ready && (n_iov = vsock_conn_peek(out->conn, iov)) > 0) {
		ssize_t n = end_write(&out->end, iov, n_iov);

		if (n == -EAGAIN) {
			out->end.ready = false;
			return;
		}
		if (n < 0) {
			out_break(out, (int)n);
			return;
		}
		vsock_conn_consume(out->conn, (size_t)n);
		out->owed -= min_size(out->owed, (size_t)n);
	}
}

void stdio_out_settle(struct stdio_out *out)
{
	out->owed = out->conn && !out->broken ? vsock_conn_pending(out->conn) : 0;
}

bool stdio_out_settled(const struct stdio_out *out)
{
	return out->owed == 0;
}
