/* SPDX-License-Identifier: MIT */
/* launcher/config/settings.h - one setting at a time, from the command line or a file, checked. */
#ifndef LAUNCHER_CONFIG_SETTINGS_H
#define LAUNCHER_CONFIG_SETTINGS_H

#include "launcher/config/map.h"
#include "launcher/config/run_options.h"
#include "vmm/config/config.h"

/* What settings are applied to. The caller says before each where it comes from. */
struct settings {
	struct sandbox_config *cfg;
	const struct run_host *host;
	struct map_base base; /* what paths are relative to */
	const char *what; /* what the user calls the setting, "--memory" or "memory" */
	size_t n_env; /* in cfg->env */
};

/* Borrows both; fills cfg, which is initialised, with what holds if nothing is said. Logs. */
int settings_init(struct settings *s, const struct run_host *host,
		  struct sandbox_config *cfg) MUST_CHECK;

/* When all is said: checks the maps together, and makes up a name if there is none. Logs. */
int settings_finish(struct settings *s) MUST_CHECK;

/*
 * Each checks `text`, logs one line that begins with s->what if it is not good,
 * and takes the place of what was set before (a variable: of the same one).
 */
int setting_env(struct settings *s, const char *text) MUST_CHECK;
int setting_cpus(struct settings *s, const char *text) MUST_CHECK;
int setting_memory(struct settings *s, const char *text) MUST_CHECK;
int setting_timeout(struct settings *s, const char *text) MUST_CHECK;
int setting_name(struct settings *s, const char *text) MUST_CHECK;
int setting_workdir(struct settings *s, const char *text) MUST_CHECK;
/* Any text but an empty one, into a string of cfg. */
int setting_text(struct settings *s, char **field, const char *text) MUST_CHECK;

/* Puts a copy of `value` in the place of *field. Logs if there is no memory. */
int settings_string(char **field, const char *value) MUST_CHECK;

#endif
