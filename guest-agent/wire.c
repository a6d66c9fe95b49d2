/* SPDX-License-Identifier: MIT */
#include "guest-agent/wire.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* The header's length follows every field, so that a message is whole at any time. */
static void put_field(struct wire_message *m, enum sc_field_tag tag, const void *data,
		      uint32_t length)
{
	struct sc_field f = {.tag = htole32((uint32_t)tag), .length = htole32(length)};
	uint32_t body;

	assert(sizeof(f) + length <= sizeof(m->buf) - m->len);
	memcpy(m->buf + m->len, &f, sizeof(f));
	memcpy(m->buf + m->len + sizeof(f), data, length);
	m->len += sizeof(f) + length;
	body = htole32((uint32_t)(m->len - sizeof(struct sc_header)));
	memcpy(m->buf + offsetof(struct sc_header, length), &body, sizeof(body));
}

void wire_begin(struct wire_message *m, enum sc_message type, uint32_t id)
{
	struct sc_header h = {.type = htole16((uint16_t)type), .id = htole32(id)};

	memcpy(m->buf, &h, sizeof(h));
	m->len = sizeof(h);
}

void wire_put_u32(struct wire_message *m, enum sc_field_tag tag, uint32_t v)
{
	v = htole32(v);
	put_field(m, tag, &v, sizeof(v));
}

static uint64_t microseconds(const struct timeval *t)
{
	return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

void wire_put_usage(struct wire_message *m, const struct rusage *usage)
{
	const struct sc_usage u = {
		.user_us = htole64(microseconds(&usage->ru_utime)),
		.system_us = htole64(microseconds(&usage->ru_stime)),
		.memory = htole64((uint64_t)usage->ru_maxrss * 1024),
	};

	put_field(m, SC_FIELD_USAGE, &u, sizeof(u));
}

void wire_put_str(struct wire_message *m, enum sc_field_tag tag, const char *s)
{
	size_t room = sizeof(m->buf) - m->len - sizeof(struct sc_field);

	put_field(m, tag, s, (uint32_t)min_size(strlen(s), room));
}

void wire_put_step(struct wire_message *m, uint64_t begin, uint64_t end, bool kernel,
		   const char *name)
{
	struct sc_step step = {htole64(begin), htole64(end), htole32(kernel)};
	uint8_t data[256];
	size_t len = min_size(strlen(name), sizeof(data) - sizeof(step));

	if (sizeof(m->buf) - m->len < sizeof(struct sc_field) + sizeof(step) + len)
		return;
	memcpy(data, &step, sizeof(step));
	memcpy(data + sizeof(step), name, len);
	put_field(m, SC_FIELD_STEP, data, (uint32_t)(sizeof(step) + len));
}
