/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"
#include "launcher/parse.h"
#include "launcher/rundir.h"
#include "vmm/log.h"

enum { OPT_JSON = 256, OPT_QUIET, OPT_HELP };

static const struct option_def defs[] = {
	{OPT_JSON, 0, "json", NULL, "an array of objects, as docs/control.md has \"info\""},
	{OPT_QUIET, 'q', "quiet", NULL, "the names only"},
	{OPT_HELP, 'h', "help", NULL, "show this"},
};

static const char help[] = "Usage: sandcastle list [OPTIONS]\n"
			   "\n"
			   "Lists the sandboxes of this user that are running.\n"
			   "\n"
			   "Options:\n";

struct list {
	struct option_set set;
	bool json, quiet, help;
	json_t *all;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct list *l = CONTAINER_OF(set, struct list, set);

	(void)arg;
	l->json |= def->id == OPT_JSON;
	l->quiet |= def->id == OPT_QUIET;
	l->help |= def->id == OPT_HELP;
	return 0;
}

/* One that ends while we look is none that is running. */
static json_t *ask_info(const char *top, const char *name)
{
	AUTO_CLOSE int dir_fd = rundir_open(top, name);
	struct client *c = NULL;
	json_t *info = NULL;

	if (dir_fd < 0 || client_new(dir_fd, &c) < 0)
		return NULL;
	if (client_call(c, json_pack("{s:s}", "op", "info"), NULL, 0, &info) < 0) {
		json_decref(info);
		info = NULL;
	}
	client_free(c);
	if (info) {
		(void)json_object_del(info, "type");
		(void)json_object_del(info, "id");
		(void)json_object_del(info, "ok");
	}
	return info;
}

static void print_line(const json_t *info)
{
	const json_int_t started = json_integer_value(json_object_get(info, "started_ms"));
	const json_int_t age = time(NULL) - started / 1000;
	char memory[32], up[32];

	format_size((uint64_t)json_integer_value(json_object_get(info, "memory")), memory);
	if (age < 3600)
		snprintf(up, sizeof(up), "%lldm%02llds", (long long)age / 60, (long long)age % 60);
	else
		snprintf(up, sizeof(up), "%lldh%02lldm", (long long)age / 3600,
			 (long long)age / 60 % 60);
	printf("%-20s %8lld %-9s %8s %10s %9zu\n", json_text(info, "name"),
	       (long long)json_integer_value(json_object_get(info, "pid")),
	       json_text(info, "state"), up, memory,
	       json_array_size(json_object_get(info, "commands")));
}

static int list(struct list *l)
{
	AUTO_FREE char *top = rundir_top();
	char **names = NULL;

	if (control_names(&names) < 0)
		return EXIT_SANDCASTLE_FAILED;
	if (!l->json && !l->quiet)
		printf("%-20s %8s %-9s %8s %10s %9s\n", "NAME", "PID", "STATE", "UP", "MEMORY",
		       "COMMANDS");
	for (char **name = names; *name; name++) {
		json_t *info = l->quiet ? NULL : ask_info(top, *name);

		if (l->quiet)
			puts(*name);
		else if (info && l->json)
			(void)json_array_append(l->all, info);
		else if (info)
			print_line(info);
		json_decref(info);
	}
	rundir_list_free(names);
	if (l->json) {
		(void)json_dumpf(l->all, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : EXIT_SANDCASTLE_FAILED;
}

int cmd_list(int argc, char **argv)
{
	struct list l = {
		.set = {.command = "list",
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
	};
	int first = options_parse(&l.set, argc, argv), code;

	if (first < 0)
		return EXIT_SANDCASTLE_FAILED;
	if (l.help) {
		fputs(help, stdout);
		options_print(defs, ARRAY_SIZE(defs));
		return 0;
	}
	if (first < argc) {
		log_error("list takes no '%s'; see `sandcastle list --help`", argv[first]);
		return EXIT_SANDCASTLE_FAILED;
	}
	l.all = json_array();
	code = list(&l);
	json_decref(l.all);
	return code;
}
