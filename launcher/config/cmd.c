/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/config/config_apply.h"
#include "launcher/config/config_print.h"
#include "launcher/options.h"

struct config_options {
	struct call call;
	bool json;
};

static const struct option_row options[] = {
	{"json", 0, NULL, option_flag, offsetof(struct config_options, json), 0, "print JSON"},
	{0},
};

/* The file as `run --config FILE` would have it; what is not supported is printed, not warned of. */
static int load(const char *path, const struct run_host *host, struct config_file *f,
		struct sandbox_config *cfg)
{
	struct settings settings;
	int r = settings_init(&settings, host, cfg);

	if (r == 0)
		r = config_file_read(path, f);
	if (r == 0)
		r = config_apply(&settings, f, CONFIG_APPLY_COMMANDS | CONFIG_APPLY_QUIETLY);
	return r == 0 ? settings_finish(&settings) : r;
}

static int run(struct call *call)
{
	const struct config_options *o = CONTAINER_OF(call, struct config_options, call);
	const char *path = call->argv[0];
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	struct run_host host;
	struct sandbox_config cfg;
	struct config_file file;
	int r;

	sandbox_config_init(&cfg);
	config_file_init(&file);
	run_host_describe(&host, cwd);
	r = load(path, &host, &file, &cfg);
	if (r == 0 && !o->json)
		config_print(&file, &cfg, stdout);
	else if (r == 0 && config_print_json(&file, &cfg, stdout) < 0) {
		log_error("cannot write what %s means", path);
		r = -EIO;
	}
	config_file_fini(&file);
	sandbox_config_fini(&cfg);
	return r < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

const struct command cmd_config = {
	.name = "config",
	.brief = "what a .sandbox or .wsb file means",
	.usage = "[OPTIONS] FILE",
	.about = "Says what a .sandbox file, or a .wsb file of Windows Sandbox, means on this\n"
		 "host: what the sandbox would have and see, and what in it is not supported\n"
		 "yet. Starts nothing.\n"
		 "\n"
		 "  sandcastle config build.sandbox\n"
		 "  sandcastle config --json build.sandbox | jq .maps\n",
	.after = "Exit code: 0 the file is good; 125 it is not, and a line says where\n"
		 "and why, for each mistake.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.wants = "takes one file; see `sandcastle config --help`",
	.flags = COMMAND_OPTIONS_ANYWHERE,
	.size = sizeof(struct config_options),
	.run = run,
};
