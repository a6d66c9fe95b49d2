/* SPDX-License-Identifier: MIT */
/* The man pages have each option and each key that the tables have, and no other. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "launcher/commands.h"
#include "launcher/config/settings.h"

/* The lines behind `first` up to the next that begins with `end`. */
static void read_section(const char *page, const char *first, const char *end, char *out,
			 size_t size)
{
	char line[512], path[512];
	bool inside = false;
	size_t used = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", SC_MAN_DIR, page);
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f)) {
		if (inside && strncmp(line, end, strlen(end)) == 0)
			break;
		if (inside) {
			cr_assert_lt(used + strlen(line), size);
			used += (size_t)sprintf(out + used, "%s", line);
		}
		inside |= strncmp(line, first, strlen(first)) == 0 && line[strlen(first)] == '\n';
	}
	fclose(f);
	cr_assert(inside, "%s has %s", page, first);
}

/* True if `name` stands behind `mark` in text as a whole word. */
static bool has_word(const char *text, const char *mark, const char *name)
{
	for (const char *at = strstr(text, mark); at; at = strstr(at + 1, mark)) {
		const char *word = at + strlen(mark);
		const size_t len = strlen(name);

		if (strncmp(word, name, len) == 0 && !isalnum((unsigned char)word[len]) &&
		    word[len] != '-')
			return true;
	}
	return false;
}

static bool is_option(const struct command *c, const char *word, size_t len)
{
	for (const struct option_row *row = c->options; row && row->name; row++)
		if (row->set && strlen(row->name) == len && strncmp(row->name, word, len) == 0)
			return true;
	return len == 4 && strncmp(word, "help", 4) == 0;
}

/* Each option that a line ".It Fl ..." of the section tells about is in the table. */
static void check_no_other(const struct command *c, const char *section)
{
	const char *line = section;

	for (; line; line = strstr(line + 1, "\n.It Fl ")) {
		const char *end = strchr(line + 1, '\n');
		const char *name = strstr(line, "\\&-");

		if (strncmp(line, "\n.It Fl ", 8) != 0 || !name || name > end)
			continue;
		name += 3;
		cr_assert(is_option(c, name, strcspn(name, " \n")), "%s: %.*s", c->name,
			  (int)(end - line), line);
	}
}

Test(man, options)
{
	static char section[32 << 10];
	char first[32], letter[32];

	for (const struct command *const *c = commands; *c; c++) {
		/* Those of `start`, `open` and `template` are said to be those of `run`. */
		if (!(*c)->options || strcmp((*c)->name, "start") == 0 ||
		    strcmp((*c)->name, "open") == 0 || strcmp((*c)->name, "template") == 0)
			continue;
		snprintf(first, sizeof(first), ".Ss %s", (*c)->name);
		read_section("sandcastle.1", first, ".S", section, sizeof(section));
		for (const struct option_row *row = (*c)->options; row->name; row++) {
			if (!row->set)
				continue;
			cr_assert(has_word(section, "\\&-", row->name), "%s --%s", (*c)->name,
				  row->name);
			snprintf(letter, sizeof(letter), ".It Fl %c , ", row->letter);
			cr_assert(!row->letter || strstr(section, letter), "%s -%c", (*c)->name,
				  row->letter);
		}
		check_no_other(*c, section);
	}
}

Test(man, keys_of_sandbox_files)
{
	static char section[4096];
	size_t n_rows = 0, n_words = 0;

	read_section("sandcastle.sandbox.5", ".Li [sandbox]", ".El", section, sizeof(section));
	for (const struct option_row *row = settings_rows; row->name; row++) {
		if (!(row->flags & SETTING_FILE))
			continue;
		n_rows++;
		cr_assert(has_word(section, ".It Li ", row->name) ||
				  has_word(section, " , ", row->name),
			  "%s", row->name);
	}
	for (const char *line = strstr(section, ".It Li "); line;
	     line = strstr(line + 1, "\n.It Li ")) {
		n_words++;
		for (const char *p = line + 1; *p != '\n'; p++)
			n_words += *p == ',';
	}
	cr_assert_eq(n_words, n_rows, "%zu keys are described, of %zu", n_words, n_rows);
}

Test(man, keys_of_json)
{
	static char section[4096];

	read_section("sandcastle.sandbox.5", ".Ss JSON", ".S", section, sizeof(section));
	for (const struct option_row *row = settings_rows; row->name; row++) {
		char key[64];

		snprintf(key, sizeof(key), "%s%s", row->name, row->flags & SETTING_MS ? "_ms" : "");
		if (row->flags & SETTING_FILE && row->set)
			cr_assert(has_word(section, ".Li ", key) || has_word(section, " , ", key),
				  "%s", key);
	}
}
