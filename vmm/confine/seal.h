/* SPDX-License-Identifier: MIT */
/* vmm/confine/seal.h - gives up what a process will not need again: calls, files, growth. */
#ifndef VMM_CONFINE_SEAL_H
#define VMM_CONFINE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

enum { SEAL_MAX_VALUES = 4 };

/* A system call that stays allowed. */
struct seal_call {
	int nr; /* SYS_* */
	/* With values: only if the low 32 bits of argument `arg`, under the mask, are one of them. */
	unsigned int arg, n_values;
	uint32_t mask; /* 0: all bits */
	uint32_t values[SEAL_MAX_VALUES];
};

/* With SEAL_THREADS it is left to seal_calls() that there are threads, but no processes. */
enum seal_growth { SEAL_ALONE, SEAL_THREADS };

/*
 * No privileges by exec, no core file, not readable by other processes of the
 * user, at most `files` descriptors, no further processes. -errno.
 */
int seal_limits(unsigned int files, enum seal_growth growth) MUST_CHECK;

/*
 * The process and what it starts reach only what lies below these directories,
 * and read it only; directories that do not exist are passed over. -ENOTSUP: the
 * kernel has no Landlock, nothing has changed.
 */
int seal_paths(const char *const *readable, size_t n) MUST_CHECK;

/*
 * From here on all threads make these calls only. Others fail with ENOSYS, as
 * C libraries expect of an older kernel; a few that nothing here makes by mistake
 * (exec, ptrace and their kind) end the process. After seal_limits(). -errno.
 */
int seal_calls(const struct seal_call *calls, size_t n) MUST_CHECK;

#endif
