/* SPDX-License-Identifier: MIT */
/* vmm/sandbox.h - one sandbox from start to end: a machine, its agent, its commands. */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "image/base/base.h"
#include "image/kernel/kernel.h"
#include "vmm/config/config.h"

struct timeline;

/* Called on the main thread. */
struct sandbox_ops {
	/* The guest is set up. Optional. */
	void (*ready)(void *owner);
	/*
	 * The machine is gone; next, clients are hung up on. Whoever waits for that
	 * may then use the sandbox's name again. Optional.
	 */
	void (*gone)(void *owner);
};

struct sandbox_setup {
	struct sandbox_config *config; /* the descriptors of its maps and ports are taken over */
	struct base_image *base; /* its root is closed once the machine is built, */
	struct kernel_image *kernel; /* and its file */
	const struct agent_image *agent;
	int listen_fd; /* the control socket (vmm/control/control.h), borrowed; -1: none */
	/* The folder of that, locked, and the one it is in, borrowed; both stay usable by their numbers. */
	int run_fd, runs_fd; /* -1: none */
	int tie_fd; /* readable when the sandbox is to end, borrowed; -1: none */
	struct timeline *timeline; /* where the time went is added to it */
	const struct sandbox_ops *ops;
	void *owner;
};

/*
 * With config->argv runs that command in a sandbox of its own with this
 * process's stdio. Returns the exit code for the process, as podman has them:
 * the command's own; 128+n when signal n ended it or us; 127 not found; 126
 * cannot be executed; 124 config->timeout_ms ran out while it ran; 125
 * Sandcastle failed, and one line has been logged.
 *
 * Without runs a sandbox that is there for its clients until it is stopped: 0,
 * or 125.
 *
 * Takes over SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH,
 * SIGTSTP, SIGCONT and SIGPWR while it runs, and the terminal if config->tty. Main thread.
 */
int sandbox_run(const struct sandbox_setup *setup) MUST_CHECK;

#endif
