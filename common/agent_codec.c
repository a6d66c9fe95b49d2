/* SPDX-License-Identifier: MIT */
#include "common/agent_codec.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

int wire_header(const uint8_t *raw, uint32_t max_body, struct sc_header *out)
{
	struct sc_header h;

	memcpy(&h, raw, sizeof(h));
	h.length = le32toh(h.length);
	h.type = le16toh(h.type);
	h.id = le32toh(h.id);
	if (h.length > max_body || h.zero != 0)
		return -EPROTO;
	*out = h;
	return 0;
}

int wire_next(struct wire_reader *r, struct wire_field *out)
{
	uint32_t length;

	if (r->left == 0)
		return 0;
	if (r->left < sizeof(struct sc_field))
		return -EPROTO;
	length = get_u32(r->next + offsetof(struct sc_field, length));
	if (length > r->left - sizeof(struct sc_field))
		return -EPROTO;
	out->tag = get_u32(r->next + offsetof(struct sc_field, tag));
	out->length = length;
	out->data = r->next + sizeof(struct sc_field);
	r->next = out->data + length;
	r->left -= sizeof(struct sc_field) + length;
	return 1;
}

int wire_u32(const struct wire_field *f, uint32_t *out)
{
	if (f->length != sizeof(*out))
		return -EPROTO;
	*out = get_u32(f->data);
	return 0;
}

int wire_str(const struct wire_field *f)
{
	return f->length && memchr(f->data, '\0', f->length) ? -EPROTO : 0;
}
