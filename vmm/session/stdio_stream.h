/* SPDX-License-Identifier: MIT */
/* vmm/session/stdio_stream.h - pumps between an inherited file descriptor and a vsock connection. */
#ifndef VMM_SESSION_STDIO_STREAM_H
#define VMM_SESSION_STDIO_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "devices/vsock/vsock.h"
#include "vmm/session/lookahead.h"

/*
 * DOC: not blocking on descriptors that are not ours
 *
 * The shell and our siblings share our stdin, stdout and stderr: setting
 * O_NONBLOCK there would change it for all of them. So, by kind:
 *
 *   pipe, terminal   opened anew through /proc/self/fd with O_NONBLOCK, or used
 *                    as it is if it has that
 *   socket           MSG_DONTWAIT
 *   either, when that fails (it is another user's)
 *                    asked with poll() first; written in steps for which one that polls
 *                    writable has room: PIPE_BUF in a pipe, one byte in a terminal. Somebody
 *                    else who reads or writes at that very moment can make us wait.
 *   file, /dev/null  always ready, cannot be watched
 *
 * A descriptor is watched edge-triggered for as long as its pump lives and
 * `ready` remembers the edge, so moving data changes no watch. An input takes a
 * bounded number of steps and then asks the loop for another turn.
 *
 * Bytes are never kept here but for what one read returned: when the guest has
 * no room the input stops reading, when the host has none the bytes stay in the
 * connection's buffer and the guest runs out of credit.
 *
 * The input of a command is counted: what its command has not read stays in the
 * descriptor (vmm/session/lookahead.h). The agent says how much was read, and so much
 * is taken. Of what cannot be looked at, a terminal above all, one piece is read
 * and the next when the command has read that. A terminal is left alone while the job
 * it belongs to is in the background there.
 *
 * All on the loop thread. Functions that act on a connection are called with
 * the vsock lock held; the writing process must ignore SIGPIPE.
 */

enum { STDIO_BUFFER = 64 << 10 };

enum stdio_kind { STDIO_CLOSED, STDIO_OWN, STDIO_SOCKET, STDIO_SHARED, STDIO_FILE };

/* The host's end of a pump. */
struct stdio_end {
	struct loop_source src;
	enum stdio_kind kind;
	int own_fd; /* what we opened, or -1 */
	size_t step; /* STDIO_SHARED: bytes that can be written without waiting */
	bool ready; /* not known to have to wait */
};

/* Host to guest. */
struct stdio_in {
	struct stdio_end end;
	struct loop_source again; /* an eventfd: another turn, please */
	struct vsock *vs;
	struct vsock_conn *conn; /* NULL before and after */
	bool ended; /* the host's end of file was read */
	bool counted, terminal;
	int job; /* for job_has_terminal(), if it is a terminal; borrowed */
	size_t start, len; /* of buf: not written yet */
	struct lookahead ahead; /* counted */
	size_t untaken; /* counted: bytes written to conn that no command has read */
	uint32_t taken; /* counted: those it has read, modulo 2^32 */
	/* The host's end had something to say, or ended. Lock held. NULL: of no interest. */
	void (*moved)(struct stdio_in *in);
	uint8_t buf[STDIO_BUFFER];
};

/* Guest to host. */
struct stdio_out {
	struct stdio_end end;
	struct vsock *vs;
	struct vsock_conn *conn; /* NULL before and after */
	bool broken; /* the host's reader has gone: bytes are dropped */
	const char *name; /* "stdout": for messages */
	size_t owed; /* see stdio_out_settle() */
	/* Some bytes were moved or dropped because the host's end allowed it. Lock held. */
	void (*moved)(struct stdio_out *out);
};

/* fd is borrowed and must outlive the pump; a closed one reads as empty, writes as broken. An
 * input's `moved` may be set afterwards. */
int stdio_in_init(struct stdio_in *in, struct loop *loop, struct vsock *vs, int fd) MUST_CHECK;
int stdio_out_init(struct stdio_out *out, struct loop *loop, struct vsock *vs, int fd,
		   const char *name, void (*moved)(struct stdio_out *out)) MUST_CHECK;
/*
 * Before it is attached: conn's peer will say what was read, by stdio_in_taken(). job: as
 * struct command_spec has it. -errno.
 */
int stdio_in_count(struct stdio_in *in, int job) MUST_CHECK;
/* `total` bytes have been read since the start, modulo 2^32. A guest's word: any value is fine. */
void stdio_in_taken(struct stdio_in *in, uint32_t total);
/* The connection stays the caller's. Zeroed is fine. */
void stdio_in_fini(struct stdio_in *in);
void stdio_out_fini(struct stdio_out *out);

/* Starts pumping. The owner of conn calls pump from its readable() or writable(). */
void stdio_in_attach(struct stdio_in *in, struct vsock_conn *conn);
void stdio_out_attach(struct stdio_out *out, struct vsock_conn *conn);
void stdio_in_pump(struct stdio_in *in);
void stdio_out_pump(struct stdio_out *out);
/* Before conn goes; for an input also when the guest reads no more. */
void stdio_in_detach(struct stdio_in *in);
void stdio_out_detach(struct stdio_out *out);

/*
 * The bytes that have arrived by now are the last that matter;
 * stdio_out_settled() is true once they were written or cannot be.
 */
void stdio_out_settle(struct stdio_out *out);
bool stdio_out_settled(const struct stdio_out *out);

#endif
