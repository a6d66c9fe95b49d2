/* SPDX-License-Identifier: MIT */
/* vmm/confine/policy_table.h - the table of allowed calls (policy.def) as data, and what it says of one call. */
#ifndef VMM_CONFINE_POLICY_TABLE_H
#define VMM_CONFINE_POLICY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/confine/policy.h"

enum policy_rule {
	POLICY_ANY, /* whatever the arguments */
	POLICY_BITS, /* if (argument & mask) == value; its low 32 bits, as in all rules */
	POLICY_SELF, /* if it is this process's number */
	POLICY_RENDERER, /* if it is the renderer's number */
};

struct policy_row {
	unsigned int
		roles; /* a bit for each enum policy_role; 0: whoever makes the call is ended */
	int nr;
	const char *call;
	enum policy_rule rule;
	unsigned int arg;
	uint32_t mask, value;
	const char *rule_text; /* "": any */
	const char *reason;
};

extern const struct policy_row policy_rows[];
extern const size_t policy_n_rows;

/* The word for a role in what is printed: also the thread's name, but for vCPUs and the main loop. */
const char *policy_role_name(enum policy_role role);
/* Whether the row speaks of this role; one that kills speaks of all. */
bool policy_row_is_for(const struct policy_row *row, enum policy_role role);
/* How many different calls a role may make. */
unsigned int policy_count(enum policy_role role);
/* The errno of a call that some row allows, but not with these arguments. */
int policy_wrong_argument(int nr);

#endif
