/* SPDX-License-Identifier: MIT */
#include "launcher/config/config_apply.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

/* From here on log lines begin with the file and this line; 0 ends that. */
static void set_subject(const struct config_file *f, unsigned int line)
{
	char subject[LOG_SUBJECT_MAX];

	if (line)
		snprintf(subject, sizeof(subject), "%s:%u: ", f->path, line);
	log_set_subject(line ? subject : "");
}

/* True if `value` is one of arg's words in small letters: "none" of "host|none|FILE". */
static bool is_word(const char *arg, const char *value)
{
	const size_t len = strlen(value);

	for (; islower((unsigned char)*arg); arg += strcspn(arg, "|") + 1)
		if (strncmp(arg, value, len) == 0 && arg[len] == '|')
			return true;
	return false;
}

static int apply_setting(struct settings *s, const struct config_entry *e)
{
	AUTO_FREE char *path = NULL;
	const char *value = e->value;

	s->call.row = e->row;
	snprintf(s->call.what, sizeof(s->call.what), "%s", e->what);
	/* A file's path is the file's neighbour; a word such as "host" stays what it is. */
	if (e->row->flags & SETTING_PATH && !is_word(e->row->arg, value)) {
		int r = path_expand(&s->base, value, strlen(value), &path);

		if (r < 0)
			return r;
		value = path;
	}
	return e->row->set(&s->call, value);
}

static int add_command(char ***list, size_t n, const char *line)
{
	char **longer = realloc(*list, (n + 2) * sizeof(**list));

	if (!longer)
		return -ENOMEM;
	*list = longer;
	longer[n + 1] = NULL;
	longer[n] = strdup(line);
	return longer[n] ? 0 : -ENOMEM;
}

static int apply_commands(struct settings *s, const struct config_file *f)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r != -ENOMEM && i < f->n_entries; i++) {
		const struct config_entry *e = &f->entries[i];

		if (e->kind != CONFIG_COMMAND)
			continue;
		set_subject(f, e->line);
		if (f->format == CONFIG_FORMAT_WSB && config_is_windows_command(e->value)) {
			log_error("'%s' is a command of Windows; write one of Linux, or give one "
				  "on the command line",
				  e->value);
			r = -EINVAL;
		} else if (add_command(&s->cfg->commands, n++, e->value) < 0) {
			log_error("out of memory");
			r = -ENOMEM;
		}
	}
	return r;
}

/*
 * Several become one that runs each by a shell of its own, in order, and ends
 * as the first that fails does. They are passed as arguments, so that nothing
 * has to be quoted. For a single command, "sh -c COMMAND" is enough.
 */
int config_commands_to_argv(struct sandbox_config *cfg)
{
	static const char each[] = "for c; do sh -c \"$c\" || exit; done";
	static const char *const words[] = {"sh", "-c", each, "sh"};
	size_t n = 0, argc, first;
	char **argv;

	while (cfg->commands && cfg->commands[n])
		n++;
	if (n == 0)
		return 0;
	first = n == 1 ? 2 : ARRAY_SIZE(words);
	argv = calloc(first + n + 1, sizeof(*argv));
	cfg->argv = argv;
	for (argc = 0; argv && argc < first; argc++)
		if (!(argv[argc] = strdup(words[argc])))
			break;
	if (!argv || argc < first) {
		log_error("out of memory");
		return -ENOMEM;
	}
	memcpy(argv + first, cfg->commands, n * sizeof(*argv));
	free(cfg->commands);
	cfg->commands = NULL;
	return 0;
}

/* Where Windows Sandbox puts a folder that was given no place: on the desktop. */
static int desktop_place(const struct settings *s, const struct config_share *share, char **out)
{
	AUTO_FREE char *path = NULL, *real = NULL;
	int r = path_expand(&s->base, share->host, strlen(share->host), &path);

	if (r < 0)
		return r;
	/* One that is not there is refused where it is opened. */
	real = realpath(path, NULL);
	if (asprintf(out, "%s/Desktop/%s", s->host->user.home, basename(real ? real : path)) >= 0)
		return 0;
	*out = NULL;
	log_error("out of memory");
	return -ENOMEM;
}

static int apply_share(struct settings *s, const struct config_file *f,
		       const struct config_share *share)
{
	AUTO_FREE char *desktop = NULL;
	const char *guest = share->guest;
	int r = 0;

	set_subject(f, share->line);
	if (!guest && f->format == CONFIG_FORMAT_WSB) {
		r = desktop_place(s, share, &desktop);
		guest = desktop;
	}
	return r < 0 ? r
		     : map_add_pair(s->cfg, &s->base, share->host, guest,
				    share->writable  ? MAP_WRITABLE
				    : share->discard ? MAP_DISCARD
						     : MAP_READ_ONLY);
}

static void warn_of_unsupported(const struct config_file *f)
{
	for (size_t i = 0; i < f->n_entries; i++) {
		const struct config_entry *e = &f->entries[i];

		set_subject(f, e->line);
		if (e->kind == CONFIG_UNSUPPORTED && *e->value)
			log_warn("%s", e->value);
		else if (e->kind == CONFIG_NOTE)
			log_info("%s", e->value);
	}
}

/* What the readers found. */
static int say_problems(const struct config_file *f)
{
	for (size_t i = 0; i < f->n_problems; i++)
		if (f->problems[i].line)
			log_error("%s:%u: %s", f->path, f->problems[i].line, f->problems[i].text);
		else
			log_error("%s: %s", f->path, f->problems[i].text);
	return f->n_problems > 0 ? -EINVAL : 0;
}

/* The first failure is the result, and only lack of memory ends it. */
static void keep(int *first, int r)
{
	if (r == -ENOMEM || *first == 0)
		*first = r;
}

int config_apply(struct settings *s, const struct config_file *f, unsigned int flags)
{
	const struct map_base base = s->base;
	int r = say_problems(f);

	s->base.cwd = f->folder;
	for (size_t i = 0; r != -ENOMEM && i < f->n_entries; i++) {
		set_subject(f, f->entries[i].line);
		if (f->entries[i].row)
			keep(&r, apply_setting(s, &f->entries[i]));
	}
	for (size_t i = 0; r != -ENOMEM && i < f->n_shares; i++)
		if (!f->shares[i].bad)
			keep(&r, apply_share(s, f, &f->shares[i]));
	if (r != -ENOMEM && flags & CONFIG_APPLY_COMMANDS)
		keep(&r, apply_commands(s, f));
	/* Last, so that a mistake is the only line. */
	if (r == 0 && !(flags & CONFIG_APPLY_QUIETLY))
		warn_of_unsupported(f);
	set_subject(f, 0);
	s->base = base;
	return r;
}

void config_prefer_later_maps(struct sandbox_config *cfg, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t j = n;

		while (j < cfg->n_maps && strcmp(cfg->maps[i].guest, cfg->maps[j].guest) != 0)
			j++;
		if (j == cfg->n_maps) {
			i++;
			continue;
		}
		config_map_fini(&cfg->maps[i]);
		cfg->n_maps--;
		n--;
		memmove(&cfg->maps[i], &cfg->maps[i + 1], (cfg->n_maps - i) * sizeof(cfg->maps[0]));
	}
}
