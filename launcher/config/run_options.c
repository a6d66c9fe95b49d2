/* SPDX-License-Identifier: MIT */
#include "launcher/config/run_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/config/config_apply.h"
#include "launcher/config/map.h"
#include "launcher/config/settings.h"
#include "launcher/config/timeline_file.h"
#include "launcher/options.h"

enum {
	OPT_CONFIG = OPTION_OWN,
	OPT_NAME,
	OPT_CPUS,
	OPT_MEMORY,
	OPT_MAP,
	OPT_ENV,
	OPT_WORKDIR,
	OPT_USER,
	OPT_TIMEOUT,
	OPT_ROOT,
	OPT_KERNEL,
	OPT_BATTERY,
	OPT_STATS,
	OPT_TIMELINE,
	OPT_NO_DAX,
	OPT_TIE,
	OPT_DEBUG_CONSOLE,
	OPT_VERBOSE,
};

/* Letters are podman's, where it has the option. */
static const struct option_def defs[] = {
	{OPT_CONFIG, 0, "config", "FILE",
	 "take what is not said here from a .sandbox or .wsb\n"
	 "file, its commands too; nothing else is mapped then"},
	{OPT_MAP, 0, "map", "HOST[:GUEST][:rw]",
	 "show a host folder or file at GUEST (default: at\n"
	 "the same path); read-only without :rw; may repeat"},
	{OPT_ENV, 'e', "env", "K[=V]",
	 "set a variable; without =V to its value here;\n"
	 "may repeat"},
	{OPT_WORKDIR, 'w', "workdir", "DIR",
	 "where COMMAND starts (default: the current\n"
	 "directory)"},
	{OPT_USER, 'u', "user", "NAME|UID", "who COMMAND runs as (default: you)"},
	{OPT_MEMORY, 'm', "memory", "SIZE",
	 "the most it may use: 512M, 2G (default: half the\n"
	 "host's, at most 8G); taken only as it is used"},
	{OPT_CPUS, 0, "cpus", "N", "processors (default: the host's, at most 4)"},
	{OPT_TIMEOUT, 0, "timeout", "TIME", "end it after that time: 10s, 5m, 1h30m"},
	{OPT_NAME, 0, "name", "NAME", "its name and host name (default: two words)"},
	{OPT_ROOT, 0, "root", "DIR",
	 "make the sandbox of the system below DIR instead of\n"
	 "this host's, as debootstrap makes one"},
	{OPT_KERNEL, 0, "kernel", "FILE",
	 "bzImage or ELF vmlinux (default: the host's own\n"
	 "from /boot)"},
	{OPT_BATTERY, 0, "battery", "host|none|FILE",
	 "what it knows of batteries and mains: what this\n"
	 "host does (default), nothing, or a timeline"},
	{OPT_STATS, 0, "stats", "FILE",
	 "add a line of JSON to FILE when the memory in use\n"
	 "has changed, at most one a second"},
	{OPT_TIMELINE, 0, "timeline", "FILE",
	 "write to FILE.svg or FILE.json what the run's time\n"
	 "was spent on"},
	{OPT_NO_DAX, 0, "no-dax", NULL,
	 "have the guest read and cache files of its own,\n"
	 "instead of mapping the host's"},
	{OPT_TIE, 0, "tie-to-parent", NULL, "end when the process that starts this one does"},
	{OPT_DEBUG_CONSOLE, 0, "debug-console", NULL, "show the kernel's messages on stderr"},
	{OPT_VERBOSE, 'v', "verbose", NULL, "say what is done; twice: in detail"},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

static const char help_head[] =
	"Usage: sandcastle run [OPTIONS] [--] COMMAND [ARG...]\n"
	"\n"
	"Runs COMMAND in a throw-away Linux machine made of this host's own files.\n"
	"Its input, output, signals and exit code are those of a command run here;\n"
	"whatever it changes is gone when it ends, except in folders mapped :rw.\n"
	"\n"
	"  sandcastle run -- make test           the current directory, read-only\n"
	"  sandcastle run --map .:rw -- make     the same, writable\n"
	"  sandcastle run bash                   look around\n"
	"  cat data | sandcastle run sort | head\n"
	"\n"
	"Options:\n";

static const char help_tail[] =
	"\n"
	"The current directory is mapped read-only at the same path, unless it is your\n"
	"home directory, which holds keys and passwords, or one that holds it; COMMAND\n"
	"then starts in an empty home. Share it with --map ~ if you mean to.\n"
	"\n"
	"Exit code: COMMAND's own; 124 the time was up; 125 Sandcastle failed;\n"
	"126 COMMAND cannot be executed; 127 it was not found; 128+N signal N ended it.\n";

static const char start_head[] =
	"Usage: sandcastle start [OPTIONS]\n"
	"\n"
	"Starts a throw-away Linux machine that stays until it is stopped, and prints its\n"
	"name when it is ready. `sandcastle exec NAME COMMAND` runs commands in it, as many\n"
	"at once as you like, `sandcastle stop NAME` ends it. --env, --workdir and --user\n"
	"are for those commands that do not say otherwise.\n"
	"\n"
	"  box=$(sandcastle start --map .:rw)\n"
	"  sandcastle exec $box make\n"
	"  sandcastle stop $box\n"
	"\n"
	"Options:\n";

static const char start_tail[] = "\n"
				 "The current directory is mapped as `sandcastle run` does. The\n"
				 "commands of a --config file run once it is ready;\n"
				 "`sandcastle logs NAME` shows what they say.\n"
				 "\n"
				 "Exit code: 0 it is ready; 125 Sandcastle failed.\n";

struct run_parse {
	struct option_set set;
	struct settings settings;
	char what[32]; /* the option, with its dashes */
	const char *config; /* --config */
	bool only_config; /* the first of two passes: look for nothing else */
	unsigned int verbose;
	bool serves; /* `start`: there is no command */
};

static int apply_config(struct run_parse *p, const char *arg)
{
	if (!p->only_config)
		return 0;
	if (p->config) {
		log_error("--config is given twice; put what both files say into one");
		return -EINVAL;
	}
	p->config = arg;
	return 0;
}

static int apply_timeline(struct run_parse *p, const char *arg)
{
	if (timeline_file_name_is_good(arg))
		return setting_text(&p->settings, &p->settings.cfg->timeline, arg);
	log_error("--timeline '%s': give a file whose name ends in .svg, to look at, or .json",
		  arg);
	return -EINVAL;
}

static int apply_setting(struct run_parse *p, const struct option_def *def, const char *arg)
{
	struct settings *s = &p->settings;
	struct sandbox_config *cfg = s->cfg;

	snprintf(p->what, sizeof(p->what), "--%s", def->name);
	s->what = p->what;
	switch (def->id) {
	case OPT_MAP:
		return map_add(cfg, &s->base, arg);
	case OPT_ENV:
		return setting_env(s, arg);
	case OPT_WORKDIR:
		return setting_workdir(s, arg);
	case OPT_USER:
		return setting_text(s, &cfg->run_as, arg);
	case OPT_MEMORY:
		return setting_memory(s, arg);
	case OPT_CPUS:
		return setting_cpus(s, arg);
	case OPT_TIMEOUT:
		return setting_timeout(s, arg);
	case OPT_NAME:
		return setting_name(s, arg);
	case OPT_TIMELINE:
		return apply_timeline(p, arg);
	case OPT_STATS:
		return setting_text(s, &cfg->stats, arg);
	case OPT_ROOT:
		return setting_text(s, &cfg->root, arg);
	case OPT_KERNEL:
		return setting_text(s, &cfg->kernel, arg);
	case OPT_BATTERY:
		return setting_text(s, &cfg->battery, arg);
	default:
		return -EINVAL;
	}
}

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct run_parse *p = CONTAINER_OF(set, struct run_parse, set);

	switch (def->id) {
	case OPT_CONFIG:
		return apply_config(p, arg);
	default:
		break;
	}
	if (p->only_config)
		return 0;
	switch (def->id) {
	case OPT_NO_DAX:
		p->settings.cfg->no_dax = true;
		return 0;
	case OPT_TIE:
		p->settings.cfg->tie_to_parent = true;
		return 0;
	case OPT_DEBUG_CONSOLE:
		p->settings.cfg->debug_console = true;
		return 0;
	case OPT_VERBOSE:
		log_set_level(++p->verbose > 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
		return 0;
	default:
		return apply_setting(p, def, arg);
	}
}

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

/* Maps the current directory where that is wanted and says where the command starts. */
static int place_cwd(struct run_parse *p)
{
	struct sandbox_config *cfg = p->settings.cfg;
	const struct run_host *host = p->settings.host;
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
	return map_add_same(cfg, cwd);
}

static int refuse_command(const char *word)
{
	log_error("start takes no command; start it, then write `sandcastle exec NAME %s`", word);
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

static int apply_file(struct run_parse *p, unsigned int flags)
{
	struct config_file file;
	int r = config_file_read(p->config, &file);

	if (r == 0)
		r = config_apply(&p->settings, &file, flags);
	config_file_fini(&file);
	return r;
}

/*
 * The command line is gone through twice, first for --config alone: what the
 * file says has to be there for the other options to take its place.
 */
static int parse_twice(struct run_parse *p, int argc, char **argv)
{
	struct sandbox_config *cfg = p->settings.cfg;
	size_t n_file_maps;
	int first, r;

	p->only_config = true;
	first = options_parse(&p->set, argc, argv);
	if (first <= 0)
		return first ? first : 1;
	if (p->config) {
		r = apply_file(p, first == argc ? CONFIG_APPLY_COMMANDS : 0);
		if (r == 0 && !p->serves)
			r = config_commands_to_argv(cfg);
		if (r < 0)
			return r;
	}
	n_file_maps = cfg->n_maps;
	p->only_config = false;
	first = options_parse(&p->set, argc, argv);
	if (first < 0)
		return first;
	config_prefer_later_maps(cfg, n_file_maps);
	if (p->serves)
		return first < argc ? refuse_command(argv[first]) : 0;
	return cfg->argv ? 0 : copy_command(cfg, argc - first, argv + first);
}

int run_options_parse(int argc, char **argv, const struct run_host *host,
		      struct sandbox_config *cfg)
{
	const bool serves = strcmp(argv[0], "start") == 0;
	struct run_parse p = {
		.set = {.command = argv[0],
			.help_head = serves ? start_head : help_head,
			.help_tail = serves ? start_tail : help_tail,
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
		.serves = serves,
	};
	int r;

	sandbox_config_init(cfg);
	r = settings_init(&p.settings, host, cfg);
	cfg->tty &= !p.serves;
	if (r == 0)
		r = parse_twice(&p, argc, argv);
	/* With a file, the sandbox sees what the file says, wherever it is started from. */
	if (r == 0 && !p.config)
		r = place_cwd(&p);
	return r == 0 ? settings_finish(&p.settings) : r;
}
