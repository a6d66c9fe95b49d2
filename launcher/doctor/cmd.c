/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/doctor/doctor.h"
#include "launcher/options.h"

struct doctor_options {
	struct call call;
	const char *kernel;
	bool json;
};

static const struct option_row options[] = {
	{"kernel", 0, "FILE", option_text, offsetof(struct doctor_options, kernel), 0,
	 "check this one (default: what `run` would take)"},
	{"json", 0, NULL, option_flag, offsetof(struct doctor_options, json), 0, "print JSON"},
	{0},
};

static int run(struct call *call)
{
	const struct doctor_options *o = CONTAINER_OF(call, struct doctor_options, call);
	struct doctor_report report;

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
	.usage = "[OPTIONS]",
	.about =
		"Checks whether this host can run sandboxes; says what is wrong and how to\n"
		"put it right. Changes nothing.\n"
		"\n"
		"  sandcastle doctor\n"
		"  sandcastle doctor --json | jq -r '.checks[] | select(.status != \"ok\").cure'\n",
	.after = "Exit code: 0 `sandcastle run` can work here; 1 it cannot; 125 the\n"
		 "command line is wrong.\n",
	.options = options,
	.size = sizeof(struct doctor_options),
	.run = run,
};
