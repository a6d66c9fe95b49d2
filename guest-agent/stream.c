/* SPDX-License-Identifier: MIT */
#include "guest-agent/stream.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "guest-agent/text.h"

enum {
	/* Buffers moved before other streams get their turn. */
	ROUNDS = 4,
	/* More than a pty's two buffers hold; it cannot say how much it has. */
	PTY_HOLDS = 64 * 1024,
	/* Half of what a pipe holds: the host sends more while the rest is read. */
	READ_STEP = 32 * 1024,
};

/* One transfer into or out of the buffer. False: nothing more to do for now. */
static bool relay_step(struct relay *r, int from, int to, size_t limit)
{
	ssize_t n;

	if (r->start < r->end) {
		n = write(to, r->buf + r->start, r->end - r->start);
		if (n > 0) {
			r->start += (size_t)n;
			r->passed += (uint32_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			return false;
		} else if (n < 0 && errno != EINTR) {
			r->done = true;
		}
		return !r->done;
	}
	if (r->eof || limit == 0) {
		r->done = true;
		return false;
	}
	r->start = r->end = 0;
	n = read(from, r->buf, min_size(sizeof(r->buf), limit));
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n < 0 && errno == EINTR)
		return true;
	/* A pty without a process reports its end as EIO, a reset socket as an error too. */
	r->eof = n <= 0;
	r->end = n > 0 ? (size_t)n : 0;
	return true;
}

static void run_in(struct stream *s)
{
	for (unsigned int i = 0; i < 2 * ROUNDS && !s->in.done; i++)
		if (!relay_step(&s->in, s->host.fd, s->local.fd, SIZE_MAX))
			break;
}

static void run_out(struct stream *s)
{
	/* While draining to the end: no event announces that a pty is empty. */
	for (unsigned int i = 0; (i < 2 * ROUNDS || s->draining) && !s->out.done; i++) {
		bool reads = s->out.start == s->out.end;
		bool more = relay_step(&s->out, s->local.fd, s->host.fd,
				       s->draining ? s->drain_left : SIZE_MAX);

		if (s->draining && reads) {
			if (more && !s->out.done)
				s->drain_left -= s->out.end;
			else
				s->out.done = true; /* empty now: that was all */
		}
		if (!more)
			break;
	}
}

/*
 * A source is watched only while its buffer is empty: a hang-up is reported as
 * long as it is not read, and would keep the loop busy. A sink is always
 * watched, for the moment its reader goes away.
 */
static int update_watch(struct watch *w, bool is_sink, bool wants_read, bool wants_write)
{
	if (!is_sink && !wants_read && !wants_write) {
		watch_off(w);
		return 0;
	}
	return watch_set(w, (wants_read ? EPOLLIN : 0U) | (wants_write ? EPOLLOUT : 0U));
}

/* The half that has just ended is ended at the other socket as well. */
static void pass_end_on(const struct relay *r, bool was_done, int sink)
{
	if (r->done && !was_done)
		(void)shutdown(sink, SHUT_WR);
}

static void run_both(struct stream *s)
{
	const bool in_was_done = s->in.done, out_was_done = s->out.done;

	if (!s->in.done)
		run_in(s);
	if (!s->out.done)
		run_out(s);
	if (s->kind != STREAM_SOCKET)
		return;
	pass_end_on(&s->in, in_was_done, s->local.fd);
	pass_end_on(&s->out, out_was_done, s->host.fd);
}

static int update_watches(struct stream *s)
{
	const bool in_held = s->in.start < s->in.end, out_held = s->out.start < s->out.end;
	/* A socket is a sink as long as something may still go there. */
	const bool socket = s->kind == STREAM_SOCKET;
	const bool host_is_sink = socket ? !s->out.done : s->kind != STREAM_IN;
	const bool local_is_sink = socket ? !s->in.done : s->kind == STREAM_IN;
	int r = update_watch(&s->host, host_is_sink, !s->in.done && !in_held, out_held);

	if (r == 0)
		r = update_watch(&s->local, local_is_sink, !s->out.done && !out_held,
				 !s->in.done && in_held);
	return r;
}

/* The end for writing is exchanged for one for reading. False: there is nothing more to see. */
static bool end_stdin(struct stream *s)
{
	struct text path = {.len = 0};
	int fd;

	text_add(&path, "/proc/self/fd/");
	text_add_u32(&path, (uint32_t)s->local.fd);
	fd = open(path.buf, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	watch_off(&s->host);
	watch_off(&s->local);
	close(s->local.fd);
	s->local.fd = fd;
	s->ended = true;
	return true;
}

static void tell_read(struct stream *s, bool last)
{
	int holds = 0;
	uint32_t taken, message;

	if (s->kind != STREAM_IN || ioctl(s->local.fd, FIONREAD, &holds) < 0)
		return;
	taken = s->in.passed - (uint32_t)holds;
	s->untold = taken != s->told;
	if (!s->untold || (!last && holds > 0 && taken - s->told < READ_STEP))
		return;
	message = htole32(taken);
	if (write(s->host.fd, &message, sizeof(message)) == (ssize_t)sizeof(message))
		s->told = taken;
	s->untold = taken != s->told;
}

void stream_tell_read(struct stream *s, bool all)
{
	if (s->open)
		tell_read(s, all);
}

static void stream_run(struct stream *s)
{
	if (s->ended && !s->draining)
		return;
	run_both(s);
	if (s->kind == STREAM_IN && s->in.eof && s->in.done && s->in.start == s->in.end &&
	    !s->draining && end_stdin(s))
		return;
	/* A tty ends with its output. */
	if ((s->out.done && (s->in.done || s->kind == STREAM_TTY)) || update_watches(s) < 0) {
		stream_close(s);
		s->closed(s);
	}
}

static void host_event(struct watch *w, uint32_t events)
{
	struct stream *s = CONTAINER_OF(w, struct stream, host);

	if (events & (EPOLLHUP | EPOLLERR)) {
		/* Its stdin, or what it sent last, may still have bytes to be read before that. */
		if (s->kind != STREAM_IN)
			s->out.done = true;
		if (s->kind == STREAM_OUT || s->kind == STREAM_TTY)
			s->in.done = true;
	}
	stream_run(s);
}

static void local_event(struct watch *w, uint32_t events)
{
	struct stream *s = CONTAINER_OF(w, struct stream, local);

	/* Nobody can read this stdin any more, or what is sent to this socket. */
	if ((events & EPOLLERR && s->kind == STREAM_IN) ||
	    (events & (EPOLLERR | EPOLLHUP) && s->kind == STREAM_SOCKET))
		s->in.done = true;
	stream_run(s);
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int stream_start(struct stream *s, int epfd, enum stream_kind kind, int host_fd, int local_fd,
		 stream_fn closed)
{
	int r;

	s->kind = kind;
	s->closed = closed;
	s->open = true;
	s->in.done = kind == STREAM_OUT;
	s->out.done = kind == STREAM_IN;
	watch_init(&s->host, epfd, host_fd, host_event);
	watch_init(&s->local, epfd, local_fd, local_event);
	r = set_nonblocking(host_fd);
	if (r == 0)
		r = set_nonblocking(local_fd);
	if (r == 0)
		r = update_watch(&s->host, kind != STREAM_IN, kind != STREAM_OUT, false);
	if (r == 0)
		r = update_watch(&s->local, kind == STREAM_IN, kind != STREAM_IN, false);
	if (r < 0)
		stream_close(s);
	return r;
}

void stream_drain(struct stream *s)
{
	int holds = 0;

	if (!s->open || s->draining)
		return;
	s->in.done = true;
	s->draining = true;
	s->drain_left = PTY_HOLDS;
	if (s->kind == STREAM_OUT && ioctl(s->local.fd, FIONREAD, &holds) == 0)
		s->drain_left = holds > 0 ? (size_t)holds : 0;
	stream_run(s);
}

void stream_close(struct stream *s)
{
	if (!s->open)
		return;
	tell_read(s, true);
	s->open = false;
	watch_off(&s->host);
	watch_off(&s->local);
	close(s->host.fd);
	close(s->local.fd);
}
