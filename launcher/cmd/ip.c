/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

struct ip {
	struct call call;
	bool json;
};

static const struct option_row options[] = {
	{"json", 0, NULL, option_flag, offsetof(struct ip, json), 0,
	 "\"network\" and \"published\" as docs/control.md has them"},
	{0},
};

static void print_lines(const json_t *network, const json_t *published)
{
	const json_t *addresses = json_object_get(network, "addresses");

	for (size_t i = 0; i < json_array_size(addresses); i++)
		printf("%s\n", json_string_value(json_array_get(addresses, i)));
	for (size_t i = 0; i < json_array_size(published); i++) {
		const json_t *item = json_array_get(published, i);
		const char *address = json_text(item, "address");
		const bool six = strchr(address, ':') != NULL;

		printf("%s%s%s:%lld -> %lld%s\n", six ? "[" : "", address, six ? "]" : "",
		       (long long)json_integer_value(json_object_get(item, "port")),
		       (long long)json_integer_value(json_object_get(item, "guest")),
		       strcmp(json_text(item, "protocol"), "udp") == 0 ? "/udp" : "");
	}
}

static int run(struct call *call)
{
	const struct ip *ip = CONTAINER_OF(call, struct ip, call);
	const json_t *network, *published;
	json_t *info = NULL, *shown = NULL;
	struct client *c = NULL;
	int r = control_open(call->argv[0], &c);

	if (r == 0)
		r = control_ask(c, json_pack("{s:s}", "op", "info"), &info);
	network = json_object_get(info, "network");
	published = json_object_get(info, "published");
	if (r == 0 && ip->json) {
		shown = json_pack("{s:O, s:O}", "network", network, "published", published);
		r = shown && json_dumpf(shown, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF
			    ? 0
			    : -EIO;
	} else if (r == 0) {
		print_lines(network, published);
	}
	json_decref(shown);
	json_decref(info);
	client_free(c);
	return r == 0 && fflush(stdout) == 0 ? 0 : EXIT_SANDCASTLE_FAILED;
}

const struct command cmd_ip = {
	.name = "ip",
	.brief = "the addresses of one of them, and its published ports",
	.usage = "[OPTIONS] NAME",
	.about = "Prints the addresses that the running sandbox NAME has inside, which nothing\n"
		 "outside reaches, and \"ADDRESS:HOST -> GUEST\" for each port of this host that\n"
		 "leads to one of its own, \"/udp\" behind it where datagrams do.\n"
		 "\n"
		 "  sandcastle ip quiet-dune\n",
	.options = options,
	.min = 1,
	.max = 1,
	.wants = "takes a sandbox; write `sandcastle ip NAME`",
	.size = sizeof(struct ip),
	.run = run,
};
