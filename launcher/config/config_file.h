/* SPDX-License-Identifier: MIT */
/* launcher/config/config_file.h - what a .sandbox or .wsb file says, before it is checked. */
#ifndef LAUNCHER_CONFIG_CONFIG_FILE_H
#define LAUNCHER_CONFIG_CONFIG_FILE_H

#include <stdbool.h>

#include "vmm/config/config.h"

/*
 * DOC: two readers, one result
 *
 * A key file (libinih) and a Windows Sandbox file (libxml2) become the same
 * list of settings and maps, each with its line. The readers know the formats:
 * what keys there are, how often, and how a word means yes. What a value means
 * for this host is checked where the command line's is (launcher/config/settings.h),
 * when the list is applied. A file may come from anybody, so the readers open
 * nothing and follow nothing the file names.
 */

enum {
	CONFIG_FILE_MAX_BYTES = 64 << 10,
	CONFIG_FILE_MAX_ENTRIES = 256,
	CONFIG_FILE_MAX_LINE = 512, /* of what is said about one */
	CONFIG_FILE_MAX_PROBLEMS = 32, /* more are not said */
	CONFIG_FILE_NAME_MAX = 49, /* of a map, what libinih keeps of a section's name */
};

enum config_kind {
	CONFIG_SETTING, /* `row` says which */
	CONFIG_COMMAND, /* may repeat: run in order */
	CONFIG_UNSUPPORTED, /* asked for, and not done: `value` is the line to say so */
	CONFIG_NOTE, /* not asked for, and other than on Windows: `value` says what */
};

struct option_row;

struct config_entry {
	enum config_kind kind;
	const struct option_row *row; /* of settings_rows; NULL if it is no setting */
	unsigned int line;
	const char *what; /* its name in the file; a literal; NULL: several may be alike */
	char *value;
};

struct config_share {
	unsigned int line;
	char *name; /* of [map NAME]; NULL in a .wsb file */
	char *host; /* as written */
	char *guest; /* as written; NULL: the same place, or on the desktop for a .wsb file */
	bool writable, discard;
	bool bad; /* a problem of it was said; what else it lacks follows from that */
};

/* What is wrong with a line, and what would be right. */
struct config_problem {
	unsigned int line; /* 0: the file as a whole */
	char *text;
};

enum config_format { CONFIG_FORMAT_SANDBOX, CONFIG_FORMAT_WSB };

struct config_file {
	enum config_format format;
	char *path; /* as the user wrote it */
	char *folder; /* where it is, absolute: what relative paths start from */
	struct config_entry *entries;
	size_t n_entries;
	struct config_share *shares;
	size_t n_shares;
	struct config_problem *problems; /* in the order they were met */
	size_t n_problems;
};

void config_file_init(struct config_file *f); /* all zero */
void config_file_fini(struct config_file *f); /* an initialised or half-filled one is fine */

/*
 * Reads the file at `path` with the reader its first byte or its name asks for.
 * -errno after one line if there is nothing to read. What is wrong in it stands
 * in f->problems, and config_apply() says it beside what is wrong for this host,
 * so that one run names all there is to mend. *f is initialised in all cases and
 * the caller's to fini.
 */
int config_file_read(const char *path, struct config_file *f) MUST_CHECK;

/* The readers alone, silent: -EINVAL with f->problems, or -ENOMEM. `text` has no final NUL. */
int config_parse_ini(struct config_file *f, const char *text, size_t len) MUST_CHECK;
int config_parse_wsb(struct config_file *f, const char *text, size_t len) MUST_CHECK;

/* For the readers: one more problem, unless it was said of this line. -EINVAL or -ENOMEM. */
int config_fail(struct config_file *f, unsigned int line, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Copies `value`. A key that may not repeat and does is a failure of the file's. */
int config_add(struct config_file *f, enum config_kind kind, unsigned int line, const char *what,
	       const char *value) MUST_CHECK;
/* The same for a setting, which the file calls `what`. */
int config_add_setting(struct config_file *f, const struct option_row *row, unsigned int line,
		       const char *what, const char *value) MUST_CHECK;
/* A new map, empty but for its line. -EINVAL if there are too many, which is a problem, -ENOMEM. */
int config_add_share(struct config_file *f, unsigned int line,
		     struct config_share **out) MUST_CHECK;

/* "true", "Enable", "YES", "on", "1" ...: 1; their opposites: 0; anything else -EINVAL. */
int config_bool(const char *word) MUST_CHECK;

/* True for a command that only Windows could run: "cmd /c dir", "C:\\setup.exe". */
bool config_is_windows_command(const char *command);

#endif
