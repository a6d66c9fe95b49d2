/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "common/log.h"
#include "common/port.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

struct publish {
	struct call call;
	bool remove;
};

static const struct option_row options[] = {
	{"remove", 'r', NULL, option_flag, offsetof(struct publish, remove), 0,
	 "take the host's port back"},
	{0},
};

/* Prints where it is published: HOST may have been 0. */
static int add(struct client *c, const struct port *port)
{
	char why[PORT_WHY_MAX], name[PORT_NAME_MAX];
	AUTO_CLOSE int fd = -1;
	json_t *reply = NULL;
	struct port at;
	int r = port_listen(port, &fd, why);

	if (r < 0) {
		log_error("%s", why);
		return r;
	}
	r = control_ask_with(c, json_pack("{s:s, s:i}", "op", "publish", "guest", (int)port->guest),
			     &fd, 1, &reply);
	json_decref(reply);
	if (r == 0)
		r = port_of_socket(fd, &at);
	if (r < 0)
		return r;
	port_name(&at, name);
	return puts(name) < 0 || fflush(stdout) != 0 ? -EIO : 0;
}

static int take_back(struct client *c, const struct port *port)
{
	char address[INET6_ADDRSTRLEN];
	json_t *reply = NULL;
	int r;

	port_address(port, address);
	r = control_ask(c,
			json_pack("{s:s, s:s, s:i, s:s}", "op", "unpublish", "address", address,
				  "port", (int)port->host, "protocol", port->udp ? "udp" : "tcp"),
			&reply);
	json_decref(reply);
	return r;
}

static int run(struct call *call)
{
	const struct publish *p = CONTAINER_OF(call, struct publish, call);
	const char *text = call->argv[1];
	struct client *c = NULL;
	struct port port;
	int r;

	if (port_parse(text, !p->remove, &port) < 0) {
		log_error("'%s' is no port; write %s", text,
			  p->remove ? "[ADDRESS:]HOST[/udp], such as 8080"
				    : "[ADDRESS:]HOST:GUEST[/udp], such as 8080:80");
		return EXIT_SANDCASTLE_FAILED;
	}
	r = control_open(call->argv[0], &c);
	if (r == 0)
		r = p->remove ? take_back(c, &port) : add(c, &port);
	client_free(c);
	return r < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

const struct command cmd_publish = {
	.name = "publish",
	.brief = "lead a port of the host to one of theirs, or take it back",
	.usage = "[OPTIONS] NAME [ADDR:]HOST:GUEST[/udp]\n--remove NAME [ADDR:]HOST[/udp]",
	.about =
		"Leads port HOST of this host to port GUEST of the running sandbox NAME, and\n"
		"prints where it is: HOST 0 is any free one. ADDR is 127.0.0.1 if left out, which\n"
		"only this host reaches; 0.0.0.0 is all of its addresses. The sandbox needs no\n"
		"network for it, and the service in it may listen at its loopback alone. With\n"
		"/udp it is a port for datagrams, else one of TCP.\n"
		"\n"
		"  sandcastle publish quiet-dune 8080:80\n"
		"  sandcastle publish quiet-dune 0.0.0.0:8443:443\n"
		"  sandcastle publish quiet-dune 5353:53/udp\n"
		"  sandcastle publish --remove quiet-dune 8080\n"
		"\n"
		"--remove takes back what was published so, or by --publish at the start.\n"
		"Connections that are open stay.\n",
	.options = options,
	.min = 2,
	.max = 2,
	.wants = "takes a sandbox and a port; write `sandcastle publish NAME HOST:GUEST` or "
		 "`sandcastle publish --remove NAME HOST`",
	.size = sizeof(struct publish),
	.run = run,
};
