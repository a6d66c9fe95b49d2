/* SPDX-License-Identifier: MIT */
/* guest-agent/modules.h - the kernel modules in the initramfs. */
#ifndef GUEST_AGENT_MODULES_H
#define GUEST_AGENT_MODULES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/util.h"
#include "guest-agent/steps.h"
#include "guest-agent/text.h"

/*
 * DOC: two rounds
 *
 * Those a sandbox needs to run a command are loaded first, in the order of the
 * list. The optional ones ("?") follow once the first command runs, so that
 * they cost its start nothing; none of the first may need one of the second.
 * A module's file is deleted when it is loaded, for the memory it occupies.
 *
 * DOC: signatures
 *
 * Distributions sign modules, and to check that costs the kernel about 20
 * million instructions a module: seven eighths of the agent's start. It would
 * prove nothing here, since the files and the kernel both come from the host's
 * own disk by way of the host's own process. So a module is given to the
 * kernel without the mark that says a signature follows, and whole only if the
 * kernel insists. The kernel then calls itself tainted ("E"), once, in its log.
 */

enum modules_round { MODULES_NEEDED, MODULES_OPTIONAL };

struct module_line {
	char path[PATH_MAX]; /* relative to the initramfs's root */
	const char *params; /* in path's array, behind its NUL; "": none */
	bool optional;
};

/* Next line of the list, from *pos on. 1: *out filled; 0: the end; -EINVAL: a line too long. */
int modules_next(const char *list, size_t len, size_t *pos, struct module_line *out) MUST_CHECK;

/* How much of a module's file lies before the mark that ends a signed one; len if none does. */
size_t module_unmarked_length(const void *data, size_t len);

/*
 * Loads one round. `root_fd` is the initramfs's root directory. A module that
 * the kernel has already is fine. A needed one that fails is -errno, and
 * *why says which; an optional one that fails is passed over. Each is a step.
 */
int modules_load(int root_fd, enum modules_round round, struct steps *steps,
		 struct text *why) MUST_CHECK;

#endif
