/* SPDX-License-Identifier: MIT */
/* launcher/config/settings.h - one setting at a time, from the command line or a file, checked. */
#ifndef LAUNCHER_CONFIG_SETTINGS_H
#define LAUNCHER_CONFIG_SETTINGS_H

#include "launcher/config/map.h"
#include "launcher/config/run_options.h"
#include "launcher/options.h"
#include "vmm/config/config.h"

/*
 * DOC: a setting is one row
 *
 * Each row of settings_rows is an option of `run` and `start`, a key of .sandbox files
 * (SETTING_FILE), or both. The help text, getopt, the readers of files and their hints,
 * `sandcastle config` and completion read the rows. A row without a setter is a key that is
 * understood and not supported: `arg` is the one value that is what every sandbox has, and
 * `help` says what it has instead of another.
 */
enum setting_flags {
	SETTING_FIRST = 1, /* looked for before all others */
	SETTING_FILE = 2, /* a key of .sandbox files */
	SETTING_PATH = 4, /* in a file: relative to it, unless it is one of arg's words */
	/* What is at `at` in struct sandbox_config, if not a string. */
	SETTING_LIST = 8, /* strings, ended by NULL; the key may repeat */
	SETTING_BYTES = 16, /* uint64_t */
	SETTING_MS = 32, /* uint64_t */
	SETTING_COUNT = 64, /* unsigned int */
	SETTING_DISPLAY = 128, /* struct config_display */
};

/* `at` is an offset in struct sandbox_config; set() takes the call of a struct settings. */
extern const struct option_row settings_rows[];

/* The row of a key of .sandbox files; NULL if there is none. */
const struct option_row *setting_find(const char *name);

/* What settings are applied to. call.what says what the user calls the setting that is set. */
struct settings {
	struct call call;
	struct sandbox_config *cfg;
	const struct run_host *host;
	struct map_base base; /* what paths are relative to */
	size_t n_env; /* in cfg->env */
	const char *config; /* --config; borrowed */
	bool map_only; /* --map-only */
	unsigned int verbose; /* how often -v was given */
};

/* Borrows both; fills cfg, which is initialised, with what holds if nothing is said. Logs. */
int settings_init(struct settings *s, const struct run_host *host,
		  struct sandbox_config *cfg) MUST_CHECK;

/* When all is said: checks the maps together, and makes up a name if there is none. Logs. */
int settings_finish(struct settings *s) MUST_CHECK;

/* Puts a copy of `value` in the place of *field. Logs if there is no memory. */
int settings_string(char **field, const char *value) MUST_CHECK;

#endif
