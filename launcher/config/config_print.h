/* SPDX-License-Identifier: MIT */
/* launcher/config/config_print.h - what a file of settings means on this host, for people and programs. */
#ifndef LAUNCHER_CONFIG_CONFIG_PRINT_H
#define LAUNCHER_CONFIG_CONFIG_PRINT_H

#include <stdio.h>

#include "launcher/config/config_file.h"

/* `cfg` is what `f` was applied to. Maps are those of f. */
void config_print(const struct config_file *f, const struct sandbox_config *cfg, FILE *out);
/* One object and a newline (sandcastle.1). -ENOMEM or -EIO. */
int config_print_json(const struct config_file *f, const struct sandbox_config *cfg,
		      FILE *out) MUST_CHECK;

#endif
