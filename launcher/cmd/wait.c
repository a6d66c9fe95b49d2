/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

enum { OPT_JSON = OPTION_OWN };

static const struct option_def defs[] = {
	{OPT_JSON, 0, "json", NULL, "an object with \"name\", \"reason\" and \"message\""},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

static const char help[] =
	"Usage: sandcastle wait [OPTIONS] NAME\n"
	"\n"
	"Waits until a sandbox has ended and prints why: stopped, command, powered-off,\n"
	"time-limit, or rebooted, panicked, failed, killed.\n"
	"\n"
	"Options:\n";

static const char help_tail[] = "\n"
				"Exit code: 0 for the first four, else 125.\n";

struct wait {
	struct option_set set;
	bool json;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct wait *w = CONTAINER_OF(set, struct wait, set);

	(void)arg;
	w->json |= def->id == OPT_JSON;
	return 0;
}

static int wait_for(const struct wait *w, const char *name)
{
	static const char *const good[] = {"stopped", "command", "powered-off", "time-limit"};
	struct client *c = NULL;
	char reason[512], message[512];
	int code = EXIT_SANDCASTLE_FAILED;

	if (control_open(name, &c) < 0)
		return code;
	control_await_end(c, reason, message, sizeof(reason));
	client_free(c);
	if (!reason[0])
		snprintf(reason, sizeof(reason), "killed");
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (strcmp(reason, good[i]) == 0)
			code = 0;
	if (w->json) {
		json_t *out = json_pack("{s:s, s:s, s:s}", "name", name, "reason", reason,
					"message", message);

		(void)json_dumpf(out, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(out);
	} else {
		puts(reason);
		if (message[0])
			log_error("%s", message);
	}
	return code;
}

int cmd_wait(int argc, char **argv)
{
	struct wait w = {
		.set = {.command = "wait",
			.help_head = help,
			.help_tail = help_tail,
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
	};
	int first = options_parse(&w.set, argc, argv);

	if (first <= 0)
		return first ? EXIT_SANDCASTLE_FAILED : 0;
	if (argc - first != 1) {
		log_error("wait takes one name; write `sandcastle wait NAME`");
		return EXIT_SANDCASTLE_FAILED;
	}
	return wait_for(&w, argv[first]);
}
