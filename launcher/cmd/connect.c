/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"
#include "launcher/window.h"

/* A sandbox of that name runs and has a display; logs why not. */
static int check(const char *name)
{
	struct client *c = NULL;
	json_t *stats = NULL;
	int r = control_open(name, &c);

	if (r == 0)
		r = control_ask(c, json_pack("{s:s}", "op", "stats"), &stats);
	if (r == 0 && !json_is_object(json_object_get(stats, "display"))) {
		log_error("'%s' was started without --display, so there is nothing to show", name);
		r = -ENOTSUP;
	}
	json_decref(stats);
	client_free(c);
	return r;
}

static int run(struct call *call)
{
	if (check(call->argv[0]) == 0)
		window_become(call->argv[0]);
	return EXIT_SANDCASTLE_FAILED;
}

const struct command cmd_connect = {
	.name = "connect",
	.brief = "show the screen of one in a window",
	.usage = "NAME",
	.about = "Opens a window that shows a sandbox which was started with --display, and\n"
		 "gives it what is typed and clicked there. Needs the package sandcastle-desktop.\n"
		 "A window may be opened again; of several, the last one shows the sandbox.\n",
	.min = 1,
	.max = 1,
	.wants = "takes one name; write `sandcastle connect NAME`",
	.size = sizeof(struct call),
	.run = run,
};
