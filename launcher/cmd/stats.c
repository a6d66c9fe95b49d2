/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

enum { OPT_JSON = OPTION_OWN };

static const struct option_def defs[] = {
	{OPT_JSON, 0, "json", NULL, "all figures, as docs/control.md has them"},
	{OPTION_HELP, 'h', "help", NULL, "show this"},
};

static const char help[] =
	"Usage: sandcastle stats [OPTIONS] NAME\n"
	"\n"
	"Shows what a sandbox uses, and what it was last told of the host's power.\n"
	"\n"
	"Options:\n";

struct stats {
	struct option_set set;
	bool json;
};

static int apply(struct option_set *set, const struct option_def *def, const char *arg)
{
	struct stats *s = CONTAINER_OF(set, struct stats, set);

	(void)arg;
	s->json |= def->id == OPT_JSON;
	return 0;
}

static uint64_t number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

static void print_size(const char *what, const json_t *object, const char *key)
{
	char size[32];

	format_size(number(object, key), size);
	printf("%-28s %12s\n", what, size);
}

static void print_power(const json_t *power)
{
	const json_t *battery, *list = json_object_get(power, "batteries");
	size_t i;

	printf("%-28s %12s\n", "mains",
	       json_is_true(json_object_get(power, "ac")) ? "plugged" : "unplugged");
	json_array_foreach(list, i, battery)
	{
		printf("battery %-20zu %11llu%% %s\n", i,
		       (unsigned long long)number(battery, "percent"),
		       json_text(battery, "status"));
	}
}

static void print(const json_t *stats)
{
	const json_t *memory = json_object_get(stats, "memory");
	const json_t *guest = json_object_get(memory, "guest");

	printf("%-28s %10.1f s\n", "up", (double)number(stats, "uptime_ms") / 1000);
	printf("%-28s %10.1f s\n", "processor time", (double)number(stats, "cpu_ms") / 1000);
	printf("%-28s %12llu\n", "commands", (unsigned long long)number(stats, "commands"));
	print_size("memory the guest holds", memory, "resident");
	print_size("memory of the process besides", memory, "private");
	print_size("given back so far", memory, "reported");
	print_size("taken by the balloon", memory, "balloon");
	print_size("available in the guest", guest, "available");
	print_power(json_object_get(stats, "power"));
}

static int show(const struct stats *s, const char *name)
{
	struct client *c = NULL;
	json_t *reply = NULL;
	int r = control_open(name, &c);

	if (r == 0)
		r = control_ask(c, json_pack("{s:s}", "op", "stats"), &reply);
	client_free(c);
	if (r < 0)
		return EXIT_SANDCASTLE_FAILED;
	(void)json_object_del(reply, "type");
	(void)json_object_del(reply, "id");
	(void)json_object_del(reply, "ok");
	if (s->json) {
		(void)json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		print(reply);
	}
	json_decref(reply);
	return fflush(stdout) == 0 ? 0 : EXIT_SANDCASTLE_FAILED;
}

int cmd_stats(int argc, char **argv)
{
	struct stats s = {
		.set = {.command = "stats",
			.help_head = help,
			.defs = defs,
			.n_defs = ARRAY_SIZE(defs),
			.apply = apply},
	};
	int first = options_parse(&s.set, argc, argv);

	if (first <= 0)
		return first ? EXIT_SANDCASTLE_FAILED : 0;
	if (argc - first != 1) {
		log_error("stats takes one name; write `sandcastle stats NAME`");
		return EXIT_SANDCASTLE_FAILED;
	}
	return show(&s, argv[first]);
}
