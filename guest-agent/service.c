/* SPDX-License-Identifier: MIT */
#include "guest-agent/service.h"

#include <netinet/in.h>
#include <string.h>

#include "guest-agent/text.h"

static socklen_t address4(uint8_t const bytes[4], uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

	memcpy(&in.sin_addr, bytes, sizeof(in.sin_addr));
	memcpy(out, &in, sizeof(in));
	return sizeof(in);
}

static socklen_t address6(uint8_t const bytes[16], uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memcpy(&in.sin6_addr, bytes, sizeof(in.sin6_addr));
	memcpy(out, &in, sizeof(in));
	return sizeof(in);
}

socklen_t service_address(const struct sc_network *network, enum service_address which,
			  uint16_t port, struct sockaddr_storage *out)
{
	static const uint8_t loopback4[4] = {127, 0, 0, 1}, loopback6[16] = {[15] = 1};

	switch (which) {
	case SERVICE_LOOPBACK4:
		return address4(loopback4, port, out);
	case SERVICE_LOOPBACK6:
		return address6(loopback6, port, out);
	case SERVICE_OWN4:
		return network ? address4(network->guest4, port, out) : 0;
	case SERVICE_OWN6:
		return network ? address6(network->guest6, port, out) : 0;
	default:
		return 0;
	}
}

int service_say_failed(struct link *link, uint32_t id, uint16_t port, int error)
{
	struct text number = {.len = 0}, why = {.len = 0};
	struct wire_message m;

	text_add_u32(&number, port);
	(void)text_fail(&why, error, "connect to port", number.buf);
	wire_begin(&m, SC_MSG_CONNECT_FAILED, id);
	wire_put_u32(&m, SC_FIELD_ERRNO, (uint32_t)-error);
	wire_put_str(&m, SC_FIELD_TEXT, why.buf);
	return link_send(link, &m);
}
