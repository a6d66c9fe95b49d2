/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common/agent_codec.h"

Test(agent_codec, header)
{
	struct sc_header raw = {.length = htole32(10), .type = htole16(33), .id = htole32(7)};
	uint8_t bytes[sizeof(raw)];
	struct sc_header h;

	memcpy(bytes, &raw, sizeof(raw));
	cr_assert_eq(wire_header(bytes, 10, &h), 0);
	cr_assert_eq(h.length, 10);
	cr_assert_eq(h.type, 33);
	cr_assert_eq(h.id, 7);
	/* One byte over the limit; and the reserved field. */
	cr_assert_eq(wire_header(bytes, 9, &h), -EPROTO);
	bytes[offsetof(struct sc_header, zero)] = 1;
	cr_assert_eq(wire_header(bytes, 10, &h), -EPROTO);
}

Test(agent_codec, field_longer_than_the_body)
{
	/* Each cut of a body with one field of 4 bytes: only the whole is good. */
	struct {
		struct sc_field f;
		uint32_t v;
	} __attribute__((packed)) body = {{htole32(SC_FIELD_CODE), htole32(4)}, htole32(3)};
	struct wire_field f;

	for (size_t n = 1; n <= sizeof(body); n++) {
		uint8_t *exact = malloc(n);
		struct wire_reader r = {.next = exact, .left = n};

		memcpy(exact, &body, n);
		cr_assert_eq(wire_next(&r, &f), n == sizeof(body) ? 1 : -EPROTO, "%zu bytes", n);
		free(exact);
	}
	/* A length that would wrap a sum. */
	body.f.length = UINT32_MAX;
	cr_assert_eq(wire_next(&(struct wire_reader){.next = (const uint8_t *)&body,
						     .left = sizeof(body)},
			       &f),
		     -EPROTO);
}

Test(agent_codec, types)
{
	const uint8_t bytes[] = {'a', 0, 'b', 'c', 'd'};
	struct wire_field f = {.tag = 1, .length = 3, .data = bytes};
	uint32_t v = 77;

	cr_assert_eq(wire_str(&f), -EPROTO);
	cr_assert_eq(wire_u32(&f, &v), -EPROTO);
	f.length = 5;
	cr_assert_eq(wire_u32(&f, &v), -EPROTO);
	cr_assert_eq(v, 77);
	f.length = 0;
	cr_assert_eq(wire_str(&f), 0);
}
