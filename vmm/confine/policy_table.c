/* SPDX-License-Identifier: MIT */
#include "vmm/confine/policy_table.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/util.h"

/* Linux 6.13; older headers lack it. */
#ifndef MADV_GUARD_REMOVE
#define MADV_GUARD_REMOVE 103
#endif

#define LOOP	 (1u << POLICY_LOOP | 1u << POLICY_TEMPLATE)
#define TEMPLATE (1u << POLICY_TEMPLATE)
#define FILES	 (1u << POLICY_FILES)
#define POWER	 (1u << POLICY_POWER)
#define NET	 (1u << POLICY_NET)
#define DISPLAY	 (1u << POLICY_DISPLAY)
#define VCPU	 (1u << POLICY_VCPU)
#define LOOPS	 (LOOP | FILES | POWER | NET | DISPLAY)
#define EVERY	 (LOOPS | VCPU)

/* Rules: four values of struct policy_row. */
#define BITS(arg, mask, value) POLICY_BITS, (arg), (mask), (value)
#define IS(arg, value)	       POLICY_BITS, (arg), UINT32_MAX, (uint32_t)(value)
#define SELF(arg)	       POLICY_SELF, (arg), 0, 0
#define RENDERER(arg)	       POLICY_RENDERER, (arg), 0, 0

#define ALLOW(roles, call, reason) {(roles), SYS_##call, #call, POLICY_ANY, 0, 0, 0, "", (reason)},
#define ALLOW_IF(roles, call, rule, text, reason) \
	{(roles), SYS_##call, #call, rule, (text), (reason)},
#define KILL(call, reason) {0, SYS_##call, #call, POLICY_ANY, 0, 0, 0, "", (reason)},

const struct policy_row policy_rows[] = {
#include "vmm/confine/policy.def"
};

const size_t policy_n_rows = ARRAY_SIZE(policy_rows);

const char *policy_role_name(enum policy_role role)
{
	static const char *const names[POLICY_ROLES] = {
		[POLICY_LOOP] = "loop",	  [POLICY_TEMPLATE] = "template",
		[POLICY_FILES] = "files", [POLICY_POWER] = "power",
		[POLICY_NET] = "net",	  [POLICY_DISPLAY] = "display",
		[POLICY_VCPU] = "vcpu",
	};

	return names[role];
}

bool policy_row_is_for(const struct policy_row *row, enum policy_role role)
{
	return row->roles == 0 || (row->roles >> role & 1u) != 0;
}

/* Rows of one call need not be neighbours: a row counts if it is its call's first for this role. */
static bool is_first(size_t i, enum policy_role role)
{
	for (size_t j = 0; j < i; j++)
		if (policy_rows[j].nr == policy_rows[i].nr &&
		    policy_row_is_for(&policy_rows[j], role))
			return false;
	return true;
}

unsigned int policy_count(enum policy_role role)
{
	unsigned int n = 0;

	for (size_t i = 0; i < policy_n_rows; i++)
		n += policy_rows[i].roles != 0 && policy_row_is_for(&policy_rows[i], role) &&
		     is_first(i, role);
	return n;
}

int policy_wrong_argument(int nr)
{
	return nr == SYS_ioctl ? ENOTTY : EPERM;
}
