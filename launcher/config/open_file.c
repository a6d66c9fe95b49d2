/* SPDX-License-Identifier: MIT */
#include "launcher/config/open_file.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/log.h"
#include "launcher/config/config_apply.h"
#include "launcher/open/applications.h"

static int out_of_memory(void)
{
	log_error("out of memory");
	return -ENOMEM;
}

bool open_is_config(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot && (strcasecmp(dot, ".sandbox") == 0 || strcasecmp(dot, ".wsb") == 0);
}

static void free_words(char **words)
{
	for (size_t i = 0; words && words[i]; i++)
		free(words[i]);
	free(words);
}

/* cfg->argv becomes `before`, `n` words, and then the command. */
static int set_command(struct sandbox_config *cfg, const char *const *before, size_t n,
		       const struct entry *e)
{
	char **argv = calloc(n + e->n + 1, sizeof(*argv));

	for (size_t i = 0; argv && i < n + e->n; i++) {
		argv[i] = strdup(before && i < n ? before[i] : e->argv[i - n]);
		if (!argv[i]) {
			free_words(argv);
			argv = NULL;
		}
	}
	if (!argv)
		return out_of_memory();
	free_words(cfg->argv);
	cfg->argv = argv;
	return 0;
}

/* The commands run one after the other beside the program, in one shell. */
static int set_command_beside(struct sandbox_config *cfg, const struct entry *e)
{
	static const char both[] = "c=$1; shift; sh -c \"$c\" & exec \"$@\"";
	struct buffer script = {.data = NULL};
	const char *before[] = {"sh", "-c", both, "sh", NULL};
	int r = 0;

	for (size_t i = 0; r == 0 && cfg->commands[i]; i++) {
		r = buffer_add(&script, cfg->commands[i], strlen(cfg->commands[i]));
		if (r == 0)
			r = buffer_add(&script, "\n", 1);
	}
	if (r == 0)
		r = buffer_add(&script, "", 1);
	before[4] = script.data;
	r = r < 0 ? out_of_memory() : set_command(cfg, before, ARRAY_SIZE(before), e);
	free(script.data);
	free_words(cfg->commands);
	cfg->commands = NULL;
	return r;
}

static int open_folder(struct settings *s, const struct app_places *p, struct entry *e)
{
	int r = app_for_folder(p, s->host->user.home, e);

	if (r == -ENOENT)
		log_error("the sandbox has no program to begin with: neither a file manager nor a "
			  "terminal; apt install foot");
	else if (r < 0)
		log_error("cannot show %s: %s", s->host->user.home, strerror(-r));
	return r;
}

/* Whoever wants another program for such files installs it here, as the sandbox has the same. */
static void say_missing(const char *name, const char *type)
{
	const char *package = app_package(type);

	if (!*type)
		log_warn("nothing is known of files with a name such as '%s'; its folder is shown",
			 name);
	else if (package)
		log_warn("the sandbox has no application for '%s' (%s); its folder is shown; apt "
			 "install %s",
			 name, type, package);
	else
		log_warn("the sandbox has no application for '%s' (%s); its folder is shown", name,
			 type);
}

/* Maps the file alone. *guest and *name, which is part of it, are where and what it is then. */
static int map_file(struct settings *s, const char *file, char **guest, const char **name)
{
	AUTO_FREE char *real = realpath(file, NULL), *copy = strdup(file);
	struct stat st;

	if (!copy)
		return out_of_memory();
	if (!real || stat(real, &st) < 0) {
		log_error("cannot open %s: %s", file, strerror(errno));
		return -ENOENT;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("cannot open %s: it is no file; `sandcastle run --map` shows a folder",
			  file);
		return -ENOTSUP;
	}
	/* The name the user sees, which a link may have of its own. */
	if (asprintf(guest, "%s/%s", s->host->user.home, basename(copy)) < 0) {
		*guest = NULL;
		return out_of_memory();
	}
	*name = strrchr(*guest, '/') + 1;
	return map_add_exact(s->cfg, real, *guest);
}

static int open_one(struct settings *s, const struct app_places *p, struct entry *e)
{
	AUTO_FREE char *guest = NULL;
	char type[MIME_TYPE_MAX];
	const char *name = NULL;
	int r = map_file(s, s->cfg->argv[0], &guest, &name);

	if (r < 0)
		return r;
	app_type(p, name, type);
	r = app_for_type(p, type, guest, e);
	if (r == -ENOENT) {
		say_missing(name, type);
		r = open_folder(s, p, e);
	} else if (r < 0) {
		log_error("cannot open %s: %s", name, strerror(-r));
	}
	return r == 0 ? set_command(s->cfg, NULL, 0, e) : r;
}

int open_apply(struct settings *s)
{
	struct sandbox_config *cfg = s->cfg;
	struct entry *e = malloc(sizeof(*e));
	AUTO_FREE char *block = NULL;
	struct app_places places;
	int r = e ? app_places_init(&places, s->host->user.home, cfg->root, &block) : -ENOMEM;

	if (r < 0) {
		free(e);
		return out_of_memory();
	}
	/* A file that says which session it is for has a program of its own. */
	if (cfg->session_app && cfg->commands)
		r = config_commands_to_argv(cfg);
	else if (cfg->argv)
		r = open_one(s, &places, e);
	else if ((r = open_folder(s, &places, e)) == 0)
		r = cfg->commands ? set_command_beside(cfg, e) : set_command(cfg, NULL, 0, e);
	free(e);
	cfg->session_app = cfg->window = true;
	cfg->no_stdin = true;
	return r == 0 ? settings_string(&cfg->session, "app") : r;
}
