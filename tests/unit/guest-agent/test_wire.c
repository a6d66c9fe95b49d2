/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "guest-agent/wire.h"

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
