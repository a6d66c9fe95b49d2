/* SPDX-License-Identifier: MIT */
/* launcher/options.h - commands and their options, described by rows of tables. */
#ifndef LAUNCHER_OPTIONS_H
#define LAUNCHER_OPTIONS_H

#include <limits.h>
#include <stdbool.h>

#include "common/util.h"

enum { OPTIONS_MAX = 64 }; /* of a table, with --help */

struct call;

/* Checks and keeps the value of an option; NULL where it takes none. Logs on failure. */
typedef int (*option_set_fn)(struct call *call, const char *value);

/*
 * One option. The table is what getopt, the help text and completion know of it.
 * `arg` says what kind of value it takes, by words separated by '|': completion offers
 * files for FILE, HOST and SRC, folders for DIR, users for UID, variables for K, and
 * words in small letters as they are.
 */
struct option_row {
	const char *name; /* "memory" */
	char letter; /* short form; 0 for none */
	const char *arg; /* "SIZE"; NULL if it takes none */
	option_set_fn set;
	size_t at; /* where `set` keeps it: an offset from the struct call */
	unsigned int flags; /* of launcher/config/settings.h */
	const char *help; /* lines of at most 50 characters, separated by '\n' */
};

/* The setters of most options: a bool becomes true, a const char * the value. */
int option_flag(struct call *call, const char *value);
int option_text(struct call *call, const char *value);

enum { COMMAND_ANY = INT_MAX }; /* however many operands */

enum command_flags {
	COMMAND_OPTIONS_ANYWHERE = 1, /* options may stand behind operands, too */
	COMMAND_OPENS = 4, /* its operand is a file to open, see launcher/config/open_file.h */
	COMMAND_PARSES = 2, /* run() is given the command line as it is, argv[0] included */
};

/* A command. Adding one: docs/adding-an-option.md. */
struct command {
	const char *name;
	const char *brief; /* its line of `sandcastle --help` */
	/* What follows the name, lines for several forms; the first is also what completion reads. */
	const char *usage;
	const char *about; /* between usage and options */
	const char *after; /* behind the options; may be NULL */
	const struct option_row *options; /* ends with {0}; --help is added; NULL: none */
	int min, max; /* operands */
	const char *wants; /* of another number of operands: "takes one name; write ..." */
	unsigned int flags; /* of enum command_flags */
	const struct call *defaults; /* what a call is a copy of; NULL: all zero */
	size_t size; /* of the struct whose first member is the call */
	/* With all options set and the operands counted. Returns the exit code. */
	int (*run)(struct call *call);
	void (*fini)(struct call *call); /* frees what options and run() made; may be NULL */
};

/* One use of a command. Make it the first member of what the command's options fill in. */
struct call {
	const struct command *command;
	const struct option_row *row; /* the option that is being set */
	char what[32]; /* how the user wrote it, for messages: "--memory" */
	unsigned int only; /* set nothing but options with this flag; 0: set all */
	int argc; /* operands */
	char **argv;
};

/* Runs it with argv[0], its name, and what follows. Returns the exit code of the process. */
int command_run(const struct command *command, int argc, char **argv);

/*
 * Goes through argv (argv[0] is the command's name) up to the first operand or "--", sets
 * each option, and leaves the operands in call->argv. 0; 1 if help was asked for and shown
 * (on stdout, 80 columns); -EINVAL after a line that names the nearest known option, or what
 * a setter returned.
 */
int options_parse(struct call *call, int argc, char **argv) MUST_CHECK;

/* For completion: the usage, then a line "--name -l ARG" for each option, '-' for what it lacks. */
void options_list(const struct command *command);

/* The candidate nearest to `word`, NULL if none is near. Candidates are NULL-terminated. */
const char *nearest_word(const char *word, const char *const *candidates);

#endif
