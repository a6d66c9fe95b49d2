/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

/* How often --follow asks. */
enum { FOLLOW_MS = 250 };

struct logs {
	struct call call;
	bool follow;
};

static const struct option_row options[] = {
	{"follow", 'f', NULL, option_flag, offsetof(struct logs, follow), 0,
	 "go on until the sandbox has ended"},
	{0},
};

/* Prints what is new since *from. -errno as client_call(). */
static int print_new(struct client *c, json_int_t *from)
{
	json_t *reply = NULL;
	int r = client_call(c, json_pack("{s:s, s:I}", "op", "logs", "from", *from), NULL, 0,
			    &reply);

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
	static const struct timespec pause = {.tv_nsec = FOLLOW_MS * 1000000L};
	struct client *c = NULL;
	json_int_t from = 0;
	int r;

	if (control_open(name, &c) < 0)
		return EXIT_SANDCASTLE_FAILED;
	r = print_new(c, &from);
	while (r == 0 && l->follow) {
		nanosleep(&pause, NULL);
		r = print_new(c, &from);
	}
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
