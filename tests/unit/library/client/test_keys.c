/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/control_protocol.h"
#include "library/client/keys.h"

static json_t *events;

static void setup(void)
{
	events = json_array();
}

static void teardown(void)
{
	json_decref(events);
}

TestSuite(keys, .init = setup, .fini = teardown);

/* What the events are, in short: "+4 -4" is a key down and up, "@1:2,3" a place, "b0+" a button. */
static const char *told(void)
{
	static char text[4096];
	size_t i, at = 0;
	json_t *e;

	text[0] = '\0';
	json_array_foreach(events, i, e)
	{
		const char *space = i ? " " : "";
		const bool down = json_is_true(json_object_get(e, "down"));
		int key = -1, button = -1, monitor = -1, x = 0, y = 0, wheel = 0;

		(void)json_unpack(e, "{s?i, s?i, s?i, s?i, s?i, s?i}", "key", &key, "button",
				  &button, "monitor", &monitor, "x", &x, "y", &y, "wheel", &wheel);
		if (key >= 0)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%c%x", space,
					       down ? '+' : '-', (unsigned int)key);
		else if (button >= 0)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%sb%d%c", space,
					       button, down ? '+' : '-');
		else if (monitor >= 0)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s@%d:%d,%d", space,
					       monitor, x, y);
		else
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%sw%d", space, wheel);
	}
	return text;
}

static int add(const char *chord)
{
	const char *bad = NULL;
	size_t len = 0;

	json_array_clear(events);
	return keys_add_chord(events, chord, &bad, &len);
}

Test(keys, chords)
{
	static const struct {
		const char *chord, *told;
	} cases[] = {
		{"a", "+4 -4"},
		{"Z", "+1d -1d"},
		{"1", "+1e -1e"},
		{"0", "+27 -27"},
		{"-", "+2d -2d"},
		{"/", "+38 -38"},
		{"f1", "+3a -3a"},
		{"F12", "+45 -45"},
		{"f13", "+68 -68"},
		{"f24", "+73 -73"},
		{"Return", "+28 -28"},
		{"ctrl+alt+t", "+e0 +e2 +17 -17 -e2 -e0"},
		{"Ctrl+Shift+Escape", "+e0 +e1 +29 -29 -e1 -e0"},
		{"super", "+e3 -e3"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(add(cases[i].chord), 0, "%s", cases[i].chord);
		cr_assert_str_eq(told(), cases[i].told, "%s: %s", cases[i].chord, told());
	}
}

Test(keys, no_chords)
{
	static const char *const bad[] = {"",	 "+",	"ctrl+", "+a", "what", "f0",
					  "f25", "f01", "f1x",	 "!",  "\x80", "a+b+c+d+e+f+g+h+i"};
	const char *at = NULL;
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(add(bad[i]), -EINVAL, "%s", bad[i]);
		cr_assert_eq(json_array_size(events), 0);
	}
	cr_assert_eq(keys_add_chord(events, "ctrl+what+t", &at, &len), -EINVAL);
	cr_assert_eq(len, 4);
	cr_assert_eq(strncmp(at, "what", 4), 0);
	cr_assert_eq(add("a+b+c+d+e+f+g+h"), 0);
	cr_assert_eq(json_array_size(events), KEYS_CHORD_EVENTS);
}

/* A row with Shift is the row without it, while Shift is held. */
Test(keys, each_character_of_a_us_keyboard)
{
	static const char rows[2][48] = {"`1234567890-=qwertyuiop[]\\asdfghjkl;'zxcvbnm,./",
					 "~!@#$%^&*()_+QWERTYUIOP{}|ASDFGHJKL:\"ZXCVBNM<>?"};
	char want[64];
	unsigned int usage;

	for (size_t i = 0; rows[0][i]; i++) {
		json_array_clear(events);
		cr_assert_eq(keys_add_char(events, rows[0][i]), 0, "%c", rows[0][i]);
		cr_assert_eq(sscanf(told(), "+%x", &usage), 1);
		snprintf(want, sizeof(want), "+%x -%x", usage, usage);
		cr_assert_str_eq(told(), want);
		json_array_clear(events);
		cr_assert_eq(keys_add_char(events, rows[1][i]), 0, "%c", rows[1][i]);
		snprintf(want, sizeof(want), "+e1 +%x -%x -e1", usage, usage);
		cr_assert_str_eq(told(), want);
	}
}

Test(keys, what_has_no_key)
{
	unsigned int refused = 0;

	for (int c = 0; c < 256; c++) {
		const int r = keys_add_char(events, (char)c);

		cr_assert(r == 0 || r == -EINVAL);
		refused += r < 0;
		if (c >= ' ' && c <= '~')
			cr_assert_eq(r, 0, "%c", c);
	}
	/* Printable ones, Enter and Tab are all there is. */
	cr_assert_eq(refused, 256 - 95 - 2);
}

Test(keys, clicks_and_the_wheel)
{
	cr_assert_eq(keys_add_click(events, 2, 10, 20, "right"), 0);
	cr_assert_eq(json_array_size(events), KEYS_CLICK_EVENTS);
	cr_assert_str_eq(told(), "@2:10,20 b2+ b2-");
	cr_assert_eq(keys_add_click(events, 2, 10, 20, "thumb"), -EINVAL);
	cr_assert_eq(json_array_size(events), KEYS_CLICK_EVENTS);
	cr_assert_eq(keys_add_wheel(events, -3), 0);
	cr_assert_str_eq(told(), "@2:10,20 b2+ b2- w-360");
}

Test(keys, a_request_ends_where_nothing_is_down)
{
	size_t at = 0, all = 0, before;

	/* Six events each, which is no part of 1024. */
	for (int i = 0; i < 500; i++) {
		const char *bad;
		size_t len;

		cr_assert_eq(keys_add_chord(events, "ctrl+alt+t", &bad, &len), 0);
	}
	while (at < json_array_size(events)) {
		json_t *request;

		before = at;
		request = keys_request(events, &at);
		cr_assert_not_null(request);
		cr_assert_str_eq(json_string_value(json_object_get(request, "op")), "input");
		cr_assert_eq(json_array_size(json_object_get(request, "events")), at - before);
		cr_assert_leq(at - before, CONTROL_MAX_INPUT);
		cr_assert_eq((at - before) % 6, 0);
		all += at - before;
		json_decref(request);
	}
	cr_assert_eq(all, 3000);
}
