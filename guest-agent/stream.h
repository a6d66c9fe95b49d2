/* SPDX-License-Identifier: MIT */
/* guest-agent/stream.h - one stdio stream of a command, or a connection, relayed to the host. */
#ifndef GUEST_AGENT_STREAM_H
#define GUEST_AGENT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"
#include "guest-agent/watch.h"

/*
 * DOC: relays
 *
 * A stream joins a socket to the host with the agent's end of a pipe, a pty or a connection.
 * Bytes are copied through a fixed buffer in pieces of 64 KiB: that is a whole
 * vsock packet and a whole pipe. splice() would save the copy, but hands vsock
 * one page at a time, sixteen packets and interrupts instead of one.
 *
 * The ends of a stream behave as those of a pipe:
 *   the host ends stdin                  the command reads end of file
 *   the command closes its stdin         the socket is closed, the host's writes fail
 *   the command closes stdout            the socket is closed after the last byte
 *   the host no longer reads stdout      the pipe is closed, the command gets SIGPIPE
 *   the host closes a tty's socket       the pty is closed, the session gets SIGHUP
 *   either end of a socket ends its half the other end is told, and may go on
 *
 * What is not read of a command's stdin is to stay with the host, so it is told how much was:
 * what went into the pipe without what is still there. When the host has ended stdin the pipe's
 * end for writing is closed, and one for reading kept to see that.
 *
 * States: open -> draining (output only, the command has ended) -> closed.
 */

enum { STREAM_BUFFER = 64 * 1024 };

enum stream_kind {
	STREAM_IN, /* host to guest */
	STREAM_OUT, /* guest to host */
	STREAM_TTY, /* both, with a pty */
	STREAM_SOCKET, /* both, with a socket: each end ends its half */
};

/* Of a stream's two one may be unused: memory that is never touched is never there. */
struct relay {
	size_t start, end; /* what the buffer holds */
	bool eof; /* the source has nothing more */
	bool done; /* and the sink has all of it, or refuses it */
	uint32_t passed; /* bytes the sink took, modulo 2^32 */
	uint8_t buf[STREAM_BUFFER];
};

struct stream;
typedef void (*stream_fn)(struct stream *s);

/* Embed and come back with CONTAINER_OF(). Zeroed is a closed stream. */
struct stream {
	enum stream_kind kind;
	bool open, draining;
	bool ended; /* STREAM_IN: the host will send no more, the command may still read */
	uint32_t told; /* STREAM_IN: how much the host knows to be read */
	bool untold; /* STREAM_IN: and it was a little more when we last looked */
	size_t drain_left; /* bytes still to take from the source while draining */
	struct watch host, local;
	struct relay in, out; /* host to guest, guest to host */
	stream_fn closed;
};

/*
 * Takes both fds over, also on failure, and makes them non-blocking. `closed`
 * is called once, when the stream has ended by itself or after stream_drain();
 * it may free the stream. Not called by stream_close().
 */
int stream_start(struct stream *s, int epfd, enum stream_kind kind, int host_fd, int local_fd,
		 stream_fn closed) MUST_CHECK;

/*
 * The command has ended: input is dropped at once; output ends with what the
 * pipe or pty holds now, so that a process left behind in the background,
 * which keeps the other end open, is not waited for. May call `closed`.
 */
void stream_drain(struct stream *s);
/* STREAM_IN: something may have been read of it; the host is told if that is worth it, or `all`. */
void stream_tell_read(struct stream *s, bool all);
void stream_close(struct stream *s);

#endif
