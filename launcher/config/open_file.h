/* SPDX-License-Identifier: MIT */
/* launcher/config/open_file.h - from `sandcastle open FILE` to what is shown. */
#ifndef LAUNCHER_CONFIG_OPEN_FILE_H
#define LAUNCHER_CONFIG_OPEN_FILE_H

#include <stdbool.h>

#include "launcher/config/settings.h"

/* Whether `open` starts the sandbox that the file describes, by its name: .sandbox, .wsb. */
bool open_is_config(const char *path);

/*
 * Completes a configuration whose settings are all there, so that it shows a program in a
 * window: the application for the file cfg->argv[0], which is mapped, alone and read-only, into
 * the home directory; or, without argv, a file manager or terminal, beside which cfg->commands
 * run. Replaces cfg->argv. Logs.
 */
int open_apply(struct settings *s) MUST_CHECK;

#endif
