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

enum { OPT_FOLLOW = OPTION_OWN };

/* How often --follow asks. */
enum { FOLLOW_MS = 250 };

static const struct option_def defs[] = {
	{OPT_FOLLOW, 'f', "follow", NULL, "go on until the sandbox has ended"},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

static const char help[] =
	"Usage: sandcastle logs [OPTIONS] NAME\n"
	"\n"
	"Shows the last of what a sandbox's kernel said, and the output of commands that\n"
	"were started with `exec --detach`: 16 KiB are kept.\n"
	"\n"
	"Options:\n";

struct logs {
	struct option_set set;
	bool follow;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct logs *l = CONTAINER_OF(set, struct logs, set);

	(void)arg;
	l->follow |= def->id == OPT_FOLLOW;
	return 0;
}

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

static int show(const struct logs *l, const char *name)
{
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

int cmd_logs(int argc, char **argv)
{
	struct logs l = {
		.set = {.command = "logs",
			.help_head = help,
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
	};
	int first = options_parse(&l.set, argc, argv);

	if (first <= 0)
		return first ? EXIT_SANDCASTLE_FAILED : 0;
	if (argc - first != 1) {
		log_error("logs takes one name; write `sandcastle logs NAME`");
		return EXIT_SANDCASTLE_FAILED;
	}
	return show(&l, argv[first]);
}
