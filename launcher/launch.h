/* SPDX-License-Identifier: MIT */
/* launcher/launch.h - what `run` and `start` have in common: a process becomes a sandbox. */
#ifndef LAUNCHER_LAUNCH_H
#define LAUNCHER_LAUNCH_H

#include "vmm/config/config.h"

struct call;
struct timeline;

/*
 * Before anything is opened: inherited descriptors above 2, signals and limits as
 * a sandbox needs them.
 */
void launch_prepare(void);

/* run_options_parse() for this process: its user, directory, processors, terminal. */
int launch_parse(const struct call *call, struct sandbox_config *cfg) MUST_CHECK;

/*
 * Once the guest is set up; `name` is the sandbox's. NULL: does not matter. When
 * it is called nothing may be opened by name any more.
 */
typedef void (*launch_ready_fn)(const char *name, void *owner);

/*
 * Runs the sandbox to its end and returns the exit code. tie_fd: readable when it
 * is to end, borrowed, -1: none. Where the time went is added to `tl`, and
 * written as cfg->timeline says. May change cfg->name if that was generated.
 */
int launch(struct sandbox_config *cfg, int tie_fd, struct timeline *tl, launch_ready_fn ready,
	   void *owner);

/*
 * A descriptor that becomes readable when our parent ends, -1 if cfg does not
 * tie us to it. -errno: one line was logged. In the process that was started, not
 * in a child of it.
 */
int launch_tie(const struct sandbox_config *cfg, int *fd) MUST_CHECK;

/* What `run` does with its call, and `open` with its. Returns the exit code. */
int run_in_sandbox(struct call *call);

#endif
