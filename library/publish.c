/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <string.h>

#include "common/port.h"
#include "library/library_priv.h"

static int parse(struct sandcastle_sandbox *sb, const char *address, struct port *out)
{
	const char *text = address ? address : "127.0.0.1";

	out->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(out->family, text, out->address) == 1)
		return SANDCASTLE_OK;
	return lib_fail(sb, SANDCASTLE_E_INVALID, "'%.64s' is no address of this host", text);
}

/* Listens, and hands the socket over. *host is the port from then on. */
static int publish(struct sandcastle_sandbox *sb, const char *address, bool udp, uint16_t *host,
		   uint16_t guest)
{
	struct port port = {.host = *host, .udp = udp};
	char why[PORT_WHY_MAX];
	AUTO_CLOSE int fd = -1;
	json_t *reply = NULL;
	int r = parse(sb, address, &port);

	if (r == SANDCASTLE_OK && port_listen(&port, &fd, why) < 0)
		r = lib_fail(sb, SANDCASTLE_E_SYSTEM, "%s", why);
	if (r == SANDCASTLE_OK && port_of_socket(fd, &port) < 0)
		r = lib_fail(sb, SANDCASTLE_E_SYSTEM, "cannot tell which port it is");
	if (r == SANDCASTLE_OK)
		r = lib_wait_ready(sb);
	if (r == SANDCASTLE_OK)
		r = lib_call(sb, json_pack("{s:s, s:i}", "op", "publish", "guest", (int)guest), &fd,
			     1, NULL, &reply);
	json_decref(reply);
	if (r == SANDCASTLE_OK)
		*host = port.host;
	return r;
}

static int publish_locked(struct sandcastle_sandbox *sb, const char *address, bool udp,
			  uint16_t *host, uint16_t guest)
{
	int r;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (host && guest > 0)
		r = publish(sb, address, udp, host, guest);
	else
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "a port of the sandbox is 1 to 65535");
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_publish(struct sandcastle_sandbox *sb, const char *address, uint16_t *host,
		       uint16_t guest)
{
	return publish_locked(sb, address, false, host, guest);
}

int sandcastle_publish_udp(struct sandcastle_sandbox *sb, const char *address, uint16_t *host,
			   uint16_t guest)
{
	return publish_locked(sb, address, true, host, guest);
}

static int unpublish(struct sandcastle_sandbox *sb, const char *address, bool udp, uint16_t host)
{
	struct port port = {.host = host};
	char text[INET6_ADDRSTRLEN];
	json_t *reply = NULL;
	int r;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	r = parse(sb, address, &port);
	if (r == SANDCASTLE_OK)
		r = lib_wait_ready(sb);
	if (r == SANDCASTLE_OK) {
		port_address(&port, text);
		r = lib_call(sb,
			     json_pack("{s:s, s:s, s:i, s:s}", "op", "unpublish", "address", text,
				       "port", (int)host, "protocol", udp ? "udp" : "tcp"),
			     NULL, 0, NULL, &reply);
	}
	json_decref(reply);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_unpublish(struct sandcastle_sandbox *sb, const char *address, uint16_t host)
{
	return unpublish(sb, address, false, host);
}

int sandcastle_unpublish_udp(struct sandcastle_sandbox *sb, const char *address, uint16_t host)
{
	return unpublish(sb, address, true, host);
}
