/* SPDX-License-Identifier: MIT */
/* vmm/sandbox.h - one sandbox from start to end: a machine, its agent, one command. */
#ifndef VMM_SANDBOX_H
#define VMM_SANDBOX_H

#include <stddef.h>

#include "image/kernel.h"
#include "vmm/config.h"

struct timeline;

/*
 * Runs cfg->argv in a sandbox of its own with this process's stdio. Returns the
 * exit code for the process, as podman has them: the command's own; 128+n when
 * signal n ended it or us; 127 not found; 126 cannot be executed; 124 cfg->timeout_ms
 * ran out while it ran; 125 Sandcastle failed, and one line has been logged.
 *
 * Takes over SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH and
 * SIGPWR while it runs, and the terminal if cfg->tty. Where the time went is
 * added to `tl`. Main thread.
 */
int sandbox_run(const struct sandbox_config *cfg, const struct kernel_image *kernel,
		const void *agent, size_t agent_len, struct timeline *tl) MUST_CHECK;

#endif
