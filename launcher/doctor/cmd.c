/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/doctor/doctor.h"
#include "launcher/doctor/policy.h"
#include "launcher/options.h"

struct doctor_options {
	struct call call;
	const char *kernel;
	bool json, policy;
};

static const struct option_row options[] = {
	{"kernel", 0, "FILE", option_text, offsetof(struct doctor_options, kernel), 0,
	 "check this one (default: what `run` would take)"},
	{"json", 0, NULL, option_flag, offsetof(struct doctor_options, json), 0, "print JSON"},
	{"policy", 0, NULL, option_flag, offsetof(struct doctor_options, policy), 0,
	 "print which system calls a sandbox makes"},
	{0},
};

/* The threads of the running sandbox `name`. Logs. */
static int ask_threads(const char *name, json_t **out)
{
	struct client *c = NULL;
	json_t *info = NULL;
	int r = control_open(name, &c);

	if (r == 0)
		r = control_ask(c, json_pack("{s:s}", "op", "info"), &info);
	if (r == 0) {
		r = doctor_policy_threads(
			"", (pid_t)json_integer_value(json_object_get(info, "pid")), out);
		if (r < 0)
			log_error("cannot look at the process of '%s': %s", name, strerror(-r));
	}
	json_decref(info);
	client_free(c);
	return r;
}

static int show_policy(const struct doctor_options *o)
{
	json_t *table = doctor_policy_table(), *threads = NULL, *shown = NULL;
	int r = o->call.argv[0] ? ask_threads(o->call.argv[0], &threads) : 0;

	if (r == 0 && o->json) {
		shown = json_pack("{s:O, s:O*}", "table", table, "threads", threads);
		r = shown && json_dumpf(shown, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF
			    ? 0
			    : -EIO;
	} else if (r == 0) {
		doctor_policy_print(table, threads, stdout);
	}
	json_decref(shown);
	json_decref(threads);
	json_decref(table);
	return r == 0 && fflush(stdout) == 0 ? 0 : EXIT_SANDCASTLE_FAILED;
}

static int run(struct call *call)
{
	const struct doctor_options *o = CONTAINER_OF(call, struct doctor_options, call);
	struct doctor_report report;

	if (o->policy)
		return show_policy(o);
	if (call->argv[0]) {
		log_error("doctor takes a sandbox with --policy only");
		return EXIT_SANDCASTLE_FAILED;
	}
	doctor_collect(&report, o->kernel);
	if (!o->json) {
		doctor_print(&report, stdout);
	} else if (doctor_print_json(&report, stdout) < 0) {
		log_error("cannot write the report");
		return EXIT_SANDCASTLE_FAILED;
	}
	return doctor_is_well(&report) ? 0 : 1;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.brief = "check this host",
	.usage = "[OPTIONS] [NAME]",
	.about =
		"Checks whether this host can run sandboxes; says what is wrong and how to\n"
		"put it right. Changes nothing.\n"
		"\n"
		"  sandcastle doctor\n"
		"  sandcastle doctor --policy quiet-dune\n"
		"  sandcastle doctor --json | jq -r '.checks[] | select(.status != \"ok\").cure'\n",
	.after = "Exit code: 0 `sandcastle run` can work here; 1 it cannot; 125 the\n"
		 "command line is wrong.\n",
	.options = options,
	.max = 1,
	.wants = "takes one sandbox, with --policy",
	.size = sizeof(struct doctor_options),
	.run = run,
};
