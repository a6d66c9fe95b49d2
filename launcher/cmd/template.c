/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/config/settings.h"
#include "launcher/launch.h"
#include "vmm/config/timeline.h"
#include "vmm/template.h"

/* `run [OPTIONS] -- true`, which starts cold and leaves a template. */
static int build(const struct call *call)
{
	static char dashes[] = "--", nothing[] = "true";
	AUTO_FREE char **argv = calloc((size_t)call->argc + 3, sizeof(*argv));
	struct call run = *call;
	struct sandbox_config cfg;
	struct timeline tl;
	int r, n = 1, code = EXIT_SANDCASTLE_FAILED;

	if (!argv)
		return code;
	argv[0] = call->argv[0];
	for (int i = call->argv[1][0] == '-' ? 1 : 2; i < call->argc; i++)
		argv[n++] = call->argv[i];
	argv[n++] = dashes;
	argv[n++] = nothing;
	run.argc = n;
	run.argv = argv;
	timeline_init(&tl);
	launch_prepare();
	r = launch_parse(&run, &cfg);
	if (r == 0) {
		cfg.make_template = true;
		code = launch(&cfg, -1, &tl, NULL, NULL);
	} else if (r > 0) {
		code = 0;
	}
	sandbox_config_fini(&cfg);
	return code;
}

static int list(const struct call *call)
{
	struct template_info all[TEMPLATE_LIST_MAX];
	const size_t n = template_list(all);

	(void)call;
	for (size_t i = 0; i < n; i++) {
		const time_t used = (time_t)all[i].used;
		char when[32] = "";
		struct tm tm;

		if (localtime_r(&used, &tm))
			(void)strftime(when, sizeof(when), "%F %R", &tm);
		printf("%s  %5" PRIu64 " MiB  last used %s\n", all[i].name, all[i].bytes >> 20,
		       when);
	}
	return 0;
}

static int clean(const struct call *call)
{
	const int r = template_clean();

	(void)call;
	if (r == 0 || r == -ENOENT)
		return 0;
	log_error("cannot remove the templates: %s", strerror(-r));
	return EXIT_SANDCASTLE_FAILED;
}

static const struct {
	const char *name;
	int (*run)(const struct call *call);
	int max; /* words, these two included */
} verbs[] = {
	{"build", build, COMMAND_ANY},
	{"list", list, 2},
	{"clean", clean, 2},
};

static int run(struct call *call)
{
	for (size_t i = 0; call->argc >= 2 && i < ARRAY_SIZE(verbs); i++)
		if (strcmp(call->argv[1], verbs[i].name) == 0 && call->argc <= verbs[i].max)
			return verbs[i].run(call);
	if (call->argc == 2 && call->argv[1][0] == '-')
		return build(call);
	log_error("write `sandcastle template build`, list or clean; see `sandcastle template "
		  "--help`");
	return EXIT_SANDCASTLE_FAILED;
}

const struct command cmd_template = {
	.name = "template",
	.brief = "machines that sandboxes are cloned from: build, list, clean",
	.usage = "build|list|clean [OPTIONS]",
	.about = "A sandbox that is like one before it does not start a kernel: it is a clone of\n"
		 "a machine that was started once, a template. The second one of a kind makes it\n"
		 "by the way. After a change of the system, the kernel or Sandcastle itself two\n"
		 "start a kernel again.\n"
		 "\n"
		 "  build     make that of a sandbox with these options now\n"
		 "  list      what there is, and how large\n"
		 "  clean     remove all\n",
	.options = settings_rows,
	.max = COMMAND_ANY,
	.flags = COMMAND_PARSES,
	.size = sizeof(struct call),
	.run = run,
};
