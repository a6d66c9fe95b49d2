/* SPDX-License-Identifier: MIT */
/* vmm/park.h - a guest is held for a moment, and written down, while its sandbox starts. */
#ifndef VMM_PARK_H
#define VMM_PARK_H

#include <stdbool.h>

#include "common/loop.h"
#include "vmm/template.h"

struct machine;
struct session;

/* Embedded; zeroed is "not used". Loop thread. */
struct park {
	struct machine *machine;
	struct session *session;
	const struct template_store *store; /* borrowed */
	bool in_passing; /* nobody asked for it: it is not worth a second try, nor an error */
	void (*failed)(void *owner); /* the machine cannot go on; a line was logged */
	void *owner;

	struct loop_timer again; /* vCPUs or devices are at work */
	unsigned int tries, pauses;
	bool paused; /* no vCPU runs */
	int error; /* of making it */
};

/* The other fields are set. -errno. */
int park_init(struct park *p, struct loop *loop) MUST_CHECK;
/*
 * The guest has said that it is parked. It goes on by itself in a moment, whether a template was
 * made of it or not.
 */
void park_parked(struct park *p);
/* 0: there is a template now, or none was asked for; -errno: a line says why not. */
int park_fini(struct park *p);

#endif
