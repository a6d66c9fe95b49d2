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

enum { OPT_TIME = OPTION_OWN, OPT_FORCE, OPT_ALL };

static const struct option_def defs[] = {
	{OPT_TIME, 't', "time", "TIME",
	 "how long its commands may take to end (default: 10s);\n"
	 "0 does not wait"},
	{OPT_FORCE, 'f', "force", NULL, "end it at once, as pulling the plug does"},
	{OPT_ALL, 'a', "all", NULL, "all that are running"},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

static const char help[] =
	"Usage: sandcastle stop [OPTIONS] NAME...\n"
	"\n"
	"Ends sandboxes. Their commands get SIGTERM and the time to end, then what was\n"
	"written to shared folders is put there, and the machine is gone.\n"
	"\n"
	"Options:\n";

struct stop {
	struct option_set set;
	uint64_t timeout_ms;
	bool force, all;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct stop *s = CONTAINER_OF(set, struct stop, set);

	s->force |= def->id == OPT_FORCE;
	s->all |= def->id == OPT_ALL;
	if (def->id != OPT_TIME)
		return 0;
	s->timeout_ms = 0;
	if (strcmp(arg, "0") == 0 || parse_duration(arg, &s->timeout_ms) == 0)
		return 0;
	log_error("--time '%s' is not a time; write 10s, 5m or 0", arg);
	return -EINVAL;
}

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

int cmd_stop(int argc, char **argv)
{
	struct stop s = {
		.set = {.command = "stop",
			.help_head = help,
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
		.timeout_ms = 10 * 1000,
	};
	int first = options_parse(&s.set, argc, argv), code = 0;

	if (first <= 0)
		return first ? EXIT_SANDCASTLE_FAILED : 0;
	if (s.all == (first < argc)) {
		log_error("%s", s.all ? "--all and a name: give one of them"
				      : "no sandbox named; write `sandcastle stop NAME`, or --all");
		return EXIT_SANDCASTLE_FAILED;
	}
	if (s.all)
		return stop_all(&s);
	for (int i = first; i < argc; i++)
		if (stop_one(&s, argv[i]) < 0)
			code = EXIT_SANDCASTLE_FAILED;
	return code;
}
