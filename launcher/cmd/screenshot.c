/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"
#include "library/client/picture.h"

struct screenshot {
	struct call call;
	uint64_t monitor;
};

static int set_monitor(struct call *call, const char *value)
{
	struct screenshot *s = CONTAINER_OF(call, struct screenshot, call);

	if (parse_number(value, 1, PICTURE_MONITORS, &s->monitor) == 0)
		return 0;
	log_error("%s '%s': give a number from 1 to %d", call->what, value, PICTURE_MONITORS);
	return -EINVAL;
}

static const struct option_row options[] = {
	{"monitor", 0, "N", set_monitor, 0, 0, "which one of several (default: 1)"},
	{0},
};

/* Logs on failure. */
static int save(const json_t *reply, int fd, const char *path)
{
	int r = picture_save(reply, fd, path);

	if (r == -EPROTO)
		log_error("the sandbox sent no picture");
	else if (r == -ELIBACC)
		log_error("screenshot needs libpng: apt install libpng16-16");
	else if (r < 0)
		log_error("cannot write %s: %s", path, strerror(-r));
	return r;
}

static int run(struct call *call)
{
	const struct screenshot *s = CONTAINER_OF(call, struct screenshot, call);
	struct client *c = NULL;
	json_t *reply = NULL;
	AUTO_CLOSE int fd = -1;
	int r = control_open(call->argv[0], &c);

	if (r == 0)
		r = control_ask(c,
				json_pack("{s:s, s:I}", "op", "screenshot", "monitor",
					  (json_int_t)s->monitor),
				&reply);
	if (r == 0) {
		fd = client_take_fd(c);
		r = save(reply, fd, call->argv[1]);
	}
	json_decref(reply);
	client_free(c);
	return r < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

static const struct screenshot defaults = {.monitor = 1};

const struct command cmd_screenshot = {
	.name = "screenshot",
	.brief = "save what its screen shows as a picture",
	.usage = "[OPTIONS] NAME FILE",
	.about =
		"Saves what a monitor of a sandbox shows as a PNG file, with or without a window.\n"
		"The sandbox needs a display: `start --display on`.\n",
	.options = options,
	.min = 2,
	.max = 2,
	.wants = "takes a name and a file; write `sandcastle screenshot NAME FILE.png`",
	.defaults = &defaults.call,
	.size = sizeof(struct screenshot),
	.run = run,
};
