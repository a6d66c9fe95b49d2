/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/config/config_apply.h"
#include "launcher/config/config_print.h"
#include "launcher/options.h"

enum { OPT_JSON = OPTION_OWN };

static const struct option_def defs[] = {
	{OPT_JSON, 0, "json", NULL, "print JSON"},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

static const char help_head[] =
	"Usage: sandcastle config [OPTIONS] FILE\n"
	"\n"
	"Says what a .sandbox file, or a .wsb file of Windows Sandbox, means on this\n"
	"host: what the sandbox would have and see, and what in it is not supported\n"
	"yet. Starts nothing.\n"
	"\n"
	"  sandcastle config build.sandbox\n"
	"  sandcastle config --json build.sandbox | jq .maps\n"
	"\n"
	"Options:\n";

static const char help_tail[] = "\n"
				"Exit code: 0 the file is good; 125 it is not, and one line says\n"
				"where and why.\n";

struct config_options {
	struct option_set set;
	bool json;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct config_options *options = CONTAINER_OF(set, struct config_options, set);

	(void)arg;
	switch (def->id) {
	case OPT_JSON:
		options->json = true;
		return 0;
	default:
		return -EINVAL;
	}
}

/* The file as `run --config FILE` would have it; what is not supported is printed, not warned of. */
static int load(const char *path, const struct run_host *host, struct config_file *f,
		struct sandbox_config *cfg, bool *named)
{
	struct settings settings;
	int r = settings_init(&settings, host, cfg);

	if (r == 0)
		r = config_file_read(path, f);
	if (r == 0)
		r = config_apply(&settings, f, CONFIG_APPLY_COMMANDS | CONFIG_APPLY_QUIETLY);
	*named = cfg->name != NULL;
	return r == 0 ? settings_finish(&settings) : r;
}

static int show(const char *path, bool json)
{
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	struct run_host host;
	struct sandbox_config cfg;
	struct config_file file;
	bool named;
	int r;

	sandbox_config_init(&cfg);
	config_file_init(&file);
	run_host_describe(&host, cwd);
	r = load(path, &host, &file, &cfg, &named);
	if (r == 0 && !json)
		config_print(&file, &cfg, named, stdout);
	else if (r == 0 && config_print_json(&file, &cfg, named, stdout) < 0) {
		log_error("cannot write what %s means", path);
		r = -EIO;
	}
	config_file_fini(&file);
	sandbox_config_fini(&cfg);
	return r < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

int cmd_config(int argc, char **argv)
{
	struct config_options options = {
		.set = {.command = "config",
			.help_head = help_head,
			.help_tail = help_tail,
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
	};
	int first = options_parse(&options.set, argc, argv);

	if (first <= 0)
		return first ? EXIT_SANDCASTLE_FAILED : 0;
	/* An option behind the file is one, too: there is nothing else it could be. */
	if (argc - first == 2 && strcmp(argv[first + 1], "--json") == 0) {
		options.json = true;
		argc--;
	}
	if (argc - first != 1) {
		log_error("config takes one file; see `sandcastle config --help`");
		return EXIT_SANDCASTLE_FAILED;
	}
	return show(argv[first], options.json);
}
