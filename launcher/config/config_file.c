/* SPDX-License-Identifier: MIT */
#include "launcher/config/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/text.h"
#include "launcher/config/settings.h"

void config_file_init(struct config_file *f)
{
	*f = (struct config_file){0};
}

void config_file_fini(struct config_file *f)
{
	for (size_t i = 0; i < f->n_entries; i++)
		free(f->entries[i].value);
	for (size_t i = 0; i < f->n_shares; i++) {
		free(f->shares[i].name);
		free(f->shares[i].host);
		free(f->shares[i].guest);
	}
	for (size_t i = 0; i < f->n_problems; i++)
		free(f->problems[i].text);
	free(f->problems);
	free(f->entries);
	free(f->shares);
	free(f->path);
	free(f->folder);
	config_file_init(f);
}

int config_fail(struct config_file *f, unsigned int line, const char *fmt, ...)
{
	struct config_problem *longer;
	char text[CONFIG_FILE_MAX_LINE];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < f->n_problems; i++)
		if (f->problems[i].line == line && strcmp(f->problems[i].text, text) == 0)
			return -EINVAL;
	if (f->n_problems == CONFIG_FILE_MAX_PROBLEMS)
		return -EINVAL;
	longer = reallocarray(f->problems, f->n_problems + 1, sizeof(*longer));
	if (!longer)
		return -ENOMEM;
	f->problems = longer;
	longer[f->n_problems] = (struct config_problem){line, strdup(text)};
	return longer[f->n_problems].text ? (f->n_problems++, -EINVAL) : -ENOMEM;
}

static int add(struct config_file *f, struct config_entry entry, const char *value)
{
	const bool may_repeat = entry.row ? entry.row->flags & SETTING_LIST
					  : entry.kind == CONFIG_COMMAND || !entry.what;
	struct config_entry *entries;

	if (f->n_entries == CONFIG_FILE_MAX_ENTRIES)
		return config_fail(f, entry.line,
				   "more than %d settings are more than a file may have",
				   CONFIG_FILE_MAX_ENTRIES);
	for (size_t i = 0; i < f->n_entries; i++)
		if (!may_repeat && f->entries[i].what &&
		    strcmp(f->entries[i].what, entry.what) == 0)
			return config_fail(f, entry.line, "%s is given twice, first in line %u",
					   entry.what, f->entries[i].line);
	entries = reallocarray(f->entries, f->n_entries + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	f->entries = entries;
	entry.value = strdup(value);
	entries[f->n_entries++] = entry;
	return entry.value ? 0 : -ENOMEM;
}

int config_add(struct config_file *f, enum config_kind kind, unsigned int line, const char *what,
	       const char *value)
{
	return add(f, (struct config_entry){.kind = kind, .line = line, .what = what}, value);
}

int config_add_setting(struct config_file *f, const struct option_row *row, unsigned int line,
		       const char *what, const char *value)
{
	return add(f, (struct config_entry){.row = row, .line = line, .what = what}, value);
}

int config_add_share(struct config_file *f, unsigned int line, struct config_share **out)
{
	struct config_share *shares;

	if (f->n_shares == CONFIG_MAX_MAPS)
		return config_fail(f, line,
				   "more than %d maps; map a folder that holds several of them",
				   CONFIG_MAX_MAPS);
	shares = reallocarray(f->shares, f->n_shares + 1, sizeof(*shares));
	if (!shares)
		return -ENOMEM;
	f->shares = shares;
	shares[f->n_shares] = (struct config_share){.line = line};
	*out = &shares[f->n_shares++];
	return 0;
}

int config_bool(const char *word)
{
	static const char *const words[][2] = {
		{"disable", "enable"}, {"disabled", "enabled"}, {"false", "true"},
		{"no", "yes"},	       {"off", "on"},		{"0", "1"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		for (int b = 0; b < 2; b++)
			if (strcasecmp(word, words[i][b]) == 0)
				return b;
	return -EINVAL;
}

/* The whole of a file that may be a pipe. */
static int read_text(const char *path, struct buffer *out)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : read_whole(fd, CONFIG_FILE_MAX_BYTES, out);
}

/* Where the file is by the name it was given, so that a link's neighbours are meant. */
static int find_folder(struct config_file *f)
{
	const char *slash = strrchr(f->path, '/');
	AUTO_FREE char *folder =
		slash ? strndup(f->path, (size_t)(slash - f->path) + 1) : strdup(".");

	if (!folder)
		return -ENOMEM;
	f->folder = realpath(folder, NULL);
	return f->folder ? 0 : -errno;
}

static enum config_format guess_format(const char *path, const char *text, size_t len)
{
	const char *dot = strrchr(path, '.');
	size_t i = 0;

	if (dot && strcasecmp(dot, ".wsb") == 0)
		return CONFIG_FORMAT_WSB;
	if (dot && strcasecmp(dot, ".sandbox") == 0)
		return CONFIG_FORMAT_SANDBOX;
	while (i < len && strchr(" \t\r\n", text[i]))
		i++;
	return i < len && text[i] == '<' ? CONFIG_FORMAT_WSB : CONFIG_FORMAT_SANDBOX;
}

int config_file_read(const char *path, struct config_file *f)
{
	struct buffer text = {0};
	int r;

	config_file_init(f);
	f->path = strdup(path);
	if (!f->path) {
		log_error("out of memory");
		return -ENOMEM;
	}
	r = read_text(path, &text);
	if (r == -EFBIG)
		log_error("%s: a file of settings has at most %d bytes", path,
			  CONFIG_FILE_MAX_BYTES);
	else if (r == 0)
		r = find_folder(f);
	if (r == 0) {
		f->format = guess_format(path, text.data, text.len);
		r = f->format == CONFIG_FORMAT_WSB ? config_parse_wsb(f, text.data, text.len)
						   : config_parse_ini(f, text.data, text.len);
	}
	free(text.data);
	if (f->n_problems > 0 && r != -ENOMEM)
		return 0;
	if (r < 0 && r != -EFBIG)
		log_error("cannot read %s: %s", path, strerror(-r));
	return r;
}
