/* SPDX-License-Identifier: MIT */
/* vmm/confine/policy_program.h - the table as programs for the kernel, which policy_gen writes at build time. */
#ifndef VMM_CONFINE_POLICY_PROGRAM_H
#define VMM_CONFINE_POLICY_PROGRAM_H

#include <linux/filter.h>

#include "vmm/confine/policy.h"

enum { POLICY_PROGRAM_MAX = 1024 };

/* Where a program compares with one of these, policy_load() puts a process's number. */
#define POLICY_IS_SELF	   0xfffffff1u
#define POLICY_IS_RENDERER 0xfffffff2u

struct policy_program {
	unsigned short len; /* at most POLICY_PROGRAM_MAX */
	const struct sock_filter *code;
};

extern const struct policy_program policy_programs[POLICY_ROLES];

#endif
