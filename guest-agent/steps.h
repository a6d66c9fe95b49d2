/* SPDX-License-Identifier: MIT */
/* guest-agent/steps.h - what the guest's start was made of, for `sandcastle run --timeline`. */
#ifndef GUEST_AGENT_STEPS_H
#define GUEST_AGENT_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guest-agent/wire.h"

enum {
	STEPS_MAX = 28, /* of the agent */
	STEPS_KERNEL_MAX = 14,
	STEPS_NAME = 48,
};

/* Nanoseconds since the guest's kernel began. */
struct step {
	uint64_t begin, end;
	char name[STEPS_NAME];
	bool kernel;
};

/* Zeroed is empty, and begins with the kernel. */
struct steps {
	struct step list[STEPS_MAX + STEPS_KERNEL_MAX];
	size_t n;
	uint64_t last; /* end of the agent's last step */
};

/* Ends a step that began at the end of the one before. `what` may be NULL. */
void steps_mark(struct steps *s, const char *name, const char *what);

/*
 * One record of /dev/kmsg: when it was written, in nanoseconds, and where its
 * text begins; the text ends at a line feed. False if it is not one.
 */
bool steps_parse_record(const char *record, size_t len, uint64_t *when, const char **text);

/*
 * Adds the longest pauses between lines of the kernel's log until the agent
 * began. A log that cannot be read adds nothing.
 */
void steps_add_kernel(struct steps *s);

/* As fields of READY. */
void steps_put(const struct steps *s, struct wire_message *m);

#endif
