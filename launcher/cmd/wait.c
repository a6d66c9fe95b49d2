/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

struct wait {
	struct call call;
	bool json;
};

static const struct option_row options[] = {
	{"json", 0, NULL, option_flag, offsetof(struct wait, json), 0,
	 "an object with \"name\", \"reason\" and \"message\""},
	{0},
};

static int run(struct call *call)
{
	const struct wait *w = CONTAINER_OF(call, struct wait, call);
	const char *name = call->argv[0];
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

const struct command cmd_wait = {
	.name = "wait",
	.brief = "wait until one has ended",
	.usage = "[OPTIONS] NAME",
	.about = "Waits until a sandbox has ended and prints why: stopped, command, powered-off,\n"
		 "time-limit, or rebooted, panicked, failed, killed.\n",
	.after = "Exit code: 0 for the first four, else 125.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.wants = "takes one name; write `sandcastle wait NAME`",
	.size = sizeof(struct wait),
	.run = run,
};
