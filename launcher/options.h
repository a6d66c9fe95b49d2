/* SPDX-License-Identifier: MIT */
/* launcher/options.h - command lines, described by tables. */
#ifndef LAUNCHER_OPTIONS_H
#define LAUNCHER_OPTIONS_H

#include "vmm/util.h"

enum { OPTIONS_MAX = 32 };

/* One option; the table is also its help text. */
struct option_def {
	int id; /* of the command's own enum; above 255 */
	char letter; /* short form; 0 for none */
	const char *name; /* "memory" */
	const char *arg; /* "SIZE"; NULL if it takes none */
	const char *help; /* lines of at most 50 characters, separated by '\n' */
};

/* A command's options. Embed it in what they fill in. */
struct option_set {
	const char *command; /* "run" for messages */
	const struct option_def *defs;
	size_t n_defs;
	/* One option, with its argument or NULL. Logs on failure. */
	int (*apply)(struct option_set *set, const struct option_def *def, const char *arg);
};

/*
 * Goes through argv (argv[0] is the command's name) up to the first operand or
 * "--" and calls set->apply for each option. The index of the first operand,
 * or -EINVAL after a line that names the nearest known option, or what apply returned.
 */
int options_parse(struct option_set *set, int argc, char **argv) MUST_CHECK;

/* The table as help text on stdout, 80 columns. */
void options_print(const struct option_def *defs, size_t n_defs);

/* The candidate nearest to `word`, NULL if none is near. Candidates are NULL-terminated. */
const char *nearest_word(const char *word, const char *const *candidates);

#endif
