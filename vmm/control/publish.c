/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "devices/net.h"
#include "vmm/config/config.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/ports.h"
#include "vmm/session/session.h"

static void bad_request(const struct control_request *req, const char *what)
{
	control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0, "%s", what);
}

/* "tcp", which may be left out, or "udp". False: it is something else. */
static bool get_protocol(const struct control_request *req, bool *udp)
{
	const json_t *value = json_object_get(req->body, "protocol");
	const char *word = value ? json_string_value(value) : "tcp";

	*udp = word && strcmp(word, "udp") == 0;
	return word && (*udp || strcmp(word, "tcp") == 0);
}

/* 0: it is missing, or is none. */
static uint16_t get_port(const struct control_request *req, const char *key)
{
	const json_t *value = json_object_get(req->body, key);
	json_int_t n = json_is_integer(value) ? json_integer_value(value) : 0;

	return n >= 1 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

void control_publish(struct control *ctl, struct control_request *req)
{
	const uint16_t guest = get_port(req, "guest");
	char address[INET6_ADDRSTRLEN];
	struct port at;
	int r;

	if (guest == 0 || req->n_fds != 1 || port_of_socket(req->fds[0], &at) < 0) {
		bad_request(
			req,
			"guest: a port, and one descriptor of a TCP socket that listens, or of a "
			"UDP socket that is bound");
		return;
	}
	if (ctl->state == CONTROL_STOPPING) {
		control_refuse(req->client, req->id, CONTROL_E_STOPPING, 0,
			       "the sandbox is about to end");
		return;
	}
	r = ports_add(ctl->setup.ports, steal_fd(&req->fds[0]), guest);
	port_address(&at, address);
	if (r == 0)
		control_reply(req->client, req->id,
			      json_pack("{s:s, s:i}", "address", address, "port", (int)at.host));
	else if (r == -E2BIG)
		control_refuse(req->client, req->id, CONTROL_E_BUSY, 0,
			       "there are %d published ports; take one back first", PORTS_MAX);
	else
		control_refuse(req->client, req->id, CONTROL_E_FAILED, -r,
			       "cannot listen there: %s", strerror(-r));
}

void control_unpublish(struct control *ctl, struct control_request *req)
{
	const char *address = json_string_value(json_object_get(req->body, "address"));
	struct port at = {.family = AF_INET, .host = get_port(req, "port")};

	if (address && strchr(address, ':'))
		at.family = AF_INET6;
	if (at.host == 0 || !address || inet_pton(at.family, address, at.address) != 1 ||
	    !get_protocol(req, &at.udp))
		bad_request(req, "address, port, protocol: all as \"info\" has them");
	else if (ports_remove(ctl->setup.ports, &at) < 0)
		control_refuse(req->client, req->id, CONTROL_E_NO_PORT, 0,
			       "nothing is published at %s, port %u%s", address, at.host,
			       at.udp ? " of UDP" : "");
	else
		control_reply(req->client, req->id, NULL);
}

json_t *control_list_ports(const struct control *ctl)
{
	json_t *list = json_array();
	const struct port *port;

	for (size_t i = 0; (port = ports_get(ctl->setup.ports, i)) != NULL; i++) {
		char address[INET6_ADDRSTRLEN];

		port_address(port, address);
		(void)json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:s}", "address",
							    address, "port", (int)port->host,
							    "guest", (int)port->guest, "protocol",
							    port->udp ? "udp" : "tcp"));
	}
	return list;
}

/* The guest says what it was given, if it was. */
static json_t *tap_network(const struct control *ctl)
{
	const struct in_addr in = {.s_addr = htonl(session_address(ctl->setup.session))};
	char four[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &in, four, sizeof(four));
	return json_pack("{s:s, s:o}", "mode", ctl->setup.config->network, "addresses",
			 in.s_addr != 0 ? json_pack("[s]", four) : json_array());
}

json_t *control_network(const struct control *ctl)
{
	const struct sandbox_config *cfg = ctl->setup.config;
	char four[INET_ADDRSTRLEN], six[INET6_ADDRSTRLEN];

	if (cfg->network_mode == NETWORK_NONE)
		return json_null();
	if (!network_has_process(cfg->network_mode))
		return tap_network(ctl);
	(void)inet_ntop(AF_INET, cfg->addresses.guest4, four, sizeof(four));
	(void)inet_ntop(AF_INET6, cfg->addresses.guest6, six, sizeof(six));
	return json_pack("{s:s, s:[s, s]}", "mode", cfg->network, "addresses", four, six);
}

json_t *control_network_figures(const struct control *ctl)
{
	struct net_figures f;

	if (!ctl->setup.card)
		return json_null();
	net_device_figures(ctl->setup.card, &f);
	return json_pack("{s:b, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "up", (int)f.up,
			 "restarts", (int)f.plugs, "sent", (json_int_t)f.tx_frames, "sent_bytes",
			 (json_int_t)f.tx_bytes, "received", (json_int_t)f.rx_frames,
			 "received_bytes", (json_int_t)f.rx_bytes, "refused",
			 (json_int_t)f.tx_refused, "dropped", (json_int_t)f.rx_dropped, "filtered",
			 (json_int_t)f.filtered);
}
