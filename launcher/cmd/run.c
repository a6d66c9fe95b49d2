/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/launch.h"
#include "launcher/config/settings.h"
#include "launcher/window.h"
#include "vmm/config/timeline.h"

/* What is not there to be read is still open: a command without descriptor 0 is a surprise. */
static int close_stdin(const struct sandbox_config *cfg)
{
	AUTO_CLOSE int null = -1;

	if (!cfg->no_stdin)
		return 0;
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null >= 0 && dup2(null, STDIN_FILENO) >= 0)
		return 0;
	log_error("cannot open /dev/null: %s", strerror(errno));
	return -errno;
}

int run_in_sandbox(struct call *call)
{
	AUTO_CLOSE int tie_fd = -1, window_fd = -1;
	struct sandbox_config cfg;
	struct timeline tl;
	int r, code = EXIT_SANDCASTLE_FAILED;

	timeline_init(&tl);
	launch_prepare();
	r = launch_parse(call, &cfg);
	if (r == 0 && close_stdin(&cfg) == 0 && launch_tie(&cfg, &tie_fd) == 0 &&
	    (!cfg.window || window_prepare(&window_fd) == 0))
		code = launch(&cfg, tie_fd, &tl, window_tell, &window_fd);
	else if (r > 0)
		code = 0;
	sandbox_config_fini(&cfg);
	return code;
}

const struct command cmd_run = {
	.name = "run",
	.brief = "a sandbox for one command; its stdio, signals and exit code",
	.usage = "[OPTIONS] [--] COMMAND [ARG...]",
	.about = "Runs COMMAND in a throw-away Linux machine made of this host's own files.\n"
		 "Its input, output, signals and exit code are those of a command run here;\n"
		 "whatever it changes is gone when it ends, except in folders mapped :rw.\n"
		 "\n"
		 "  sandcastle run --map .:discard -- make test    changes nothing here\n"
		 "  sandcastle run --map .:rw -- make              what it makes stays here\n"
		 "  sandcastle run bash                            look around, read-only\n"
		 "  cat data | sandcastle run sort | head\n",
	.after =
		"The current directory, or the git work tree it is in, is mapped read-only at the\n"
		"same path, unless it is your\n"
		"home directory, which holds keys and passwords, or one that holds it; COMMAND\n"
		"then starts in an empty home. Share it with --map ~ if you mean to.\n"
		"\n"
		"Exit code: COMMAND's own; 124 the time was up; 125 Sandcastle failed;\n"
		"126 COMMAND cannot be executed; 127 it was not found; 128+N signal N ended it.\n",
	.options = settings_rows,
	.max = COMMAND_ANY,
	.flags = COMMAND_PARSES,
	.size = sizeof(struct call),
	.run = run_in_sandbox,
};
