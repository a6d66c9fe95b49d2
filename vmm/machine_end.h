/* SPDX-License-Identifier: MIT */
/* vmm/machine_end.h - how a machine comes to its end by itself, and who is told. */
#ifndef VMM_MACHINE_END_H
#define VMM_MACHINE_END_H

#include <pthread.h>
#include <stdbool.h>

#include "common/loop.h"

enum machine_end_kind {
	MACHINE_POWERED_OFF,
	MACHINE_RESET, /* reboot; also after a panic, see guest_log_panic() */
	MACHINE_FAILED,
};

struct machine_end {
	enum machine_end_kind kind;
	char why[160]; /* MACHINE_FAILED: cause and cure, one line */
};

/* On the loop's thread, at most once. */
typedef void (*machine_end_fn)(void *owner, const struct machine_end *end);

/* Takes the end from whichever thread finds it to the loop's. Embedded. */
struct end_notice {
	machine_end_fn fn;
	void *owner;
	pthread_mutex_t lock;
	bool has_ended;
	struct machine_end end;
	struct loop_source event; /* an eventfd */
};

/* loop: borrowed until end_notice_fini(). On failure there is nothing to finish. */
int end_notice_init(struct end_notice *n, struct loop *loop, machine_end_fn fn,
		    void *owner) MUST_CHECK;
/* Of an initialised one, or of a zeroed one. */
void end_notice_fini(struct end_notice *n);
/* The first end is told, others are not. Any thread. */
void end_notice_give(struct end_notice *n, const struct machine_end *end);

#endif
