/* SPDX-License-Identifier: MIT */
#include "launcher/commands.h"
#include "launcher/launch.h"
#include "vmm/config/timeline.h"

int cmd_run(int argc, char **argv)
{
	AUTO_CLOSE int tie_fd = -1;
	struct sandbox_config cfg;
	struct timeline tl;
	int r, code = EXIT_SANDCASTLE_FAILED;

	timeline_init(&tl);
	launch_prepare();
	r = launch_parse(argc, argv, &cfg);
	if (r == 0 && launch_tie(&cfg, &tie_fd) == 0)
		code = launch(&cfg, tie_fd, &tl, NULL, NULL);
	else if (r > 0)
		code = 0;
	sandbox_config_fini(&cfg);
	return code;
}
