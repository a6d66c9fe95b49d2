/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/doctor/doctor.h"
#include "launcher/options.h"

enum { OPT_KERNEL = OPTION_OWN, OPT_JSON };

static const struct option_def defs[] = {
	{OPT_KERNEL, 0, "kernel", "FILE", "check this one (default: what `run` would take)"},
	{OPT_JSON, 0, "json", NULL, "print JSON"},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

static const char help_head[] =
	"Usage: sandcastle doctor [OPTIONS]\n"
	"\n"
	"Checks whether this host can run sandboxes; says what is wrong and how to\n"
	"put it right. Changes nothing.\n"
	"\n"
	"  sandcastle doctor\n"
	"  sandcastle doctor --json | jq -r '.checks[] | select(.status != \"ok\").cure'\n"
	"\n"
	"Options:\n";

static const char help_tail[] =
	"\n"
	"Exit code: 0 `sandcastle run` can work here; 1 it cannot; 125 the\n"
	"command line is wrong.\n";

struct doctor_options {
	struct option_set set;
	const char *kernel;
	bool json;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct doctor_options *options = CONTAINER_OF(set, struct doctor_options, set);

	switch (def->id) {
	case OPT_KERNEL:
		options->kernel = arg;
		return 0;
	case OPT_JSON:
		options->json = true;
		return 0;
	default:
		return -EINVAL;
	}
}

int cmd_doctor(int argc, char **argv)
{
	struct doctor_options options = {
		.set = {.command = "doctor",
			.help_head = help_head,
			.help_tail = help_tail,
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
	};
	struct doctor_report report;
	int first = options_parse(&options.set, argc, argv);

	if (first <= 0)
		return first ? EXIT_SANDCASTLE_FAILED : 0;
	if (first < argc) {
		log_error("doctor takes no '%s'; see `sandcastle doctor --help`", argv[first]);
		return EXIT_SANDCASTLE_FAILED;
	}
	doctor_collect(&report, options.kernel);
	if (!options.json) {
		doctor_print(&report, stdout);
	} else if (doctor_print_json(&report, stdout) < 0) {
		log_error("cannot write the report");
		return EXIT_SANDCASTLE_FAILED;
	}
	return doctor_is_well(&report) ? 0 : 1;
}
