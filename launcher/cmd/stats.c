/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

struct stats {
	struct call call;
	bool json, follow;
};

static const struct option_row options[] = {
	{"json", 0, NULL, option_flag, offsetof(struct stats, json), 0,
	 "all figures, as docs/control.md has them"},
	{"follow", 'f', NULL, option_flag, offsetof(struct stats, follow), 0,
	 "a reading each second until the sandbox has ended"},
	{0},
};

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

static void print_display(const json_t *display)
{
	const json_t *monitor, *list = json_object_get(display, "monitors");
	size_t i;

	json_array_foreach(list, i, monitor)
	{
		if (json_is_object(monitor))
			printf("monitor %-20zu %6llu x %llu\n", i + 1,
			       (unsigned long long)number(monitor, "width"),
			       (unsigned long long)number(monitor, "height"));
	}
	printf("%-28s %12llu\n", "pictures the guest drew",
	       (unsigned long long)number(display, "flushes"));
	printf("%-28s %12llu\n", "pictures shown in a window",
	       (unsigned long long)number(display, "frames"));
	print_size("copied for it", display, "copied");
	printf("%-28s %12llu\n", "input the guest missed",
	       (unsigned long long)number(display, "input_dropped"));
}

/* A count of one of the two file servers, and the limit that keeps it from the host's memory. */
static void print_count(const char *what, const json_t *files, const char *server, const char *key)
{
	const json_t *object = json_object_get(files, server);
	char max[32];

	snprintf(max, sizeof(max), "%s_max", key);
	printf("%-28s %12llu of %llu\n", what, (unsigned long long)number(object, key),
	       (unsigned long long)number(object, max));
}

static void print_files(const json_t *files)
{
	print_count("files known of the base", files, "base", "known");
	print_count("open on the host for them", files, "base", "descriptors");
	print_count("files known of maps", files, "maps", "known");
	print_count("open on the host for them", files, "maps", "descriptors");
	print_count("locks in maps", files, "maps", "locks");
}

static void print(const json_t *stats)
{
	const json_t *display = json_object_get(stats, "display");
	const json_t *memory = json_object_get(stats, "memory");
	const json_t *guest = json_object_get(memory, "guest");

	printf("%-28s %12s\n", "started as",
	       json_is_true(json_object_get(stats, "clone")) ? "a clone" : "a kernel");
	printf("%-28s %10.1f s\n", "up", (double)number(stats, "uptime_ms") / 1000);
	printf("%-28s %10.1f s\n", "processor time", (double)number(stats, "cpu_ms") / 1000);
	printf("%-28s %12llu\n", "commands", (unsigned long long)number(stats, "commands"));
	print_size("memory the guest holds", memory, "resident");
	print_size("shared with other clones", memory, "template");
	print_size("memory of the process besides", memory, "private");
	print_size("given back so far", memory, "reported");
	print_size("taken by the balloon", memory, "balloon");
	print_size("available in the guest", guest, "available");
	print_files(json_object_get(stats, "files"));
	print_power(json_object_get(stats, "power"));
	if (json_is_object(display))
		print_display(display);
}

/* Prints one reading. -errno as client_call(), logged but for -EPIPE. */
static int show(const struct stats *s, struct client *c)
{
	json_t *reply = NULL;
	int r = client_call(c, json_pack("{s:s}", "op", "stats"), NULL, 0, &reply);

	if (r == -EREMOTEIO)
		log_error("%s: %s", client_name(c), json_text(reply, "message"));
	else if (r < 0 && r != -EPIPE)
		log_error("cannot speak with the sandbox '%s': %s", client_name(c), strerror(-r));
	if (r == 0) {
		(void)json_object_del(reply, "type");
		(void)json_object_del(reply, "id");
		(void)json_object_del(reply, "ok");
		if (s->json)
			(void)json_dumpf(reply, stdout, JSON_COMPACT);
		else
			print(reply);
		if (s->json || s->follow)
			putchar('\n');
		if (fflush(stdout) != 0)
			r = -EIO;
	}
	json_decref(reply);
	return r;
}

static int run(struct call *call)
{
	const struct stats *s = CONTAINER_OF(call, struct stats, call);
	static const struct timespec pause = {.tv_sec = 1};
	struct client *c = NULL;
	int r;

	if (control_open(call->argv[0], &c) < 0)
		return EXIT_SANDCASTLE_FAILED;
	r = show(s, c);
	if (r == -EPIPE)
		log_error("the sandbox '%s' has ended", client_name(c));
	while (r == 0 && s->follow) {
		nanosleep(&pause, NULL);
		r = show(s, c);
		/* That it ends is how following it ends. */
		if (r == -EPIPE) {
			r = 0;
			break;
		}
	}
	client_free(c);
	return r == 0 ? 0 : EXIT_SANDCASTLE_FAILED;
}

const struct command cmd_stats = {
	.name = "stats",
	.brief = "what one uses, and knows of power",
	.usage = "[OPTIONS] NAME",
	.about = "Shows what a sandbox uses, and what it was last told of the host's power.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.wants = "takes one name; write `sandcastle stats NAME`",
	.size = sizeof(struct stats),
	.run = run,
};
