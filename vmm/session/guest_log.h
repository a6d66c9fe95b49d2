/* SPDX-License-Identifier: MIT */
/* vmm/session/guest_log.h - the last of what the guest's kernel and agent said on their consoles. */
#ifndef VMM_SESSION_GUEST_LOG_H
#define VMM_SESSION_GUEST_LOG_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"

enum { GUEST_LOG_SIZE = 16 * 1024 };

/* Any thread. Embedded; guest_log_init() and _fini() around its life. */
struct guest_log {
	pthread_mutex_t lock;
	char ring[GUEST_LOG_SIZE];
	size_t written; /* bytes ever */
	bool echo; /* to stderr too, as it comes */

	struct loop *loop; /* on which grew() is called; NULL: nobody waits */
	struct loop_task task;
	bool posted;
	void (*grew)(void *owner);
	void *owner;
};

void guest_log_init(struct guest_log *log, bool echo);
void guest_log_fini(struct guest_log *log);

void guest_log_add(struct guest_log *log, const void *buf, size_t len);
/* A line of ours, without its newline; it begins one of its own. */
void guest_log_line(struct guest_log *log, const char *line);

/*
 * Up to `lines` lines into buf (NUL-terminated), each indented, printable
 * characters only, no newline at the end: the last ones, or, with `from`, those
 * from the line on in which that text stands first ("" if it is nowhere). A
 * guest chooses what stands there.
 */
void guest_log_excerpt(struct guest_log *log, const char *from, unsigned int lines, char *buf,
		       size_t size);

/*
 * What was said from position `from` on, in bytes ever said, as far as it is kept
 * and fits into buf: printable characters, tabs and newlines, '?' for the rest,
 * NUL-terminated. Returns the position behind it; *start is that of the first byte.
 */
uint64_t guest_log_read(struct guest_log *log, uint64_t from, char *buf, size_t size,
			uint64_t *start);

/* Where what is said next will stand: the bytes ever said. */
uint64_t guest_log_end(struct guest_log *log);

/*
 * Calls grew() on the loop's thread soon after something was said, once for all that was said
 * until then; loop NULL: no more. The log must outlive the loop. That thread.
 */
void guest_log_watch(struct guest_log *log, struct loop *loop, void (*grew)(void *owner),
		     void *owner);

#define GUEST_LOG_PANIC "Kernel panic - not syncing: "

/*
 * The kernel's reason if it said on the console that it panicked: the text
 * after GUEST_LOG_PANIC, else false and reason is "".
 */
bool guest_log_panic(struct guest_log *log, char *reason, size_t size);

#endif
