/* SPDX-License-Identifier: MIT */
/*
 * DOC: key files (.sandbox)
 *
 * libinih cuts lines into section, key and value; which line it is at it does
 * not say, cuts long names short in silence, and takes an indented line for
 * more of the value before it. So the lines are handed to it one by one from
 * here, counted, without their indentation, and only if they fit.
 */
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "launcher/config/config_file.h"
#include "launcher/config/settings.h"
#include "launcher/options.h"

struct ini {
	struct config_file *file;
	const char *at, *end;
	const char *raw; /* the line that libinih has now, without its indentation */
	size_t raw_len;
	unsigned int line; /* its number */
	unsigned int section_line;
	bool skip; /* the section's line was a mistake, so nothing is known of its keys */
	bool map_without_keys; /* the section is a map, and no key was seen yet */
	struct config_share *share; /* of the section */
	int r; /* lack of memory, which ends it */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Where a comment behind a value begins, for libinih; raw_len if nowhere. */
static size_t find_comment(const struct ini *p)
{
	for (size_t i = 1; i < p->raw_len; i++)
		if (p->raw[i] == ';' && is_blank(p->raw[i - 1]))
			return i;
	return p->raw_len;
}

/* A section [map NAME] without a key is none to libinih. */
static int check_last_map(const struct ini *p)
{
	if (!p->map_without_keys || p->skip)
		return 0;
	return config_fail(p->file, p->section_line,
			   "a map needs a host folder; write host = FOLDER below it");
}

/* A line "[...": what libinih would pass over in it. */
static int check_section(struct ini *p)
{
	const char *close = memchr(p->raw, ']', p->raw_len);
	const size_t end = find_comment(p);
	size_t i;

	if (check_last_map(p) == -ENOMEM)
		return -ENOMEM;
	p->share = NULL;
	p->section_line = p->line;
	p->skip = true;
	p->map_without_keys = p->raw_len > 4 && memcmp(p->raw + 1, "map", 3) == 0;
	if (!close || (size_t)(close - p->raw) > end)
		return config_fail(p->file, p->line, "the ] of the section's name is missing");
	if (close - p->raw > CONFIG_FILE_NAME_MAX + 1)
		return config_fail(p->file, p->line, "a section's name has at most %d characters",
				   CONFIG_FILE_NAME_MAX);
	for (i = (size_t)(close - p->raw) + 1; i < end && is_blank(p->raw[i]);)
		i++;
	if (i < end)
		return config_fail(p->file, p->line,
				   "only a comment may stand behind the ] of a section");
	p->skip = false;
	return 0;
}

static int check_line(struct ini *p)
{
	for (size_t i = 0; i < p->raw_len; i++)
		if ((unsigned char)p->raw[i] < ' ' && !is_blank(p->raw[i]))
			return config_fail(p->file, p->line,
					   "there is a byte in it that no text "
					   "has");
	return p->raw_len && p->raw[0] == '[' ? check_section(p) : 0;
}

/* What libinih calls for each line, as fgets(). NULL ends it. */
static char *next_line(char *buf, int size, void *stream)
{
	struct ini *p = stream;
	const char *stop;

	if (p->r < 0 || p->at == p->end)
		return NULL;
	stop = memchr(p->at, '\n', (size_t)(p->end - p->at));
	if (!stop)
		stop = p->end;
	p->line++;
	while (p->at < stop && is_blank(*p->at))
		p->at++;
	p->raw = p->at;
	p->raw_len = (size_t)(stop - p->at);
	p->at = stop < p->end ? stop + 1 : stop;
	p->r = check_line(p);
	if (p->r == 0 && p->raw_len >= (size_t)size)
		p->r = config_fail(p->file, p->line,
				   "a line has at most %d characters; a long command is better off "
				   "in a script",
				   size - 1);
	if (p->r == -ENOMEM)
		return NULL;
	/* A line with a mistake is an empty one to libinih. */
	if (p->r < 0)
		p->raw_len = 0;
	p->r = 0;
	memcpy(buf, p->raw, p->raw_len);
	buf[p->raw_len] = '\0';
	return buf;
}

static int unknown_key(struct ini *p, const char *section, const char *name,
		       const char *const *known, const char *allowed)
{
	const char *near = nearest_word(name, known);

	if (near)
		return config_fail(p->file, p->line, "unknown key '%s', did you mean %s? %s has %s",
				   name, near, section, allowed);
	return config_fail(p->file, p->line, "unknown key '%s'; %s has %s", name, section, allowed);
}

/* The keys of [sandbox], for nearest_word(), and as a hint: "env, workdir, ...". */
static void list_keys(const char **names, char *hint, size_t size)
{
	size_t used = 0;

	for (const struct option_row *row = settings_rows; row->name; row++)
		if (row->flags & SETTING_FILE && used < size) {
			*names++ = row->name;
			used += (size_t)snprintf(hint + used, size - used, "%s%s", used ? ", " : "",
						 row->name);
		}
	*names = NULL;
}

static int sandbox_key(struct ini *p, const char *name, const char *value)
{
	const struct option_row *row = setting_find(name);
	const char *names[OPTIONS_MAX];
	char text[CONFIG_FILE_MAX_LINE] = "";

	if (!row) {
		list_keys(names, text, sizeof(text));
		return unknown_key(p, "[sandbox]", name, names, text);
	}
	if (!*value)
		return config_fail(p->file, p->line,
				   "%s has no value; leave the line out for the default", name);
	if (row->set)
		return config_add_setting(p->file, row, p->line, row->name, value);
	if (strcmp(value, row->arg) != 0)
		snprintf(text, sizeof(text), "%s = %s is not supported yet; %s", row->name, value,
			 row->help);
	return config_add(p->file, CONFIG_UNSUPPORTED, p->line, row->name, text);
}

static int set_once(struct ini *p, char **field, const char *name, const char *value)
{
	if (*field)
		return config_fail(p->file, p->line, "%s is given twice for this map", name);
	if (!*value)
		return config_fail(p->file, p->line, "%s has no value; it takes a path", name);
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

/* The share of the section "map NAME", made when its first key is seen. */
static int open_map(struct ini *p, const char *section)
{
	const char *name = section + strlen("map");
	struct config_file *f = p->file;
	int r;

	while (is_blank(*name))
		name++;
	if (!*name)
		return config_fail(f, p->section_line, "a map needs a name: [map src]");
	for (size_t i = 0; i < f->n_shares; i++)
		if (strcmp(f->shares[i].name, name) == 0)
			return config_fail(f, p->section_line,
					   "[map %s] is given twice, first in line %u", name,
					   f->shares[i].line);
	r = config_add_share(f, p->section_line, &p->share);
	if (r < 0)
		return r;
	p->share->name = strdup(name);
	return p->share->name ? 0 : -ENOMEM;
}

static int map_key(struct ini *p, const char *section, const char *name, const char *value)
{
	static const char *const names[] = {"host", "guest", "write", "discard", NULL};
	const bool discard = strcmp(name, "discard") == 0;
	int r = 0;

	p->map_without_keys = false;
	if (!p->share)
		r = open_map(p, section);
	if (r < 0 || !p->share)
		return r;
	if (strcmp(name, "host") == 0)
		return set_once(p, &p->share->host, name, value);
	if (strcmp(name, "guest") == 0)
		return set_once(p, &p->share->guest, name, value);
	if (!discard && strcmp(name, "write") != 0)
		return unknown_key(p, "a map", name, names, "host, guest, write, discard");
	r = config_bool(value);
	if (r < 0)
		return config_fail(p->file, p->line, "%s = %s: give true or false", name, value);
	*(discard ? &p->share->discard : &p->share->writable) = r;
	if (p->share->discard && p->share->writable)
		return config_fail(p->file, p->line,
				   "write and discard: changes are either kept or thrown away");
	return 0;
}

static int command_key(struct ini *p, const char *name, const char *value)
{
	static const char *const names[] = {"run", NULL};

	if (strcmp(name, "run") != 0)
		return unknown_key(p, "[command]", name, names, "run");
	if (find_comment(p) < p->raw_len)
		return config_fail(p->file, p->line,
				   "a blank and ; begin a comment, in a command too; write several "
				   "run lines, or && between commands");
	if (!*value)
		return config_fail(p->file, p->line, "run has no value; it takes a command");
	return config_add(p->file, CONFIG_COMMAND, p->line, names[0], value);
}

/* What libinih calls for each "key = value"; 1: go on. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct ini *p = user;

	if (p->skip || p->r < 0)
		return p->r == 0;
	if (strcmp(section, "sandbox") == 0)
		p->r = sandbox_key(p, name, value);
	else if (strncmp(section, "map", 3) == 0 && (is_blank(section[3]) || !section[3]))
		p->r = map_key(p, section, name, value);
	else if (strcmp(section, "command") == 0)
		p->r = command_key(p, name, value);
	else if (!*section)
		p->r = config_fail(p->file, p->line,
				   "'%s' stands before any section; begin with [sandbox]", name);
	else
		p->r = config_fail(p->file, p->section_line,
				   "unknown section [%s]; there are [sandbox], [map NAME] and "
				   "[command]",
				   section);
	if (p->r == -ENOMEM)
		return 0;
	if (p->r < 0 && p->share)
		p->share->bad = true;
	p->r = 0;
	return 1;
}

static int check_maps(const struct ini *p)
{
	struct config_file *f = p->file;
	int r = check_last_map(p);

	for (size_t i = 0; r != -ENOMEM && i < f->n_shares; i++) {
		if (f->shares[i].host || f->shares[i].bad)
			continue;
		f->shares[i].bad = true;
		r = config_fail(f, f->shares[i].line,
				"[map %s] has no host; write host = FOLDER below it",
				f->shares[i].name);
	}
	return r;
}

int config_parse_ini(struct config_file *f, const char *text, size_t len)
{
	struct ini p = {.file = f, .at = text, .end = text + len};
	int bad_line;

	f->format = CONFIG_FORMAT_SANDBOX;
	bad_line = ini_parse_stream(next_line, &p, on_key, &p);
	if (p.r < 0)
		return p.r;
	if (bad_line < 0)
		return -ENOMEM;
	/* The first such line; of others libinih says nothing. */
	if (bad_line > 0 &&
	    config_fail(f, (unsigned int)bad_line,
			"this is neither [section] nor key = value nor a comment") == -ENOMEM)
		return -ENOMEM;
	if (check_maps(&p) == -ENOMEM)
		return -ENOMEM;
	return f->n_problems > 0 ? -EINVAL : 0;
}
