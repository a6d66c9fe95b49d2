/* SPDX-License-Identifier: MIT */
#include "launcher/commands.h"
#include "launcher/config/settings.h"
#include "launcher/launch.h"

const struct command cmd_open = {
	.name = "open",
	.brief = "look at one file in a sandbox, in a window",
	.usage = "[OPTIONS] [FILE]",
	.about =
		"Opens FILE in a throw-away machine of its own, with the application you open "
		"such\n"
		"files with, in a window. The sandbox sees that file alone, read-only, as ~/NAME,\n"
		"and has no network; when the application or the window is closed, all is gone.\n"
		"The kind of file is told by its name: nothing here reads what is in it.\n"
		"\n"
		"  sandcastle open Downloads/invoice.pdf\n"
		"  sandcastle open project.sandbox          the sandbox it describes, or a .wsb\n"
		"  sandcastle open                          a file manager, or a terminal\n",
	.after = "Closing the window asks, and ends the sandbox.\n"
		 "\n"
		 "Exit code: the application's; 125 Sandcastle failed.\n",
	.options = settings_rows,
	.max = 1,
	.flags = COMMAND_PARSES | COMMAND_OPENS,
	.size = sizeof(struct call),
	.run = run_in_sandbox,
};
