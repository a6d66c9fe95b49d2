/* SPDX-License-Identifier: MIT */
/* guest-agent/exec.h - from the agent to a running program. */
#ifndef GUEST_AGENT_EXEC_H
#define GUEST_AGENT_EXEC_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/agent_protocol.h"
#include "common/util.h"
#include "guest-agent/text.h"
#include "guest-agent/users.h"

/* All borrowed. */
struct exec_plan {
	const struct user *user;
	const gid_t *groups;
	size_t n_groups;
	const char *const *argv; /* NULL-terminated */
	const char *const *env; /* NULL-terminated; its PATH finds argv[0] */
	const char *cwd;
	bool cwd_may_fail; /* then "/" */
	bool tty; /* stdio[0] is a terminal, to be the session's own */
	bool session; /* shown on the display, see desktop.h; then it counts as running at once */
	uint64_t limits[SC_LIMITS]; /* 0: none */
	int stdio[3]; /* what become descriptors 0, 1 and 2 */
};

/* A process on its way to the program. */
struct exec_child {
	pid_t pid;
	int status_fd; /* says how that went */
};

/*
 * Starts a process that is to become the program, as leader of a session of its
 * own, with default signal actions. -errno and *why: there is none.
 */
int exec_begin(const struct exec_plan *plan, struct exec_child *out, struct text *why) MUST_CHECK;

/*
 * Returns once it runs, and *child is its pid. On failure -errno of the exec (-ENOENT: no
 * such command, -EACCES, -ENOEXEC: not one) or of a step before it, and *why; it is gone then.
 */
int exec_await(const struct exec_plan *plan, struct exec_child *child, struct text *why) MUST_CHECK;
/*
 * What is said of a failure that is not the program's, as a user or a directory that is not there:
 * -ENOENT is the program's alone, since who asked for it acts on that.
 */
int exec_not_the_program(int err);
/* Instead: it is not wanted any more. */
void exec_abandon(struct exec_child *child);

/* In a child as root: becomes the plan's program, as its user and in its directory. -errno. */
int exec_become(const struct exec_plan *plan) MUST_CHECK;
/* Whether there is such a program: 0, or the -errno of running it. */
int exec_find(const struct exec_plan *plan) MUST_CHECK;

#endif
