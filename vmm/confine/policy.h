/* SPDX-License-Identifier: MIT */
/* vmm/confine/policy.h - each thread of a sandbox gives up the system calls that it does not need. */
#ifndef VMM_CONFINE_POLICY_H
#define VMM_CONFINE_POLICY_H

#include <sys/types.h>

#include "common/util.h"

/* What a thread does; policy.def says which calls that takes. */
enum policy_role {
	POLICY_LOOP, /* the main thread */
	POLICY_TEMPLATE, /* the main thread while a template may be made: it is LOOP afterwards */
	POLICY_FILES,
	POLICY_POWER,
	POLICY_NET,
	POLICY_DISPLAY,
	POLICY_VCPU,
	POLICY_ROLES,
};

/*
 * The calling thread makes the calls of `role` only, from here on and for good: a second filter
 * can only take away. `renderer`: the one process it may end; 0: none. The process has
 * PR_SET_NO_NEW_PRIVS already. -errno: nothing has changed. Does nothing in a build with sanitizers,
 * whose run time makes calls of its own.
 */
int policy_load(enum policy_role role, pid_t renderer) MUST_CHECK;

#endif
