/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"
#include "library/client/rundir.h"

struct stop {
	struct call call;
	uint64_t timeout_ms;
	bool force, all;
};

static int set_time(struct call *call, const char *value)
{
	struct stop *s = CONTAINER_OF(call, struct stop, call);

	s->timeout_ms = 0;
	if (strcmp(value, "0") == 0 || parse_duration(value, &s->timeout_ms) == 0)
		return 0;
	log_error("--time '%s' is not a time; write 10s, 5m or 0", value);
	return -EINVAL;
}

static const struct stop defaults = {.timeout_ms = 10 * 1000};

static const struct option_row options[] = {
	{"time", 't', "TIME", set_time, 0, 0,
	 "how long its commands may take to end (default: 10s);\n"
	 "0 does not wait"},
	{"force", 'f', NULL, option_flag, offsetof(struct stop, force), 0,
	 "end it at once, as pulling the plug does"},
	{"all", 'a', NULL, option_flag, offsetof(struct stop, all), 0, "all that are running"},
	{0},
};

static int stop_one(const struct stop *s, const char *name)
{
	struct client *c = NULL;
	char reason[64], message[64];
	json_t *reply = NULL;
	int r = control_open(name, &c);

	if (r == 0)
		r = control_ask(c,
				json_pack("{s:s, s:I, s:b}", "op", "stop", "timeout_ms",
					  (json_int_t)s->timeout_ms, "force", (int)s->force),
				&reply);
	json_decref(reply);
	if (r == 0)
		control_await_end(c, reason, message, sizeof(reason));
	client_free(c);
	return r;
}

static int stop_all(const struct stop *s)
{
	char **names = NULL;
	int code = 0;

	if (control_names(&names) < 0)
		return EXIT_SANDCASTLE_FAILED;
	for (char **name = names; *name; name++)
		if (stop_one(s, *name) < 0)
			code = EXIT_SANDCASTLE_FAILED;
	rundir_list_free(names);
	return code;
}

static int run(struct call *call)
{
	const struct stop *s = CONTAINER_OF(call, struct stop, call);
	int code = 0;

	if (s->all == (call->argc > 0)) {
		log_error("%s",
			  s->all ? "--all and a name: give one of them"
				 : "no sandbox named; write `sandcastle stop NAME`, or --all");
		return EXIT_SANDCASTLE_FAILED;
	}
	if (s->all)
		return stop_all(s);
	for (int i = 0; i < call->argc; i++)
		if (stop_one(s, call->argv[i]) < 0)
			code = EXIT_SANDCASTLE_FAILED;
	return code;
}

const struct command cmd_stop = {
	.name = "stop",
	.brief = "end some of them",
	.usage = "[OPTIONS] NAME...",
	.about = "Ends sandboxes. Their commands get SIGTERM and the time to end, then what was\n"
		 "written to shared folders is put there, and the machine is gone.\n",
	.options = options,
	.max = COMMAND_ANY,
	.defaults = &defaults.call,
	.size = sizeof(struct stop),
	.run = run,
};
