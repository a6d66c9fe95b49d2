/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"
#include "library/client/keys.h"

enum { MONITORS = 4, SIDE_MAX = 8192, NOTCHES_MAX = 100 };

struct send {
	struct call call;
	uint64_t monitor;
	json_t *events; /* in the order of the options; NULL: none yet */
};

/* NULL after saying that there is no memory. */
static json_t *events_of(struct call *call)
{
	struct send *s = CONTAINER_OF(call, struct send, call);

	if (!s->events)
		s->events = json_array();
	if (!s->events)
		log_error("out of memory");
	return s->events;
}

static int set_monitor(struct call *call, const char *value)
{
	struct send *s = CONTAINER_OF(call, struct send, call);

	if (parse_number(value, 1, MONITORS, &s->monitor) == 0)
		return 0;
	log_error("%s '%s': give a number from 1 to %d", call->what, value, MONITORS);
	return -EINVAL;
}

static int add_key(struct call *call, const char *value)
{
	json_t *events = events_of(call);
	const char *bad = value;
	size_t len = 0;
	int r = events ? keys_add_chord(events, value, &bad, &len) : -ENOMEM;

	if (r == -EINVAL)
		log_error("%s '%s': '%.*s' is no key; write ctrl+alt+t, enter or f5", call->what,
			  value, (int)len, bad);
	return r;
}

static int add_text(struct call *call, const char *value)
{
	json_t *events = events_of(call);
	int r = events ? 0 : -ENOMEM;

	for (const char *c = value; r == 0 && *c; c++) {
		r = keys_add_char(events, *c);
		if (r == -EINVAL)
			log_error("%s: character %zu of '%s' has no key on a US keyboard, by which "
				  "text is typed",
				  call->what, (size_t)(c - value) + 1, value);
	}
	return r;
}

/* "X,Y" or "X,Y,BUTTON"; -EINVAL: neither. */
static int parse_click(const char *value, uint64_t at[2], const char **button)
{
	char part[2][8];
	int end = 0;

	if (sscanf(value, "%7[0-9],%7[0-9]%n", part[0], part[1], &end) != 2)
		return -EINVAL;
	*button = "left";
	if (value[end] == ',')
		*button = value + end + 1;
	else if (value[end])
		return -EINVAL;
	for (int i = 0; i < 2; i++)
		if (parse_number(part[i], 0, SIDE_MAX - 1, &at[i]) < 0)
			return -EINVAL;
	return 0;
}

static int add_click(struct call *call, const char *value)
{
	const struct send *s = CONTAINER_OF(call, struct send, call);
	json_t *events = events_of(call);
	const char *button = NULL;
	uint64_t at[2];
	int r = events ? parse_click(value, at, &button) : -ENOMEM;

	if (r == 0)
		r = keys_add_click(events, (unsigned int)s->monitor, (unsigned int)at[0],
				   (unsigned int)at[1], button);
	if (r == -EINVAL)
		log_error("%s '%s': give X,Y in pixels, as 100,200, or X,Y,right", call->what,
			  value);
	return r;
}

static int add_wheel(struct call *call, const char *value)
{
	json_t *events = events_of(call);
	const bool down = value[0] == '-';
	uint64_t n;

	if (!events)
		return -ENOMEM;
	if (parse_number(value + down, 1, NOTCHES_MAX, &n) < 0) {
		log_error("%s '%s': give the notches, up to %d, -3 for three down", call->what,
			  value, NOTCHES_MAX);
		return -EINVAL;
	}
	return keys_add_wheel(events, down ? -(int)n : (int)n);
}

static const struct option_row options[] = {
	{"key", 'k', "KEYS", add_key, 0, 0, "press these keys together: ctrl+alt+t, enter"},
	{"text", 't', "TEXT", add_text, 0, 0, "type this, as on a US keyboard"},
	{"click", 'c', "X,Y[,BUTTON]", add_click, 0, 0,
	 "click there, in pixels of the screenshot;\nleft (default), middle or right"},
	{"wheel", 'w', "N", add_wheel, 0, 0, "turn the wheel by N notches; -N: down"},
	{"monitor", 0, "N", set_monitor, 0, 0, "where the clicks behind this are (default: 1)"},
	{0},
};

/* Request by request, since each holds so many events only. */
static int send_all(struct client *c, const json_t *events)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < json_array_size(events);) {
		json_t *request = keys_request(events, &at), *reply = NULL;

		if (!request) {
			log_error("out of memory");
			return -ENOMEM;
		}
		r = control_ask(c, request, &reply);
		json_decref(reply);
	}
	return r;
}

static int run(struct call *call)
{
	const struct send *s = CONTAINER_OF(call, struct send, call);
	struct client *c = NULL;
	int r;

	if (!s->events) {
		log_error("send what? Give --key, --text, --click or --wheel; see `sandcastle send "
			  "--help`");
		return EXIT_SANDCASTLE_FAILED;
	}
	r = control_open(call->argv[0], &c);
	if (r == 0)
		r = send_all(c, s->events);
	client_free(c);
	return r < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

static void fini(struct call *call)
{
	json_decref(CONTAINER_OF(call, struct send, call)->events);
}

static const struct send defaults = {.monitor = 1};

const struct command cmd_send = {
	.name = "send",
	.brief = "type and click at the screen of one",
	.usage = "OPTIONS NAME",
	.about = "Types and clicks in a sandbox that was started with --display, in the order of\n"
		 "the options, each as often as you like, with or without a window. Returns when\n"
		 "the guest has got all of it; a program in it may still be reading.\n",
	.options = options,
	.min = 1,
	.max = 1,
	.wants = "takes one name; write `sandcastle send NAME --key enter`",
	.flags = COMMAND_OPTIONS_ANYWHERE,
	.defaults = &defaults.call,
	.size = sizeof(struct send),
	.run = run,
	.fini = fini,
};
