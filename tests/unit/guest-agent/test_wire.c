/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "guest-agent/wire.h"

Test(wire, header)
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

Test(wire, what_is_written_is_read)
{
	struct wire_message m;
	struct wire_reader r;
	struct wire_field f;
	struct sc_header h;
	uint32_t v;

	wire_begin(&m, SC_MSG_EXEC_FAILED, 5);
	wire_put_u32(&m, SC_FIELD_ERRNO, ENOENT);
	wire_put_str(&m, SC_FIELD_TEXT, "why");
	cr_assert_eq(wire_header(m.buf, SC_BODY_MAX_GUEST, &h), 0);
	cr_assert_eq(h.type, SC_MSG_EXEC_FAILED);
	cr_assert_eq(h.id, 5);
	cr_assert_eq(h.length + sizeof(h), m.len);

	r = (struct wire_reader){.next = m.buf + sizeof(h), .left = h.length};
	cr_assert_eq(wire_next(&r, &f), 1);
	cr_assert_eq(f.tag, SC_FIELD_ERRNO);
	cr_assert_eq(wire_u32(&f, &v), 0);
	cr_assert_eq(v, ENOENT);
	cr_assert_eq(wire_next(&r, &f), 1);
	cr_assert_eq(wire_str(&f), 0);
	cr_assert_eq(f.length, 3);
	cr_assert_arr_eq(f.data, "why", 3);
	cr_assert_eq(wire_next(&r, &f), 0);
}

Test(wire, long_string_is_cut)
{
	static char s[2 * SC_BODY_MAX_GUEST];
	struct wire_message m;
	struct sc_header h;

	memset(s, 'x', sizeof(s) - 1);
	wire_begin(&m, SC_MSG_FAILED, 0);
	wire_put_u32(&m, SC_FIELD_ERRNO, 1);
	wire_put_str(&m, SC_FIELD_TEXT, s);
	cr_assert_eq(m.len, sizeof(m.buf));
	cr_assert_eq(wire_header(m.buf, SC_BODY_MAX_GUEST, &h), 0);
	cr_assert_eq(h.length, SC_BODY_MAX_GUEST);
}

Test(wire, field_longer_than_the_body)
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

Test(wire, types)
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
