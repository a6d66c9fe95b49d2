/* SPDX-License-Identifier: MIT */
/* vmm/session/lookahead.h - input that is looked at first, and taken when somebody has read it. */
#ifndef VMM_SESSION_LOOKAHEAD_H
#define VMM_SESSION_LOOKAHEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/util.h"

/*
 * DOC: looking without taking
 *
 * What a command has not read stays in the input for whoever reads it next, so bytes are
 * copied to the guest first and taken from the input once its command has read them:
 *
 *   pipe             tee() into a pipe of ours, which is emptied again; taken by splice()
 *   stream socket    MSG_PEEK; taken by recv()
 *   file, disk       pread() behind the offset; taken by lseek()
 *   anything else    cannot be looked at: a terminal, another device, a socket of datagrams
 *
 * A pipe that much is read from is made larger, as far as the user may: the guest is shown no more
 * than it holds, and is not to wait for its writer each time.
 *
 * A look starts at the first byte that was not taken, so `skip` says how many bytes of it
 * were seen before. Nothing here waits, whatever flags the descriptor has.
 */

enum lookahead_kind { LOOKAHEAD_NONE, LOOKAHEAD_PIPE, LOOKAHEAD_SOCKET, LOOKAHEAD_FILE };

struct lookahead {
	enum lookahead_kind kind;
	int fd; /* borrowed */
	int copy[2]; /* LOOKAHEAD_PIPE: our pipe, empty between calls */
	bool whole; /* ours holds all that theirs can hold */
	bool limited; /* the last look ended where we may not look further, though there may be more */
	size_t taken; /* LOOKAHEAD_PIPE: until it was made larger */
};

/* fd is borrowed until lookahead_fini(). LOOKAHEAD_NONE is no failure. */
int lookahead_init(struct lookahead *la, int fd) MUST_CHECK;
void lookahead_fini(struct lookahead *la); /* zeroed is fine */

/*
 * At most len bytes, those behind the next `skip`: how many; 0: there is nothing and nothing will
 * follow, errors included; -EAGAIN: nothing now.
 */
ssize_t lookahead_read(struct lookahead *la, size_t skip, void *buf, size_t len);
/* The next n bytes have been read by somebody. */
void lookahead_take(struct lookahead *la, size_t n);

#endif
