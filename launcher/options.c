/* SPDX-License-Identifier: MIT */
#include "launcher/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

enum { WORD_MAX = 32, HELP_COLUMN = 26 };

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

static const struct option_def *find(const struct option_set *set, int id)
{
	for (size_t i = 0; i < set->n_defs; i++)
		if (set->defs[i].id == id || (set->defs[i].letter && set->defs[i].letter == id))
			return &set->defs[i];
	return NULL;
}

/* What getopt_long answered with '?': an unknown option, or a value where none belongs. */
static int refuse(const struct option_set *set, const char *token)
{
	const char *names[OPTIONS_MAX + 1] = {NULL};
	const struct option_def *def = optopt ? find(set, optopt) : NULL;
	char word[WORD_MAX + 1];
	const char *near;

	if (def) {
		log_error("option --%s takes no value; see `sandcastle %s --help`", def->name,
			  set->command);
		return -EINVAL;
	}
	if (optopt) {
		log_error("unknown option -%c; see `sandcastle %s --help`", optopt, set->command);
		return -EINVAL;
	}
	for (size_t i = 0; i < set->n_defs; i++)
		names[i] = set->defs[i].name;
	while (*token == '-')
		token++;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(token, "="), token);
	near = nearest_word(word, names);
	if (near)
		log_error("unknown option --%s, did you mean --%s? See `sandcastle %s --help`",
			  word, near, set->command);
	else
		log_error("unknown option --%s; see `sandcastle %s --help`", word, set->command);
	return -EINVAL;
}

static void print_table(const struct option_def *defs, size_t n_defs)
{
	for (size_t i = 0; i < n_defs; i++) {
		const struct option_def *def = &defs[i];
		const char *line = def->help;
		char head[64], letter[8] = "    ";
		int len;

		if (def->letter)
			snprintf(letter, sizeof(letter), "-%c, ", def->letter);
		len = snprintf(head, sizeof(head), "  %s--%s%s%s", letter, def->name,
			       def->arg ? " " : "", def->arg ? def->arg : "");
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
}

static void print_help(const struct option_set *set)
{
	fputs(set->help_head, stdout);
	print_table(set->defs, set->n_defs);
	if (set->help_tail)
		fputs(set->help_tail, stdout);
}

int options_parse(struct option_set *set, int argc, char **argv)
{
	struct option longs[OPTIONS_MAX + 1] = {{0}};
	/* '+': an operand ends the options; ':': a missing value is told apart. */
	char shorts[2 * OPTIONS_MAX + 3] = "+:";
	size_t n = 2;

	for (size_t i = 0; i < set->n_defs; i++) {
		const struct option_def *def = &set->defs[i];

		longs[i] = (struct option){def->name, def->arg ? required_argument : no_argument,
					   NULL, def->id};
		if (!def->letter)
			continue;
		shorts[n++] = def->letter;
		if (def->arg)
			shorts[n++] = ':';
	}
	shorts[n] = '\0';
	opterr = 0;
	optind = 0;
	for (;;) {
		const int token = optind ? optind : 1;
		const struct option_def *def;
		const int c = getopt_long(argc, argv, shorts, longs, NULL);
		int r;

		if (c == -1)
			return optind;
		if (c == '?')
			return refuse(set, argv[token]);
		def = find(set, c == ':' ? optopt : c);
		if (c == ':') {
			log_error("option --%s needs a value (%s); see `sandcastle %s --help`",
				  def->name, def->arg, set->command);
			return -EINVAL;
		}
		if (def->id == OPTION_HELP) {
			print_help(set);
			return 0;
		}
		r = set->apply(set, def, optarg);
		if (r < 0)
			return r;
	}
}
