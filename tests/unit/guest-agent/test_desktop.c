/* SPDX-License-Identifier: MIT */
/* The session itself needs a display: tests/guest/test_session.sh. Here is what it reads. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "guest-agent/desktop.h"

static int read_names(const char *text, struct desktop_names *out)
{
	/* The exact size, so that a byte behind it would be found out. */
	char *copy = malloc(strlen(text) + !*text);
	int r;

	cr_assert_not_null(copy);
	memcpy(copy, text, strlen(text));
	r = desktop_read_names(copy, strlen(text), out);
	free(copy);
	return r;
}

Test(desktop, names_are_two_lines)
{
	struct desktop_names n;

	cr_assert_eq(read_names("wayland-1\n:0\n", &n), 0);
	cr_assert_str_eq(n.wayland, "wayland-1");
	cr_assert_str_eq(n.x11, ":0");
	cr_assert_eq(read_names("wayland-1\n\n", &n), 0);
	cr_assert_str_eq(n.x11, "", "there is no Xwayland");
}

Test(desktop, names_that_are_not_whole_are_waited_for)
{
	static const char *const parts[] = {"", "way", "wayland-1", "wayland-1\n", "wayland-1\n:0"};
	struct desktop_names n = {.wayland = "as before"};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		cr_assert_eq(read_names(parts[i], &n), -EAGAIN, "%s", parts[i]);
	cr_assert_str_eq(n.wayland, "as before");
}

Test(desktop, what_is_no_name_is_refused)
{
	static const char *const bad[] = {"../x\n\n", "a b\n\n", "a\n:0 x\n", "a=b\n\n",
					  "\x01\n\n"};
	char large[128];
	struct desktop_names n = {.x11 = "as before"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(read_names(bad[i], &n), -EPROTO, "%s", bad[i]);
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	cr_assert_eq(read_names(large, &n), -EPROTO, "longer than a name can be, whole or not");
	large[sizeof(n.wayland) - 1] = '\0';
	cr_assert_eq(read_names(large, &n), -EAGAIN);
	cr_assert_str_eq(n.x11, "as before");
}
