/* SPDX-License-Identifier: MIT */
#include "launcher/run_options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/map.h"
#include "launcher/name.h"
#include "launcher/options.h"
#include "launcher/parse.h"
#include "launcher/timeline_file.h"
#include "vmm/log.h"

enum {
	OPT_NAME = 256,
	OPT_CPUS,
	OPT_MEMORY,
	OPT_MAP,
	OPT_ENV,
	OPT_WORKDIR,
	OPT_USER,
	OPT_TIMEOUT,
	OPT_KERNEL,
	OPT_BATTERY,
	OPT_STATS,
	OPT_TIMELINE,
	OPT_TIE,
	OPT_DEBUG_CONSOLE,
	OPT_VERBOSE,
	OPT_HELP,
};

/* Letters are podman's, where it has the option. */
static const struct option_def defs[] = {
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
	{OPT_TIE, 0, "tie-to-parent", NULL, "end when the process that starts this one does"},
	{OPT_DEBUG_CONSOLE, 0, "debug-console", NULL, "show the kernel's messages on stderr"},
	{OPT_VERBOSE, 'v', "verbose", NULL, "say what is done; twice: in detail"},
	{OPT_HELP, 'h', "help", NULL, "show this"},
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
				 "The current directory is mapped as `sandcastle run` does.\n"
				 "\n"
				 "Exit code: 0 it is ready; 125 Sandcastle failed.\n";

enum { DEFAULT_CPUS_MAX = 4, MEMORY_STEP = 2 << 20 };
#define DEFAULT_MEMORY_MAX (8ull << 30)

struct run_parse {
	struct option_set set;
	const struct run_host *host;
	struct map_base base;
	struct sandbox_config *cfg;
	const char *workdir;
	size_t n_env;
	unsigned int verbose;
	bool help;
};

static int out_of_memory(void)
{
	log_error("out of memory");
	return -ENOMEM;
}

static int set_string(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return out_of_memory();
	free(*field);
	*field = copy;
	return 0;
}

/* Adds "K=V" or takes the place of an earlier "K=..."; takes `entry` over, also on failure. */
static int put_env(struct run_parse *p, char *entry)
{
	const size_t key = entry ? strcspn(entry, "=") + 1 : 0;
	char **env;

	if (!entry)
		return out_of_memory();
	for (size_t i = 0; i < p->n_env; i++) {
		if (strncmp(p->cfg->env[i], entry, key) != 0)
			continue;
		free(p->cfg->env[i]);
		p->cfg->env[i] = entry;
		return 0;
	}
	env = reallocarray(p->cfg->env, p->n_env + 2, sizeof(*env));
	if (!env) {
		free(entry);
		return out_of_memory();
	}
	env[p->n_env++] = entry;
	env[p->n_env] = NULL;
	p->cfg->env = env;
	return 0;
}

/* A variable of ours, passed on if it is set. */
static int pass_env(struct run_parse *p, const char *name)
{
	const char *value = getenv(name);
	char *entry = NULL;

	if (!value)
		return 0;
	return put_env(p, asprintf(&entry, "%s=%s", name, value) < 0 ? NULL : entry);
}

static int apply_env(struct run_parse *p, const char *arg)
{
	const size_t key = strcspn(arg, "=");

	for (size_t i = 0; i < key; i++)
		if (!isalnum((unsigned char)arg[i]) && arg[i] != '_') {
			log_error("--env '%s': a variable's name holds letters, digits and _ only",
				  arg);
			return -EINVAL;
		}
	if (key == 0 || isdigit((unsigned char)arg[0])) {
		log_error(
			"--env '%s': a variable's name begins with a letter or _; write NAME=VALUE",
			arg);
		return -EINVAL;
	}
	return arg[key] ? put_env(p, strdup(arg)) : pass_env(p, arg);
}

static int apply_cpus(struct run_parse *p, const char *arg)
{
	uint64_t n;

	if (parse_number(arg, 1, CONFIG_MAX_CPUS, &n) < 0) {
		log_error("--cpus '%s': give a number from 1 to %d", arg, CONFIG_MAX_CPUS);
		return -EINVAL;
	}
	if (n > p->host->cpus)
		log_warn("--cpus %u is more than the %u of this host, which makes the sandbox "
			 "slower",
			 (unsigned int)n, p->host->cpus);
	p->cfg->cpus = (unsigned int)n;
	return 0;
}

static int apply_memory(struct run_parse *p, const char *arg)
{
	char least[32], host[32];
	uint64_t bytes = 0;
	int r = parse_size(arg, &bytes);

	format_size(CONFIG_MIN_MEMORY, least);
	format_size(p->host->memory, host);
	if (r == -EINVAL)
		log_error("--memory '%s' is not a size; write 512M, 2G or a number of bytes", arg);
	else if (r == 0 && bytes < CONFIG_MIN_MEMORY)
		log_error("--memory %s is too little for a kernel to start in; give at least %s",
			  arg, least);
	else if (r < 0 || bytes > CONFIG_MAX_MEMORY || bytes > p->host->memory)
		log_error("--memory %s is more than this host has; give at most its %s", arg, host);
	else {
		p->cfg->memory = align_up(bytes, MEMORY_STEP);
		return 0;
	}
	return -EINVAL;
}

static int apply_timeout(struct run_parse *p, const char *arg)
{
	if (parse_duration(arg, &p->cfg->timeout_ms) == 0)
		return 0;
	log_error("--timeout '%s' is not a time above 0; write 10s, 5m or 1h30m", arg);
	return -EINVAL;
}

static int apply_name(struct run_parse *p, const char *arg)
{
	if (is_host_name(arg))
		return set_string(&p->cfg->name, arg);
	log_error("--name '%s': a name is 1 to 63 letters, digits and inner dashes, as a host's",
		  arg);
	return -EINVAL;
}

static int apply_text(char **field, const char *option, const char *arg)
{
	if (*arg)
		return set_string(field, arg);
	log_error("--%s must not be empty; leave it out for the default", option);
	return -EINVAL;
}

static int apply_timeline(struct run_parse *p, const char *arg)
{
	if (timeline_file_name_is_good(arg))
		return set_string(&p->cfg->timeline, arg);
	log_error("--timeline '%s': give a file whose name ends in .svg, to look at, or .json",
		  arg);
	return -EINVAL;
}

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct run_parse *p = CONTAINER_OF(set, struct run_parse, set);

	switch (def->id) {
	case OPT_MAP:
		return map_add(p->cfg, &p->base, arg);
	case OPT_ENV:
		return apply_env(p, arg);
	case OPT_WORKDIR:
		p->workdir = arg;
		return 0;
	case OPT_USER:
		return apply_text(&p->cfg->run_as, def->name, arg);
	case OPT_MEMORY:
		return apply_memory(p, arg);
	case OPT_CPUS:
		return apply_cpus(p, arg);
	case OPT_TIMEOUT:
		return apply_timeout(p, arg);
	case OPT_NAME:
		return apply_name(p, arg);
	case OPT_STATS:
		return apply_text(&p->cfg->stats, def->name, arg);
	case OPT_TIMELINE:
		return apply_timeline(p, arg);
	case OPT_KERNEL:
		return apply_text(&p->cfg->kernel, def->name, arg);
	case OPT_BATTERY:
		return apply_text(&p->cfg->battery, def->name, arg);
	case OPT_TIE:
		p->cfg->tie_to_parent = true;
		return 0;
	case OPT_DEBUG_CONSOLE:
		p->cfg->debug_console = true;
		return 0;
	case OPT_VERBOSE:
		log_set_level(++p->verbose > 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
		return 0;
	case OPT_HELP:
		p->help = true;
		return 0;
	default:
		return -EINVAL;
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
	struct sandbox_config *cfg = p->cfg;
	const char *cwd = p->host->cwd;

	if (!cwd)
		return 0;
	if (path_is_below(p->host->user.home, cwd) && strcmp(cwd, "/") != 0) {
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
	if (set_string(&cfg->workdir, cwd) < 0)
		return -ENOMEM;
	if (sandbox_has_its_own(cwd))
		return 0;
	for (size_t i = 0; i < cfg->n_maps; i++)
		if (path_is_below(cwd, cfg->maps[i].guest))
			return 0;
	return map_add_same(cfg, cwd);
}

static int place_workdir(struct run_parse *p)
{
	char *path = NULL;
	int r;

	if (!p->workdir)
		return 0;
	r = path_expand(&p->base, p->workdir, strlen(p->workdir), &path);
	if (r < 0)
		return r;
	free(p->cfg->workdir);
	p->cfg->workdir = path;
	if (path_normalise(path))
		return 0;
	log_error("--workdir '%s': a path in the sandbox may not hold '..'; write it out",
		  p->workdir);
	return -EINVAL;
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
	for (int i = 0; cfg->argv && i < argc; i++) {
		cfg->argv[i] = strdup(argv[i]);
		if (!cfg->argv[i])
			return out_of_memory();
	}
	return cfg->argv ? 0 : out_of_memory();
}

static int copy_user(struct sandbox_config *cfg, const struct config_user *user)
{
	cfg->user.uid = user->uid;
	cfg->user.gid = user->gid;
	if (set_string(&cfg->user.name, user->name) < 0 ||
	    set_string(&cfg->user.home, user->home) < 0 ||
	    set_string(&cfg->user.shell, user->shell) < 0)
		return -ENOMEM;
	return 0;
}

/*
 * Four processors make most builds quick, and starting more costs time each
 * sandbox would pay. Half the memory leaves the host its other half even when
 * the ceiling is reached; a guest's kernel spends 1.6 % of the ceiling on
 * keeping books of it, which beyond 8 GiB should be asked for.
 */
static int set_defaults(struct run_parse *p)
{
	struct sandbox_config *cfg = p->cfg;
	uint64_t memory = min_u64(p->host->memory / 2, DEFAULT_MEMORY_MAX);

	cfg->tty = p->host->tty;
	cfg->cpus = p->host->cpus < DEFAULT_CPUS_MAX ? p->host->cpus : DEFAULT_CPUS_MAX;
	if (memory < CONFIG_MIN_MEMORY)
		memory = CONFIG_MIN_MEMORY;
	cfg->memory = memory & ~(uint64_t)(MEMORY_STEP - 1);
	/* The user's language, and the terminal's kind where there is one. */
	if (pass_env(p, "LANG") < 0 || pass_env(p, "LANGUAGE") < 0 || pass_env(p, "LC_ALL") < 0)
		return -ENOMEM;
	if (cfg->tty && (pass_env(p, "TERM") < 0 || pass_env(p, "COLORTERM") < 0))
		return -ENOMEM;
	return copy_user(cfg, &p->host->user);
}

int run_options_parse(int argc, char **argv, const struct run_host *host,
		      struct sandbox_config *cfg)
{
	struct run_parse p = {
		.set = {.command = argv[0],
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
		.host = host,
		.base = {.cwd = host->cwd ? host->cwd : "/", .home = host->user.home},
		.cfg = cfg,
	};
	const bool serves = strcmp(argv[0], "start") == 0;
	int first, r;

	sandbox_config_init(cfg);
	r = set_defaults(&p);
	if (r < 0)
		return r;
	cfg->tty &= !serves;
	first = options_parse(&p.set, argc, argv);
	if (first < 0)
		return first;
	if (p.help) {
		fputs(serves ? start_head : help_head, stdout);
		options_print(defs, ARRAY_SIZE(defs));
		fputs(serves ? start_tail : help_tail, stdout);
		return 1;
	}
	if (!serves)
		r = copy_command(cfg, argc - first, argv + first);
	else if (first < argc)
		r = refuse_command(argv[first]);
	if (r == 0)
		r = place_cwd(&p);
	if (r == 0)
		r = place_workdir(&p);
	if (r == 0)
		r = map_check_all(cfg);
	if (r == 0 && !cfg->name) {
		cfg->name = name_generate();
		cfg->name_is_generated = true;
		r = cfg->name ? 0 : out_of_memory();
	}
	return r;
}
