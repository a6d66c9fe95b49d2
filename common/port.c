/* SPDX-License-Identifier: MIT */
#include "common/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/units.h"

/* Connections that may wait to be accepted. */
enum { BACKLOG = 128 };

/* Cuts the part behind the last colon off `text`. NULL: there is no colon. */
static char *cut_last(char *text)
{
	char *colon = strrchr(text, ':');

	if (!colon)
		return NULL;
	*colon = '\0';
	return colon + 1;
}

static int parse_address(char *text, struct port *out)
{
	const size_t len = strlen(text);

	if (text[0] == '[' && len > 2 && text[len - 1] == ']') {
		text[len - 1] = '\0';
		out->family = AF_INET6;
		return inet_pton(AF_INET6, text + 1, out->address) == 1 ? 0 : -EINVAL;
	}
	out->family = AF_INET;
	return inet_pton(AF_INET, text, out->address) == 1 ? 0 : -EINVAL;
}

/* Cuts "/udp" off the end of `text`; true if it was there. */
static bool cut_udp(char *text)
{
	char *slash = strrchr(text, '/');

	if (!slash || strcmp(slash, "/udp") != 0)
		return false;
	*slash = '\0';
	return true;
}

int port_parse(const char *text, bool guest, struct port *out)
{
	char copy[PORT_NAME_MAX + sizeof(":65535")], loopback[] = "127.0.0.1";
	struct port port = {.family = AF_INET};
	char *inside = NULL, *host;
	uint64_t number;
	int r;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1);
	port.udp = cut_udp(copy);
	if (guest) {
		inside = cut_last(copy);
		if (!inside || parse_number(inside, 1, UINT16_MAX, &number) < 0)
			return -EINVAL;
		port.guest = (uint16_t)number;
	}
	host = cut_last(copy);
	r = parse_address(host ? copy : loopback, &port);
	if (r < 0 || parse_number(host ? host : copy, 0, UINT16_MAX, &number) < 0)
		return -EINVAL;
	port.host = (uint16_t)number;
	*out = port;
	return 0;
}

/* Of both families, to be passed to the kernel. */
union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t to_kernel(const struct port *port, union address *out)
{
	*out = (union address){.v6 = {.sin6_family = AF_UNSPEC}};
	if (port->family == AF_INET6) {
		out->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
						.sin6_port = htons(port->host)};
		memcpy(&out->v6.sin6_addr, port->address, sizeof(out->v6.sin6_addr));
		return sizeof(out->v6);
	}
	out->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port->host)};
	memcpy(&out->v4.sin_addr, port->address, sizeof(out->v4.sin_addr));
	return sizeof(out->v4);
}

static int explain(const struct port *port, int error, char *why)
{
	char name[PORT_NAME_MAX];

	port_name(port, name);
	switch (error) {
	case -EADDRINUSE:
		snprintf(
			why, PORT_WHY_MAX,
			"%s is in use on this host; choose another port, or 0 for one that is free",
			name);
		break;
	case -EACCES:
		snprintf(why, PORT_WHY_MAX,
			 "%s needs a privilege; choose a port above 1023, or let root set "
			 "net.ipv4.ip_unprivileged_port_start=%u",
			 name, port->host);
		break;
	case -EADDRNOTAVAIL:
		snprintf(why, PORT_WHY_MAX, "%s: this host does not have that address", name);
		break;
	default:
		snprintf(why, PORT_WHY_MAX, "cannot listen at %s: %s", name, strerror(-error));
	}
	return error;
}

int port_listen(const struct port *port, int *fd, char *why)
{
	const int on = 1, kind = port->udp ? SOCK_DGRAM : SOCK_STREAM;
	AUTO_CLOSE int s = socket(port->family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	union address a;
	socklen_t len = to_kernel(port, &a);

	/* With that option two sockets for datagrams would have one address, and one of them all. */
	if (s < 0 || (!port->udp && setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
	    (port->family == AF_INET6 &&
	     setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) ||
	    bind(s, &a.any, len) < 0 || (!port->udp && listen(s, BACKLOG) < 0))
		return explain(port, -errno, why);
	*fd = steal_fd(&s);
	return 0;
}

/* True if the socket's option of the lowest level has that value. */
static bool option_is(int fd, int option, int value)
{
	int got = -1;
	socklen_t len = sizeof(got);

	return getsockopt(fd, SOL_SOCKET, option, &got, &len) == 0 && got == value;
}

static bool listens(int fd)
{
	return option_is(fd, SO_ACCEPTCONN, 1) && option_is(fd, SO_TYPE, SOCK_STREAM) &&
	       option_is(fd, SO_PROTOCOL, IPPROTO_TCP);
}

static bool takes_datagrams(int fd)
{
	union address peer;
	socklen_t len = sizeof(peer);

	return option_is(fd, SO_TYPE, SOCK_DGRAM) && option_is(fd, SO_PROTOCOL, IPPROTO_UDP) &&
	       getpeername(fd, &peer.any, &len) < 0;
}

int port_of_socket(int fd, struct port *out)
{
	struct port port = {.udp = takes_datagrams(fd)};
	union address a = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t len = sizeof(a);

	if ((!port.udp && !listens(fd)) || getsockname(fd, &a.any, &len) < 0)
		return -EINVAL;
	port.family = a.any.sa_family;
	if (port.family == AF_INET6) {
		memcpy(port.address, &a.v6.sin6_addr, sizeof(a.v6.sin6_addr));
		port.host = ntohs(a.v6.sin6_port);
	} else if (port.family == AF_INET) {
		memcpy(port.address, &a.v4.sin_addr, sizeof(a.v4.sin_addr));
		port.host = ntohs(a.v4.sin_port);
	} else {
		return -EINVAL;
	}
	/* One for datagrams that was bound to nothing. */
	if (port.host == 0)
		return -EINVAL;
	*out = port;
	return 0;
}

void port_address(const struct port *port, char out[INET6_ADDRSTRLEN])
{
	if (!inet_ntop(port->family, port->address, out, INET6_ADDRSTRLEN))
		out[0] = '\0';
}

void port_name(const struct port *port, char out[PORT_NAME_MAX])
{
	const bool six = port->family == AF_INET6;
	char address[INET6_ADDRSTRLEN];

	port_address(port, address);
	snprintf(out, PORT_NAME_MAX, "%s%s%s:%u%s", six ? "[" : "", address, six ? "]" : "",
		 port->host, port->udp ? "/udp" : "");
}
