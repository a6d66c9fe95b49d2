/* SPDX-License-Identifier: MIT */
#include "launcher/config/run_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/config/checkout.h"
#include "launcher/config/config_apply.h"
#include "launcher/config/map.h"
#include "launcher/config/open_file.h"
#include "launcher/config/settings.h"

/*
 * What the sandbox has of its own, so that the host's folder there is not
 * mapped: the system's folders, and some that would do harm read-only.
 */
static bool sandbox_has_its_own(const char *cwd)
{
	static const char *const whole[] = {"/bin",   "/etc",	 "/lib",  "/lib32",
					    "/lib64", "/libx32", "/sbin", "/usr"};
	static const char *const exactly[] = {"/home", "/tmp", "/var/tmp"};

	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (path_is_below(cwd, whole[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(exactly); i++)
		if (strcmp(cwd, exactly[i]) == 0)
			return true;
	return guest_path_is_reserved(cwd);
}

/* Whether a map of `path` at the same path goes together with those there are. */
static bool fits(const struct sandbox_config *cfg, char *path)
{
	const struct config_map outer = {.host = path, .guest = path};
	char why[MAP_WHY_MAX];

	for (size_t i = 0; i < cfg->n_maps; i++)
		if (path_is_below(cfg->maps[i].guest, path) &&
		    map_check_pair(&outer, &cfg->maps[i], why, sizeof(why)) < 0)
			return false;
	return true;
}

/* Whether somebody who wants to show the work in a directory wants to show all of `path`. */
static bool may_be_shown(const struct settings *s, char *path)
{
	return !path_is_below(s->host->user.home, path) && !sandbox_has_its_own(path) &&
	       fits(s->cfg, path);
}

/* The tree that git or a build looks for upwards, and what its .git refers to; or cwd alone. */
static int place_checkout(const struct settings *s, const char *cwd)
{
	struct checkout tree;
	int r = checkout_find(cwd, s->host->user.uid, &tree);
	const bool shown = r == 0 && may_be_shown(s, tree.root);

	r = map_add_same(s->cfg, shown ? tree.root : cwd);
	if (r == 0 && shown && strcmp(tree.root, cwd) != 0)
		log_info("%s is shown, read-only, as it is the git work tree that %s is in; "
			 "--map-only shows the latter alone",
			 tree.root, cwd);
	if (r == 0 && shown && tree.git && may_be_shown(s, tree.git)) {
		log_info("%s is shown, read-only, as the git work tree refers to it; not with "
			 "--map-only",
			 tree.git);
		r = map_add_same(s->cfg, tree.git);
	}
	checkout_fini(&tree);
	return r;
}

/* Maps the current directory where that is wanted and says where the command starts. */
static int place_cwd(const struct settings *s)
{
	struct sandbox_config *cfg = s->cfg;
	const struct run_host *host = s->host;
	const char *cwd = host->cwd;

	if (!cwd)
		return 0;
	if (path_is_below(host->user.home, cwd) && strcmp(cwd, "/") != 0) {
		log_info(
			"%s is not shared with the sandbox, as it is or holds your home directory; "
			"use --map to share it",
			cwd);
		return 0;
	}
	if (path_is_below(cwd, "/proc") || path_is_below(cwd, "/sys") ||
	    path_is_below(cwd, "/dev")) {
		log_warn("%s belongs to this host's kernel, so the command starts in the home "
			 "directory; choose another place with --workdir",
			 cwd);
		return 0;
	}
	if (!cfg->workdir && settings_string(&cfg->workdir, cwd) < 0)
		return -ENOMEM;
	if (sandbox_has_its_own(cwd))
		return 0;
	for (size_t i = 0; i < cfg->n_maps; i++)
		if (path_is_below(cwd, cfg->maps[i].guest))
			return 0;
	return s->map_only ? map_add_same(cfg, cwd) : place_checkout(s, cwd);
}

static int refuse_command(const char *word)
{
	log_error("start takes no command; start it, then write `sandcastle exec NAME %s`", word);
	return -EINVAL;
}

static int refuse_session(void)
{
	log_error("a session shows one program, which `sandcastle run` starts; `start` has none");
	return -EINVAL;
}

static int copy_command(struct sandbox_config *cfg, int argc, char **argv)
{
	if (argc == 0 || !argv[0][0]) {
		log_error("no command given; write `sandcastle run -- COMMAND`, or see `sandcastle "
			  "run --help`");
		return -EINVAL;
	}
	cfg->argv = calloc((size_t)argc + 1, sizeof(*cfg->argv));
	for (int i = 0; cfg->argv && i < argc; i++)
		if (settings_string(&cfg->argv[i], argv[i]) < 0)
			return -ENOMEM;
	if (cfg->argv)
		return 0;
	log_error("out of memory");
	return -ENOMEM;
}

/* An operand is a file to open, and no command. */
static bool opens(const struct settings *s)
{
	return s->call.command->flags & COMMAND_OPENS;
}

static int apply_file(struct settings *s)
{
	/* A command on the command line takes the place of the file's. */
	const bool commands = s->call.argc == 0 || opens(s);
	const unsigned int flags = commands ? CONFIG_APPLY_COMMANDS : 0;
	struct config_file file;
	int r = config_file_read(s->config, &file);

	if (r == 0)
		r = config_apply(s, &file, flags);
	config_file_fini(&file);
	return r;
}

/* A command without operands is `start`: commands come later, by its clients. */
static bool serves(const struct settings *s)
{
	return s->call.command->max == 0;
}

/* The file to open, if that is not the configuration itself. */
static int copy_file(struct settings *s)
{
	if (s->call.argc > 1 || (s->config && s->call.argc == 1 && s->config != s->call.argv[0])) {
		log_error("open takes one file; write `sandcastle open FILE` for each");
		return -EINVAL;
	}
	return s->config || s->call.argc == 0 ? 0 : copy_command(s->cfg, 1, s->call.argv);
}

/*
 * The command line is gone through twice, first for --config alone: what the
 * file says has to be there for the other options to take its place.
 */
static int parse_twice(struct settings *s, int argc, char **argv)
{
	struct sandbox_config *cfg = s->cfg;
	size_t n_file_maps;
	int r;

	s->call.only = SETTING_FIRST;
	r = options_parse(&s->call, argc, argv);
	if (r == 0 && opens(s) && !s->config && s->call.argc == 1 &&
	    open_is_config(s->call.argv[0]))
		s->config = s->call.argv[0];
	if (r == 0 && s->config)
		r = apply_file(s);
	if (r == 0 && s->config && !serves(s) && !opens(s))
		r = config_commands_to_argv(cfg);
	if (r != 0)
		return r;
	n_file_maps = cfg->n_maps;
	s->call.only = 0;
	r = options_parse(&s->call, argc, argv);
	if (r < 0)
		return r;
	config_prefer_later_maps(cfg, n_file_maps);
	if (serves(s) && cfg->session_app)
		return refuse_session();
	if (serves(s))
		return s->call.argc > 0 ? refuse_command(s->call.argv[0]) : 0;
	if (opens(s))
		return copy_file(s);
	return cfg->argv ? 0 : copy_command(cfg, s->call.argc, s->call.argv);
}

int run_options_parse(const struct call *call, const struct run_host *host,
		      struct sandbox_config *cfg)
{
	struct settings s;
	int r;

	sandbox_config_init(cfg);
	r = settings_init(&s, host, cfg);
	s.call.command = call->command;
	cfg->tty &= !serves(&s);
	if (r == 0)
		r = parse_twice(&s, call->argc, call->argv);
	/* With a file, the sandbox sees what the file says, wherever it is started from. */
	if (r == 0 && opens(&s))
		r = open_apply(&s);
	else if (r == 0 && !s.config)
		r = place_cwd(&s);
	return r == 0 ? settings_finish(&s) : r;
}
