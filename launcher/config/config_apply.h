/* SPDX-License-Identifier: MIT */
/* launcher/config/config_apply.h - from what a file says to a checked configuration. */
#ifndef LAUNCHER_CONFIG_CONFIG_APPLY_H
#define LAUNCHER_CONFIG_CONFIG_APPLY_H

#include "launcher/config/config_file.h"
#include "launcher/config/settings.h"

enum config_apply_flags {
	CONFIG_APPLY_COMMANDS =
		1, /* its commands too, as cfg->commands; else they are passed over */
	CONFIG_APPLY_QUIETLY = 2, /* without a warning for each thing that is not supported yet */
};

/*
 * Applies f's settings and opens its maps. `flags` of enum config_apply_flags. Lines begin
 * with "path:line: ". s->base is as before on return. -errno: one line was logged.
 */
int config_apply(struct settings *s, const struct config_file *f, unsigned int flags) MUST_CHECK;

/* For a sandbox that ends with its commands: they become cfg->argv. Logs. */
int config_commands_to_argv(struct sandbox_config *cfg) MUST_CHECK;

/*
 * cfg's first n maps came from a file, the others from the command line: one
 * of the first goes where another has its place in the guest.
 */
void config_prefer_later_maps(struct sandbox_config *cfg, size_t n);

#endif
