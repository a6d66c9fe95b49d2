/* SPDX-License-Identifier: MIT */
#include "launcher/config/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "common/units.h"
#include "launcher/config/name.h"
#include "launcher/config/timeline_file.h"

enum {
	ENV_FILE_MAX = 1 << 20,
	DEFAULT_CPUS_MAX = 4,
	MEMORY_STEP = 2 << 20,
	DISPLAY_WIDTH = 1280,
	DISPLAY_HEIGHT = 800,
	DISPLAY_MAX = 8192,
	LIBVIRT_NAME_MAX = 64,
};

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

static int pass_locale(struct settings *s)
{
	static const char *const names[] = {
		"LANG",	       "LANGUAGE",	    "LC_ALL",
		"LC_CTYPE",    "LC_COLLATE",	    "LC_MESSAGES",
		"LC_MONETARY", "LC_NUMERIC",	    "LC_TIME",
		"LC_ADDRESS",  "LC_IDENTIFICATION", "LC_MEASUREMENT",
		"LC_NAME",     "LC_PAPER",	    "LC_TELEPHONE",
		"TZ",
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(names); i++)
		r = pass_env(s, names[i]);
	return r;
}

static int set_env(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);
	const size_t key = strcspn(text, "=");

	for (size_t i = 0; i < key; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_') {
			log_error("%s '%s': a variable's name holds letters, digits and _ only",
				  call->what, text);
			return -EINVAL;
		}
	if (key == 0 || isdigit((unsigned char)text[0])) {
		log_error("%s '%s': a variable's name begins with a letter or _; write NAME=VALUE",
			  call->what, text);
		return -EINVAL;
	}
	return text[key] ? put_env(s, strdup(text)) : pass_env(s, text);
}

/* One line of it, or an entry if it has them as /proc/PID/environ does, with its length. */
static size_t entry_length(const char *at, size_t left, bool binary)
{
	const char *end = memchr(at, binary ? '\0' : '\n', left);

	return end ? (size_t)(end - at) : left;
}

static int set_entries(struct call *call, const struct buffer *text)
{
	const bool binary = memchr(text->data, '\0', text->len) != NULL;
	int r = 0;

	for (size_t at = 0, len; at < text->len && r == 0; at += len + 1) {
		const char *entry = (const char *)text->data + at;
		AUTO_FREE char *copy = NULL;

		len = entry_length(entry, text->len - at, binary);
		if (len == 0 || (!binary && entry[0] == '#'))
			continue;
		copy = strndup(entry, len);
		r = copy ? set_env(call, copy) : out_of_memory();
	}
	return r;
}

static int set_env_file(struct call *call, const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct buffer text = {.data = NULL};
	int r = fd < 0 ? -errno : read_whole(fd, ENV_FILE_MAX, &text);

	if (r < 0)
		log_error("%s: cannot read %s: %s", call->what, path, strerror(-r));
	else if (text.len > 0)
		r = set_entries(call, &text);
	free(text.data);
	return r;
}

static int set_cpus(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);
	uint64_t n;

	if (parse_number(text, 1, CONFIG_MAX_CPUS, &n) < 0) {
		log_error("%s '%s': give a number from 1 to %d", call->what, text, CONFIG_MAX_CPUS);
		return -EINVAL;
	}
	if (n > s->host->cpus)
		log_warn("%s %u is more than the %u of this host, which makes the sandbox slower",
			 call->what, (unsigned int)n, s->host->cpus);
	s->cfg->cpus = (unsigned int)n;
	return 0;
}

static int set_memory(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);
	char least[32], host[32];
	uint64_t bytes = 0;
	int r = parse_size(text, &bytes);

	format_size(CONFIG_MIN_MEMORY, least);
	format_size(s->host->memory, host);
	if (r == -EINVAL)
		log_error("%s '%s' is not a size; write 512M, 2G or a number of bytes", call->what,
			  text);
	else if (r == 0 && bytes < CONFIG_MIN_MEMORY)
		log_error("%s %s is too little for a kernel to start in; give at least %s",
			  call->what, text, least);
	else if (r < 0 || bytes > CONFIG_MAX_MEMORY || bytes > s->host->memory)
		log_error("%s %s is more than this host has; give at most its %s", call->what, text,
			  host);
	else {
		s->cfg->memory = align_up(bytes, MEMORY_STEP);
		return 0;
	}
	return -EINVAL;
}

static int set_timeout(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	if (parse_duration(text, &s->cfg->timeout_ms) == 0)
		return 0;
	log_error("%s '%s' is not a time above 0; write 10s, 5m or 1h30m", call->what, text);
	return -EINVAL;
}

static int set_name(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	if (is_host_name(text))
		return settings_string(&s->cfg->name, text);
	log_error("%s '%s': a name is 1 to 63 letters, digits and inner dashes, as a host's",
		  call->what, text);
	return -EINVAL;
}

static int set_workdir(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);
	char *path = NULL;
	int r = path_expand(&s->base, text, strlen(text), &path);

	if (r < 0)
		return r;
	free(s->cfg->workdir);
	s->cfg->workdir = path;
	if (path_normalise(path))
		return 0;
	log_error("%s '%s': a path in the sandbox may not hold '..'; write it out", call->what,
		  text);
	return -EINVAL;
}

static int set_text(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);
	char **field = (void *)((char *)s->cfg + call->row->at);

	if (*text)
		return settings_string(field, text);
	log_error("%s must not be empty; leave it out for the default", call->what);
	return -EINVAL;
}

static int set_flag(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);
	bool *flag = (void *)((char *)s->cfg + call->row->at);

	(void)text;
	*flag = true;
	return 0;
}

/* "WIDTHxHEIGHT", each from 1 to DISPLAY_MAX. */
static bool parse_pixels(const char *text, struct config_display *out)
{
	const char *x = strchr(text, 'x');
	uint64_t width, height;
	char first[8];

	if (!x || (size_t)(x - text) >= sizeof(first))
		return false;
	memcpy(first, text, (size_t)(x - text));
	first[x - text] = '\0';
	if (parse_number(first, 1, DISPLAY_MAX, &width) < 0 ||
	    parse_number(x + 1, 1, DISPLAY_MAX, &height) < 0)
		return false;
	*out = (struct config_display){true, (uint32_t)width, (uint32_t)height};
	return true;
}

static int set_display(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	if (strcmp(text, "none") == 0)
		s->cfg->display = (struct config_display){0};
	else if (strcmp(text, "on") == 0)
		s->cfg->display = (struct config_display){true, DISPLAY_WIDTH, DISPLAY_HEIGHT};
	else if (!parse_pixels(text, &s->cfg->display)) {
		log_error("%s '%s': give on, none or a size such as 1920x1080, at most %dx%d",
			  call->what, text, DISPLAY_MAX, DISPLAY_MAX);
		return -EINVAL;
	}
	return 0;
}

/* True if text is `word` and a name of at most max bytes. */
static bool names_network(const char *text, const char *word, size_t max)
{
	const size_t n = strlen(word), len = strlen(text);

	return len > n && len - n <= max && strncmp(text, word, n) == 0 && !strchr(text, '/');
}

/* Whether, and whereto, the sandbox has a network. */
static int set_network(struct call *call, const char *text)
{
	static const char *const words[] = {
		[NETWORK_NONE] = "none",
		[NETWORK_INTERNET] = "internet",
		[NETWORK_USER] = "user",
	};
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]) != 0)
			continue;
		s->cfg->network_mode = (enum network_mode)i;
		return settings_string(&s->cfg->network, text);
	}
	if (names_network(text, "tap=", IFNAMSIZ - 1))
		s->cfg->network_mode = NETWORK_TAP;
	else if (names_network(text, "libvirt:", LIBVIRT_NAME_MAX))
		s->cfg->network_mode = NETWORK_LIBVIRT;
	else {
		log_error("%s '%s': give none, internet (public addresses only), user (the LAN as "
			  "well), tap=NAME or libvirt:NAME",
			  call->what, text);
		return -EINVAL;
	}
	return settings_string(&s->cfg->network, text);
}

/* A port of the guest's that the host is to have, too. */
static int set_publish(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);
	struct port port;
	char **list;
	size_t n = 0;

	if (port_parse(text, true, &port) < 0) {
		log_error("%s '%s': give [ADDRESS:]HOST:GUEST[/udp], such as 8080:80 or "
			  "0.0.0.0:8080:80; HOST 0 is any free port",
			  call->what, text);
		return -EINVAL;
	}
	while (s->cfg->publish && s->cfg->publish[n])
		n++;
	if (n == PORTS_MAX) {
		log_error("%s: at most %d ports can be published", call->what, PORTS_MAX);
		return -E2BIG;
	}
	list = reallocarray(s->cfg->publish, n + 2, sizeof(*list));
	if (!list)
		return out_of_memory();
	s->cfg->publish = list;
	list[n + 1] = NULL;
	list[n] = strdup(text);
	return list[n] ? 0 : out_of_memory();
}

static int set_gpu(struct call *call, const char *text)
{
	static const char *const words[] = {
		[GPU_AUTO] = "auto",
		[GPU_FORCED] = "on",
		[GPU_NOT] = "off",
	};
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]) != 0)
			continue;
		s->cfg->gpu_choice = (enum gpu_choice)i;
		return settings_string(&s->cfg->gpu, text);
	}
	log_error("%s '%s': give auto (the host's GPU, if it has one that works), on or off",
		  call->what, text);
	return -EINVAL;
}

/* A session without a display would be nothing. */
static int set_session(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	s->cfg->session_app = strcmp(text, "app") == 0;
	if (s->cfg->session_app || strcmp(text, "none") == 0)
		return settings_string(&s->cfg->session, text);
	log_error("%s '%s': give app (the command's program fills the display) or none", call->what,
		  text);
	return -EINVAL;
}

static int set_window(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	(void)text;
	s->cfg->window = true;
	return set_session(call, "app");
}

static int set_confine(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	s->cfg->confine_weak = strcmp(text, "weak") == 0;
	if (s->cfg->confine_weak || strcmp(text, "auto") == 0)
		return 0;
	log_error("%s '%s': give auto (as far as this host can, but not by less than files), or "
		  "weak",
		  call->what, text);
	return -EINVAL;
}

static int set_map(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	return map_add(s->cfg, &s->base, text);
}

static int set_map_only(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	(void)text;
	s->map_only = true;
	return 0;
}

static int set_timeline(struct call *call, const char *text)
{
	if (timeline_file_name_is_good(text))
		return set_text(call, text);
	log_error("%s '%s': give a file whose name ends in .svg, to look at, or .json", call->what,
		  text);
	return -EINVAL;
}

static int set_config(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	if (!call->only)
		return 0;
	if (s->config) {
		log_error("--config is given twice; put what both files say into one");
		return -EINVAL;
	}
	s->config = text;
	return 0;
}

static int set_verbose(struct call *call, const char *text)
{
	struct settings *s = CONTAINER_OF(call, struct settings, call);

	(void)text;
	log_set_level(++s->verbose > 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return 0;
}

#define AT(field) offsetof(struct sandbox_config, field)

/* In the order of the help text. Letters are podman's, where it has the option. */
const struct option_row settings_rows[] = {
	{"config", 0, "FILE", set_config, 0, SETTING_FIRST,
	 "take what is not said here from a .sandbox or .wsb\n"
	 "file, its commands too; nothing else is mapped then"},
	{"map", 0, "HOST[:GUEST][:MODE]", set_map, 0, 0,
	 "show a host folder or file at GUEST (default: at\n"
	 "the same path): ro (default), rw, or discard:\n"
	 "changes stay in the sandbox; may repeat"},
	{"map-only", 0, NULL, set_map_only, 0, 0,
	 "in a git work tree show the current directory\n"
	 "alone, not all of the tree"},
	{"env", 'e', "K[=V]", set_env, AT(env), SETTING_FILE | SETTING_LIST,
	 "set a variable; without =V to its value here;\n"
	 "may repeat"},
	{"env-file", 0, "FILE", set_env_file, 0, 0, "set those of a file, one a line"},
	{"workdir", 'w', "DIR", set_workdir, AT(workdir), SETTING_FILE,
	 "where COMMAND starts (default: the current\n"
	 "directory)"},
	{"user", 'u', "NAME|UID", set_text, AT(run_as), SETTING_FILE,
	 "who COMMAND runs as (default: you)"},
	{"memory", 'm', "SIZE", set_memory, AT(memory), SETTING_FILE | SETTING_BYTES,
	 "the most it may use: 512M, 2G (default: half the\n"
	 "host's, at most 8G); taken only as it is used"},
	{"cpus", 0, "N", set_cpus, AT(cpus), SETTING_FILE | SETTING_COUNT,
	 "processors (default: the host's, at most 4)"},
	{"timeout", 0, "TIME", set_timeout, AT(timeout_ms), SETTING_FILE | SETTING_MS,
	 "end it after that time: 10s, 5m, 1h30m"},
	{"name", 0, "NAME", set_name, AT(name), SETTING_FILE,
	 "its name and host name (default: two words)"},
	{"network", 0, "none|internet|user|NET", set_network, AT(network), SETTING_FILE,
	 "none (default), internet: public addresses only,\n"
	 "user: the LAN as well, but never this host itself,\n"
	 "or a network of yours: tap=NAME, libvirt:NAME"},
	{"publish", 0, "[ADDR:]HOST:GUEST[/udp]", set_publish, AT(publish),
	 SETTING_FILE | SETTING_LIST,
	 "lead port HOST of this host (0: any free one) to\n"
	 "port GUEST of the sandbox, of TCP unless it ends\n"
	 "in /udp; may repeat"},
	{"root", 0, "DIR", set_text, AT(root), SETTING_FILE | SETTING_PATH,
	 "make the sandbox of the system below DIR instead of\n"
	 "this host's, as debootstrap makes one"},
	{"kernel", 0, "FILE", set_text, AT(kernel), SETTING_FILE | SETTING_PATH,
	 "bzImage or ELF vmlinux (default: the host's own\n"
	 "from /boot)"},
	{"battery", 0, "host|none|FILE", set_text, AT(battery), SETTING_FILE | SETTING_PATH,
	 "what it knows of batteries and mains: what this\n"
	 "host does (default), nothing, or a timeline"},
	{"display", 0, "on|none|WxH", set_display, AT(display), SETTING_FILE | SETTING_DISPLAY,
	 "a screen of that many pixels, keyboard and pointer:\n"
	 "1920x1080; on: 1280x800 (default: none)"},
	{"gpu", 0, "auto|on|off", set_gpu, AT(gpu), SETTING_FILE,
	 "have the host's GPU render what a guest with a\n"
	 "display draws, if there is one (default: auto)"},
	{"session", 0, "none|app", set_session, AT(session), SETTING_FILE,
	 "app: COMMAND is a graphical program, which fills\n"
	 "the display; `screenshot` and `send` reach it"},
	{"window", 0, NULL, set_window, 0, 0, "--session app, in a window that opens by itself"},
	{"no-stdin", 'n', NULL, set_flag, AT(no_stdin), 0,
	 "give COMMAND nothing to read, and no terminal"},
	{"timeline", 0, "FILE", set_timeline, AT(timeline), 0,
	 "write to FILE.svg or FILE.json what the run's time\n"
	 "was spent on"},
	{"no-dax", 0, NULL, set_flag, AT(no_dax), 0,
	 "have the guest read and cache files of its own,\n"
	 "instead of mapping the host's"},
	{"no-template", 0, NULL, set_flag, AT(no_template), 0,
	 "start its kernel, instead of cloning a machine that\n"
	 "was started before"},
	{"confine", 0, "auto|weak", set_confine, 0, 0,
	 "weak: also on a host that can confine its process\n"
	 "neither by mounts nor by Landlock (default: auto)"},
	{"tie-to-parent", 0, NULL, set_flag, AT(tie_to_parent), 0,
	 "end when the process that starts this one does"},
	{"debug-console", 0, NULL, set_flag, AT(debug_console), 0,
	 "show the kernel's messages on stderr"},
	{"verbose", 'v', NULL, set_verbose, 0, 0, "say what is done; twice: in detail"},
	{"priority", 0, "normal", NULL, 0, SETTING_FILE, "it runs as any process does"},
	{0},
};

const struct option_row *setting_find(const char *name)
{
	for (const struct option_row *row = settings_rows; row->name; row++)
		if (row->flags & SETTING_FILE && strcmp(row->name, name) == 0)
			return row;
	return NULL;
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
	};
	cfg->tty = host->tty;
	cfg->cpus = host->cpus < DEFAULT_CPUS_MAX ? host->cpus : DEFAULT_CPUS_MAX;
	if (memory < CONFIG_MIN_MEMORY)
		memory = CONFIG_MIN_MEMORY;
	cfg->memory = memory & ~(uint64_t)(MEMORY_STEP - 1);
	/* The user's language and time zone, and the terminal's kind where there is one. */
	if (pass_locale(s) < 0)
		return -ENOMEM;
	if (cfg->tty && (pass_env(s, "TERM") < 0 || pass_env(s, "COLORTERM") < 0))
		return -ENOMEM;
	if (settings_string(&cfg->network, "none") < 0 || settings_string(&cfg->gpu, "auto") < 0 ||
	    settings_string(&cfg->session, "none") < 0)
		return -ENOMEM;
	return copy_user(cfg, &host->user);
}

int settings_finish(struct settings *s)
{
	struct sandbox_config *cfg = s->cfg;
	int r = map_check_all(cfg);

	cfg->tty &= !cfg->no_stdin;
	if (cfg->session_app && !cfg->display.enabled)
		cfg->display = (struct config_display){true, DISPLAY_WIDTH, DISPLAY_HEIGHT};
	if (r == 0 && !cfg->name) {
		cfg->name = name_generate();
		cfg->name_is_generated = true;
		r = cfg->name ? 0 : out_of_memory();
	}
	return r;
}
