/* SPDX-License-Identifier: MIT */
/* launcher/options.h - command lines, described by tables. */
#ifndef LAUNCHER_OPTIONS_H
#define LAUNCHER_OPTIONS_H

#include "common/util.h"

enum { OPTIONS_MAX = 32 };

/* What every command has, and where its own numbers begin: above all letters. */
enum { OPTION_HELP = 256, OPTION_OWN };

/* One option; the table is also its help text. */
struct option_def {
	int id; /* of the command's own enum, or OPTION_HELP */
	char letter; /* short form; 0 for none */
	const char *name; /* "memory" */
	const char *arg; /* "SIZE"; NULL if it takes none */
	const char *help; /* lines of at most 50 characters, separated by '\n' */
};

/* A command's options. Embed it in what they fill in. */
struct option_set {
	const char *command; /* "run" for messages */
	const char *help_head, *help_tail; /* around the table; the tail may be NULL */
	const struct option_def *defs;
	size_t n_defs;
	/* One option but OPTION_HELP, with its argument or NULL. Logs on failure. NULL: it has none. */
	int (*apply)(struct option_set *set, const struct option_def *def, const char *arg);
};

/*
 * Goes through argv (argv[0] is the command's name) up to the first operand or
 * "--" and calls set->apply for each option. The index of the first operand,
 * 0 if help was asked for and shown (on stdout, 80 columns), -EINVAL after a line
 * that names the nearest known option, or what apply returned.
 */
int options_parse(struct option_set *set, int argc, char **argv) MUST_CHECK;

/* The candidate nearest to `word`, NULL if none is near. Candidates are NULL-terminated. */
const char *nearest_word(const char *word, const char *const *candidates);

#endif
