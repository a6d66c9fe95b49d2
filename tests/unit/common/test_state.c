/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "common/state.h"

enum { MARK = STATE_MARK('T', 'E', 'S', 'T') };

Test(state, comes_back_as_it_was_put)
{
	struct state_writer w = {.error = 0};
	struct state_reader r;
	char text[3];

	state_put_mark(&w, MARK);
	state_put_int(&w, 0x123456789abcdef0, 8);
	state_put_int(&w, 0x1ff, 1);
	state_put(&w, "abc", 3);
	cr_assert_eq(w.error, 0);
	cr_assert_eq(w.bytes.len, 4 + 8 + 1 + 3);
	cr_assert_eq(memcmp(w.bytes.data, "TEST\xf0\xde", 6), 0);

	r = (struct state_reader){.next = (uint8_t *)w.bytes.data, .left = w.bytes.len};
	state_get_mark(&r, MARK);
	cr_assert_eq(state_get_int(&r, 8), 0x123456789abcdef0);
	cr_assert_eq(state_get_int(&r, 1), 0xff);
	state_get(&r, text, 3);
	cr_assert_eq(memcmp(text, "abc", 3), 0);
	cr_assert_eq(r.error, 0);
	cr_assert_eq(r.left, 0);
	free(w.bytes.data);
}

Test(state, the_first_error_sticks)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5};
	struct state_reader r = {.next = bytes, .left = sizeof(bytes)};
	struct state_writer w = {.error = 0};
	char text[2] = "x";

	cr_assert_eq(state_get_int(&r, 4), 0x04030201);
	cr_assert_eq(state_get_int(&r, 4), 0);
	cr_assert_eq(r.error, -EBADMSG);
	cr_assert_eq(r.left, 1);
	cr_assert_null(state_get_bytes(&r, 1));
	state_get(&r, text, 1);
	cr_assert_eq(text[0], 'x');
	state_fail(&r, -ESTALE);
	cr_assert_eq(r.error, -EBADMSG);

	r = (struct state_reader){.next = bytes, .left = sizeof(bytes)};
	state_get_mark(&r, MARK);
	cr_assert_eq(r.error, -EBADMSG);

	state_refuse(&w, -EBUSY);
	state_put_int(&w, 1, 8);
	state_refuse(&w, -EIO);
	cr_assert_eq(w.error, -EBUSY);
	cr_assert_eq(w.bytes.len, 0);
}
