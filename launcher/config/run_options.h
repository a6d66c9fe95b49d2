/* SPDX-License-Identifier: MIT */
/* launcher/config/run_options.h - from `sandcastle run ...` or `start ...` to a checked configuration. */
#ifndef LAUNCHER_CONFIG_RUN_OPTIONS_H
#define LAUNCHER_CONFIG_RUN_OPTIONS_H

#include <stdbool.h>

#include "vmm/config/config.h"

struct call;

/* What is true of the process that asks; tests make their own. */
struct run_host {
	const char *cwd; /* absolute; NULL if it is gone */
	struct config_user user; /* borrowed strings */
	unsigned int cpus; /* that this process may run on */
	uint64_t memory; /* of the host, bytes */
	bool tty; /* stdin and stdout are terminals */
};

/* The process that runs this, and `cwd`, which it borrows; its user's strings are getpwuid()'s. */
void run_host_describe(struct run_host *host, const char *cwd);

/*
 * `call` is of `run` or `start` and has the whole command line, argv[0] included. 0: *cfg is complete and checked, its maps are open.
 * 1: help was asked for and is printed. -errno: one line was logged. *cfg is
 * initialised in all cases and the caller's to fini. Sets the log level (-v).
 */
int run_options_parse(const struct call *call, const struct run_host *host,
		      struct sandbox_config *cfg) MUST_CHECK;

#endif
