/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

struct logs {
	struct call call;
	bool follow;
};

static const struct option_row options[] = {
	{"follow", 'f', NULL, option_flag, offsetof(struct logs, follow), 0,
	 "go on until the sandbox has ended"},
	{0},
};

/* Prints what is new since *from, which it can wait for. -errno as client_call(). */
static int print_new(struct client *c, json_int_t *from, bool wait)
{
	json_t *reply = NULL;
	int r = client_call(
		c, json_pack("{s:s, s:I, s:b}", "op", "logs", "from", *from, "wait", (int)wait),
		NULL, 0, &reply);

	if (r == 0) {
		fputs(json_text(reply, "text"), stdout);
		*from = json_integer_value(json_object_get(reply, "next"));
		if (fflush(stdout) != 0)
			r = -EIO;
	}
	json_decref(reply);
	return r;
}

static int run(struct call *call)
{
	const struct logs *l = CONTAINER_OF(call, struct logs, call);
	const char *name = call->argv[0];
	struct client *c = NULL;
	json_int_t from = 0;
	int r;

	if (control_open(name, &c) < 0)
		return EXIT_SANDCASTLE_FAILED;
	r = print_new(c, &from, false);
	while (r == 0 && l->follow)
		r = print_new(c, &from, true);
	client_free(c);
	/* That it ends is how following it ends. */
	if (r == 0 || (l->follow && r == -EPIPE))
		return 0;
	log_error("cannot show the log of '%s': %s", name, strerror(-r));
	return EXIT_SANDCASTLE_FAILED;
}

const struct command cmd_logs = {
	.name = "logs",
	.brief = "what its kernel and detached commands said",
	.usage = "[OPTIONS] NAME",
	.about = "Shows the last of what a sandbox's kernel said, and the output of commands that\n"
		 "were started with `exec --detach`: 16 KiB are kept.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.wants = "takes one name; write `sandcastle logs NAME`",
	.size = sizeof(struct logs),
	.run = run,
};
