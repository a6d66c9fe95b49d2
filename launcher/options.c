/* SPDX-License-Identifier: MIT */
#include "launcher/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"

enum { WORD_MAX = 32, HELP_COLUMN = 26 };
/* What getopt_long returns for the first long option: above all letters. */
enum { LONG_BASE = 256 };

/* How many letters have to be changed, added or dropped to get from a to b (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
	const size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
	size_t row[WORD_MAX + 1];

	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			const size_t changed = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			row[j] = min_size(changed, min_size(row[j], row[j - 1]) + 1);
		}
	}
	return row[lb];
}

const char *nearest_word(const char *word, const char *const *candidates)
{
	const char *best = NULL;
	/* A third of the letters may be wrong: three changes make "name" of "rm". */
	const size_t third = (strlen(word) + 1) / 3;
	size_t least = (third ? third : 1) + 1;

	for (; *candidates; candidates++) {
		const size_t d = distance(word, *candidates);

		if (d < least) {
			least = d;
			best = *candidates;
		}
	}
	return best;
}

static const struct option_row help_row = {"help", 'h', NULL, NULL, 0, 0, "show this"};

/* A command's rows as getopt and the help want them; those without a setter are for files only. */
struct option_list {
	const struct option_row *rows[OPTIONS_MAX];
	size_t n;
};

static void list_rows(const struct command *c, struct option_list *list)
{
	list->n = 0;
	for (const struct option_row *row = c->options; row && row->name; row++)
		if (row->set)
			list->rows[list->n++] = row;
	list->rows[list->n++] = &help_row;
}

static const struct option_row *find_letter(const struct option_list *list, int letter)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->rows[i]->letter && list->rows[i]->letter == letter)
			return list->rows[i];
	return NULL;
}

int option_flag(struct call *call, const char *value)
{
	bool *flag = (void *)((char *)call + call->row->at);

	(void)value;
	*flag = true;
	return 0;
}

int option_text(struct call *call, const char *value)
{
	const char **text = (void *)((char *)call + call->row->at);

	*text = value;
	return 0;
}

static int refuse_unknown(const struct option_list *list, const char *command, const char *token)
{
	const char *names[OPTIONS_MAX + 1] = {NULL};
	char word[WORD_MAX + 1];
	const char *near;

	for (size_t i = 0; i < list->n; i++)
		names[i] = list->rows[i]->name;
	while (*token == '-')
		token++;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(token, "="), token);
	near = nearest_word(word, names);
	if (near)
		log_error("unknown option --%s, did you mean --%s? See `sandcastle %s --help`",
			  word, near, command);
	else
		log_error("unknown option --%s; see `sandcastle %s --help`", word, command);
	return -EINVAL;
}

/*
 * What getopt_long answered with '?': an unknown option, or a value where none belongs.
 * optopt is then the index of that long option from LONG_BASE on, a letter, or 0.
 */
static int refuse(const struct option_list *list, const char *command, const char *token)
{
	if (optopt == 0)
		return refuse_unknown(list, command, token);
	if (optopt >= LONG_BASE)
		log_error("option --%s takes no value; see `sandcastle %s --help`",
			  list->rows[optopt - LONG_BASE]->name, command);
	else
		log_error("unknown option -%c; see `sandcastle %s --help`", optopt, command);
	return -EINVAL;
}

static void print_row(const struct option_row *row)
{
	const char *line = row->help;
	char head[64], letter[8] = "    ";
	int len;

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	len = snprintf(head, sizeof(head), "  %s--%s%s%s", letter, row->name, row->arg ? " " : "",
		       row->arg ? row->arg : "");
	if (len >= HELP_COLUMN)
		printf("%s\n%*s", head, HELP_COLUMN, "");
	else
		printf("%-*s", HELP_COLUMN, head);
	for (;;) {
		const size_t n = strcspn(line, "\n");

		printf("%.*s\n", (int)n, line);
		if (!line[n])
			break;
		line += n + 1;
		printf("%*s", HELP_COLUMN, "");
	}
}

static void print_usage(const struct command *c)
{
	const char *title = "Usage:";

	for (const char *line = c->usage; *line;
	     line += strcspn(line, "\n"), line += *line == '\n') {
		printf("%-6s sandcastle %s %.*s\n", title, c->name, (int)strcspn(line, "\n"), line);
		title = "";
	}
}

static void print_help(const struct command *c, const struct option_list *list)
{
	print_usage(c);
	printf("\n%s\nOptions:\n", c->about);
	for (size_t i = 0; i < list->n; i++)
		print_row(list->rows[i]);
	if (c->after)
		printf("\n%s", c->after);
}

void options_list(const struct command *c)
{
	struct option_list list;

	list_rows(c, &list);
	printf("%.*s\n", (int)strcspn(c->usage, "\n"), c->usage);
	for (size_t i = 0; i < list.n; i++)
		printf("--%s -%c %s\n", list.rows[i]->name,
		       list.rows[i]->letter ? list.rows[i]->letter : '-',
		       list.rows[i]->arg ? list.rows[i]->arg : "-");
}

/* The two tables of getopt_long. */
static void fill_getopt(const struct option_list *list, bool anywhere, struct option *longs,
			char *shorts)
{
	/* '+': an operand ends the options; ':': a missing value is told apart. */
	if (!anywhere)
		*shorts++ = '+';
	*shorts++ = ':';
	for (size_t i = 0; i < list->n; i++) {
		const struct option_row *row = list->rows[i];

		longs[i] = (struct option){row->name, row->arg ? required_argument : no_argument,
					   NULL, LONG_BASE + (int)i};
		if (!row->letter)
			continue;
		*shorts++ = row->letter;
		if (row->arg)
			*shorts++ = ':';
	}
	*shorts = '\0';
}

static int set_option(struct call *call, const struct option_row *row, const char *value)
{
	if (call->only && !(row->flags & call->only))
		return 0;
	call->row = row;
	snprintf(call->what, sizeof(call->what), "--%s", row->name);
	return row->set(call, value);
}

int options_parse(struct call *call, int argc, char **argv)
{
	const struct command *command = call->command;
	struct option longs[OPTIONS_MAX + 1] = {{0}};
	char shorts[2 * OPTIONS_MAX + 3];
	struct option_list list;

	list_rows(command, &list);
	fill_getopt(&list, command->flags & COMMAND_OPTIONS_ANYWHERE, longs, shorts);
	opterr = 0;
	optind = 0;
	for (;;) {
		const struct option_row *row;
		const int c = getopt_long(argc, argv, shorts, longs, NULL);
		const int which = c == ':' ? optopt : c;
		int r;

		if (c == -1)
			break;
		if (c == '?')
			return refuse(&list, command->name, argv[optind - 1]);
		row = which >= LONG_BASE ? list.rows[which - LONG_BASE] : find_letter(&list, which);
		if (c == ':') {
			log_error("option --%s needs a value (%s); see `sandcastle %s --help`",
				  row->name, row->arg, command->name);
			return -EINVAL;
		}
		if (row == &help_row) {
			print_help(command, &list);
			return 1;
		}
		r = set_option(call, row, optarg);
		if (r < 0)
			return r;
	}
	call->argc = argc - optind;
	call->argv = argv + optind;
	return 0;
}

static int check_operands(const struct call *call)
{
	const struct command *c = call->command;

	if (call->argc >= c->min && call->argc <= c->max)
		return 0;
	if (c->max == 0)
		log_error("%s takes no '%s'; see `sandcastle %s --help`", c->name, call->argv[0],
			  c->name);
	else
		log_error("%s %s", c->name, c->wants);
	return -EINVAL;
}

int command_run(const struct command *command, int argc, char **argv)
{
	AUTO_FREE struct call *call = calloc(1, command->size);
	int r = 0, code = 0;

	if (!call) {
		log_error("out of memory");
		return EXIT_SANDCASTLE_FAILED;
	}
	if (command->defaults)
		memcpy(call, command->defaults, command->size);
	call->command = command;
	call->argc = argc;
	call->argv = argv;
	if (!(command->flags & COMMAND_PARSES)) {
		r = options_parse(call, argc, argv);
		if (r == 0)
			r = check_operands(call);
	}
	if (r == 0)
		code = command->run(call);
	else if (r < 0)
		code = EXIT_SANDCASTLE_FAILED;
	if (command->fini)
		command->fini(call);
	return code;
}
