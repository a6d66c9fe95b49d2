/* SPDX-License-Identifier: MIT */
/* vmm/confine/policy_trap.h - a build for tests says which refused call a thread has made. */
#ifndef VMM_CONFINE_POLICY_TRAP_H
#define VMM_CONFINE_POLICY_TRAP_H

#include "vmm/confine/policy.h"

#ifdef SANDCASTLE_POLICY_TRAP
/*
 * The calling thread, of this role, writes a line into the file that SANDCASTLE_POLICY_LOG names, else
 * to standard error, for each call that is refused. The call fails as it does in other builds.
 */
void policy_trap(enum policy_role role);
#else
static inline void policy_trap(enum policy_role role)
{
	(void)role;
}
#endif

#endif
