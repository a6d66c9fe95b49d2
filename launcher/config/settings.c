/* SPDX-License-Identifier: MIT */
#include "launcher/config/settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/config/name.h"

enum { DEFAULT_CPUS_MAX = 4, MEMORY_STEP = 2 << 20 };
#define DEFAULT_MEMORY_MAX (8ull << 30)

static int out_of_memory(void)
{
	log_error("out of memory");
	return -ENOMEM;
}

int settings_string(char **field, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return out_of_memory();
	free(*field);
	*field = copy;
	return 0;
}

/* Adds "K=V" or takes the place of an earlier "K=..."; takes `entry` over, also on failure. */
static int put_env(struct settings *s, char *entry)
{
	const size_t key = entry ? strcspn(entry, "=") + 1 : 0;
	char **env;

	if (!entry)
		return out_of_memory();
	for (size_t i = 0; i < s->n_env; i++) {
		if (strncmp(s->cfg->env[i], entry, key) != 0)
			continue;
		free(s->cfg->env[i]);
		s->cfg->env[i] = entry;
		return 0;
	}
	env = reallocarray(s->cfg->env, s->n_env + 2, sizeof(*env));
	if (!env) {
		free(entry);
		return out_of_memory();
	}
	env[s->n_env++] = entry;
	env[s->n_env] = NULL;
	s->cfg->env = env;
	return 0;
}

/* A variable of ours, passed on if it is set. */
static int pass_env(struct settings *s, const char *name)
{
	const char *value = getenv(name);
	char *entry = NULL;

	if (!value)
		return 0;
	return put_env(s, asprintf(&entry, "%s=%s", name, value) < 0 ? NULL : entry);
}

int setting_env(struct settings *s, const char *text)
{
	const size_t key = strcspn(text, "=");

	for (size_t i = 0; i < key; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_') {
			log_error("%s '%s': a variable's name holds letters, digits and _ only",
				  s->what, text);
			return -EINVAL;
		}
	if (key == 0 || isdigit((unsigned char)text[0])) {
		log_error("%s '%s': a variable's name begins with a letter or _; write NAME=VALUE",
			  s->what, text);
		return -EINVAL;
	}
	return text[key] ? put_env(s, strdup(text)) : pass_env(s, text);
}

int setting_cpus(struct settings *s, const char *text)
{
	uint64_t n;

	if (parse_number(text, 1, CONFIG_MAX_CPUS, &n) < 0) {
		log_error("%s '%s': give a number from 1 to %d", s->what, text, CONFIG_MAX_CPUS);
		return -EINVAL;
	}
	if (n > s->host->cpus)
		log_warn("%s %u is more than the %u of this host, which makes the sandbox slower",
			 s->what, (unsigned int)n, s->host->cpus);
	s->cfg->cpus = (unsigned int)n;
	return 0;
}

int setting_memory(struct settings *s, const char *text)
{
	char least[32], host[32];
	uint64_t bytes = 0;
	int r = parse_size(text, &bytes);

	format_size(CONFIG_MIN_MEMORY, least);
	format_size(s->host->memory, host);
	if (r == -EINVAL)
		log_error("%s '%s' is not a size; write 512M, 2G or a number of bytes", s->what,
			  text);
	else if (r == 0 && bytes < CONFIG_MIN_MEMORY)
		log_error("%s %s is too little for a kernel to start in; give at least %s", s->what,
			  text, least);
	else if (r < 0 || bytes > CONFIG_MAX_MEMORY || bytes > s->host->memory)
		log_error("%s %s is more than this host has; give at most its %s", s->what, text,
			  host);
	else {
		s->cfg->memory = align_up(bytes, MEMORY_STEP);
		return 0;
	}
	return -EINVAL;
}

int setting_timeout(struct settings *s, const char *text)
{
	if (parse_duration(text, &s->cfg->timeout_ms) == 0)
		return 0;
	log_error("%s '%s' is not a time above 0; write 10s, 5m or 1h30m", s->what, text);
	return -EINVAL;
}

int setting_name(struct settings *s, const char *text)
{
	if (is_host_name(text))
		return settings_string(&s->cfg->name, text);
	log_error("%s '%s': a name is 1 to 63 letters, digits and inner dashes, as a host's",
		  s->what, text);
	return -EINVAL;
}

int setting_workdir(struct settings *s, const char *text)
{
	char *path = NULL;
	int r = path_expand(&s->base, text, strlen(text), &path);

	if (r < 0)
		return r;
	free(s->cfg->workdir);
	s->cfg->workdir = path;
	if (path_normalise(path))
		return 0;
	log_error("%s '%s': a path in the sandbox may not hold '..'; write it out", s->what, text);
	return -EINVAL;
}

int setting_text(struct settings *s, char **field, const char *text)
{
	if (*text)
		return settings_string(field, text);
	log_error("%s must not be empty; leave it out for the default", s->what);
	return -EINVAL;
}

static int copy_user(struct sandbox_config *cfg, const struct config_user *user)
{
	cfg->user.uid = user->uid;
	cfg->user.gid = user->gid;
	if (settings_string(&cfg->user.name, user->name) < 0 ||
	    settings_string(&cfg->user.home, user->home) < 0 ||
	    settings_string(&cfg->user.shell, user->shell) < 0)
		return -ENOMEM;
	return 0;
}

/*
 * Four processors make most builds quick, and starting more costs time each
 * sandbox would pay. Half the memory leaves the host its other half even when
 * the ceiling is reached; a guest's kernel spends 1.6 % of the ceiling on
 * keeping books of it, which beyond 8 GiB should be asked for.
 */
int settings_init(struct settings *s, const struct run_host *host, struct sandbox_config *cfg)
{
	uint64_t memory = min_u64(host->memory / 2, DEFAULT_MEMORY_MAX);

	*s = (struct settings){
		.cfg = cfg,
		.host = host,
		.base = {.cwd = host->cwd ? host->cwd : "/", .home = host->user.home},
		.what = "",
	};
	cfg->tty = host->tty;
	cfg->cpus = host->cpus < DEFAULT_CPUS_MAX ? host->cpus : DEFAULT_CPUS_MAX;
	if (memory < CONFIG_MIN_MEMORY)
		memory = CONFIG_MIN_MEMORY;
	cfg->memory = memory & ~(uint64_t)(MEMORY_STEP - 1);
	/* The user's language, and the terminal's kind where there is one. */
	if (pass_env(s, "LANG") < 0 || pass_env(s, "LANGUAGE") < 0 || pass_env(s, "LC_ALL") < 0)
		return -ENOMEM;
	if (cfg->tty && (pass_env(s, "TERM") < 0 || pass_env(s, "COLORTERM") < 0))
		return -ENOMEM;
	return copy_user(cfg, &host->user);
}

int settings_finish(struct settings *s)
{
	struct sandbox_config *cfg = s->cfg;
	int r = map_check_all(cfg);

	if (r == 0 && !cfg->name) {
		cfg->name = name_generate();
		cfg->name_is_generated = true;
		r = cfg->name ? 0 : out_of_memory();
	}
	return r;
}
