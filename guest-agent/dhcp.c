/* SPDX-License-Identifier: MIT */
#include "guest-agent/dhcp.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* RFC 2131 section 2, and the cookie before the options. */
struct message {
	uint8_t op, hardware, hardware_len, hops;
	uint32_t xid;
	uint16_t seconds, flags;
	uint8_t client[4], yours[4], next[4], relay[4];
	uint8_t chaddr[16];
	uint8_t names[64 + 128];
	uint8_t cookie[4];
} __attribute__((packed));

enum {
	OP_REQUEST = 1,
	OP_REPLY = 2,
	ETHERNET = 1,
	/* The answer is to come by broadcast: there is no address yet. */
	FLAG_BROADCAST = 0x8000,

	/* RFC 2132. */
	OPTION_PAD = 0,
	OPTION_MASK = 1,
	OPTION_ROUTER = 3,
	OPTION_DNS = 6,
	OPTION_DOMAIN = 15,
	OPTION_ADDRESS = 50,
	OPTION_SECONDS = 51,
	OPTION_TYPE = 53,
	OPTION_SERVER = 54,
	OPTION_WANTED = 55,
	OPTION_END = 255,
};

static const uint8_t cookie[4] = {99, 130, 83, 99};

static uint8_t *put(uint8_t *to, uint8_t tag, const void *data, size_t len)
{
	to[0] = tag;
	to[1] = (uint8_t)len;
	memcpy(to + 2, data, len);
	return to + 2 + len;
}

size_t dhcp_write(const struct dhcp_client *c, enum dhcp_type type, const struct dhcp_lease *lease,
		  bool renew, uint8_t out[DHCP_MESSAGE_MAX])
{
	static const uint8_t wanted[] = {OPTION_MASK, OPTION_ROUTER, OPTION_DNS, OPTION_DOMAIN,
					 OPTION_SECONDS};
	struct message m = {
		.op = OP_REQUEST,
		.hardware = ETHERNET,
		.hardware_len = sizeof(c->mac),
		.xid = htobe32(c->xid),
	};
	const uint8_t kind = (uint8_t)type;
	uint8_t *to = out + sizeof(m);

	memcpy(m.chaddr, c->mac, sizeof(c->mac));
	memcpy(m.cookie, cookie, sizeof(cookie));
	if (renew)
		memcpy(m.client, lease->address, 4);
	else
		m.flags = htobe16(FLAG_BROADCAST);
	memcpy(out, &m, sizeof(m));
	to = put(to, OPTION_TYPE, &kind, 1);
	to = put(to, OPTION_WANTED, wanted, sizeof(wanted));
	if (lease && !renew) {
		to = put(to, OPTION_ADDRESS, lease->address, 4);
		to = put(to, OPTION_SERVER, lease->server, 4);
	}
	*to++ = OPTION_END;
	return (size_t)(to - out);
}

/* A name that a resolver's file may have in it. */
static bool is_domain(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const uint8_t c = data[i] | 0x20;

		if ((c < 'a' || c > 'z') && (data[i] < '0' || data[i] > '9') && data[i] != '.' &&
		    data[i] != '-')
			return false;
	}
	return len > 0 && len < DHCP_DOMAIN_MAX;
}

static void take_dns(const uint8_t *data, size_t len, struct dhcp_lease *out)
{
	out->n_dns = 0;
	for (; len >= 4 && out->n_dns < DHCP_DNS_MAX; len -= 4, data += 4)
		memcpy(out->dns[out->n_dns++], data, 4);
}

static void take_option(uint8_t tag, const uint8_t *data, size_t len, uint8_t *type,
			struct dhcp_lease *out)
{
	uint32_t seconds;

	if (tag == OPTION_TYPE && len == 1)
		*type = data[0];
	else if (tag == OPTION_MASK && len == 4)
		memcpy(out->mask, data, 4);
	else if (tag == OPTION_ROUTER && len >= 4)
		memcpy(out->router, data, 4);
	else if (tag == OPTION_SERVER && len == 4)
		memcpy(out->server, data, 4);
	else if (tag == OPTION_DNS)
		take_dns(data, len, out);
	else if (tag == OPTION_DOMAIN && is_domain(data, len))
		memcpy(memset(out->domain, 0, sizeof(out->domain)), data, len);
	else if (tag == OPTION_SECONDS && len == 4) {
		memcpy(&seconds, data, 4);
		out->seconds = be32toh(seconds);
	}
}

/* False: an option is cut off. */
static bool take_options(const uint8_t *data, size_t len, uint8_t *type, struct dhcp_lease *out)
{
	while (len > 0 && data[0] != OPTION_END) {
		size_t whole = data[0] == OPTION_PAD ? 1 : len < 2 ? SIZE_MAX : 2u + data[1];

		if (whole > len)
			return false;
		if (whole > 1)
			take_option(data[0], data + 2, whole - 2, type, out);
		data += whole;
		len -= whole;
	}
	return true;
}

/* An address that one machine may have, and a mask whose ones come first. */
static bool is_usable(const struct dhcp_lease *lease)
{
	uint32_t mask;

	memcpy(&mask, lease->mask, 4);
	mask = ~be32toh(mask);
	return lease->address[0] != 0 && lease->address[0] != 127 && lease->address[0] < 224 &&
	       (mask & (mask + 1)) == 0;
}

int dhcp_read(const struct dhcp_client *c, const uint8_t *data, size_t len, struct dhcp_lease *out)
{
	struct dhcp_lease lease = {.mask = {255, 255, 255, 0}};
	struct message m;
	uint8_t type = 0;

	if (len < sizeof(m))
		return -EPROTO;
	memcpy(&m, data, sizeof(m));
	if (m.op != OP_REPLY || be32toh(m.xid) != c->xid || memcmp(m.chaddr, c->mac, 6) != 0 ||
	    memcmp(m.cookie, cookie, sizeof(cookie)) != 0 ||
	    !take_options(data + sizeof(m), len - sizeof(m), &type, &lease))
		return -EPROTO;
	if (type == DHCP_NAK)
		return type;
	memcpy(lease.address, m.yours, 4);
	if ((type != DHCP_OFFER && type != DHCP_ACK) || !is_usable(&lease))
		return -EPROTO;
	if (lease.seconds < DHCP_SECONDS_MIN)
		lease.seconds = DHCP_SECONDS_MIN;
	*out = lease;
	return type;
}
