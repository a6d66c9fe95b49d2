/* SPDX-License-Identifier: MIT */
#include "library/client/keys.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "common/control_protocol.h"

enum { SHIFT = 0xe1, MAX_CHORD = KEYS_CHORD_EVENTS / 2, NOTCH = 120 };

/* HID usages of page 7 by name. Letters, digits and F keys are counted out below. */
static const struct {
	const char *name;
	uint8_t usage;
} names[] = {
	{"enter", 0x28},     {"return", 0x28},	   {"esc", 0x29},	 {"escape", 0x29},
	{"backspace", 0x2a}, {"tab", 0x2b},	   {"space", 0x2c},	 {"minus", 0x2d},
	{"equal", 0x2e},     {"capslock", 0x39},   {"print", 0x46},	 {"scrolllock", 0x47},
	{"pause", 0x48},     {"insert", 0x49},	   {"home", 0x4a},	 {"pageup", 0x4b},
	{"delete", 0x4c},    {"end", 0x4d},	   {"pagedown", 0x4e},	 {"right", 0x4f},
	{"left", 0x50},	     {"down", 0x51},	   {"up", 0x52},	 {"numlock", 0x53},
	{"menu", 0x65},	     {"ctrl", 0xe0},	   {"shift", SHIFT},	 {"alt", 0xe2},
	{"super", 0xe3},     {"rightctrl", 0xe4},  {"rightshift", 0xe5}, {"altgr", 0xe6},
	{"rightalt", 0xe6},  {"rightsuper", 0xe7},
};

/* The rows of a US keyboard from usage 0x2d on: without Shift, and with it. 0x32 is another board's. */
static const char plain[] = "-=[]\\\0;'`,./", shifted[] = "_+{}|\0:\"~<>?";

enum { FIRST_SIGN = 0x2d, N_SIGNS = sizeof(plain) - 1 };

/* The usage of c, and whether Shift is needed; 0: it has no key. */
static uint8_t find_char(char c, bool *shift)
{
	static const char digits[] = "1234567890", over_digits[] = "!@#$%^&*()";
	const char *at;

	*shift = false;
	if (c == '\0')
		return 0;
	if (c >= 'a' && c <= 'z')
		return (uint8_t)(0x04 + (c - 'a'));
	if (c == '\n' || c == '\t' || c == ' ')
		return c == '\n' ? 0x28 : c == '\t' ? 0x2b : 0x2c;
	at = strchr(digits, c);
	if (at)
		return (uint8_t)(0x1e + (at - digits));
	at = memchr(plain, c, N_SIGNS);
	if (at)
		return (uint8_t)(FIRST_SIGN + (at - plain));
	*shift = true;
	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(0x04 + (c - 'A'));
	at = strchr(over_digits, c);
	if (at)
		return (uint8_t)(0x1e + (at - over_digits));
	at = memchr(shifted, c, N_SIGNS);
	return at ? (uint8_t)(FIRST_SIGN + (at - shifted)) : 0;
}

/* f1 to f24; 0: it is none of them. */
static uint8_t find_f(const char *name, size_t len)
{
	unsigned int n = 0;

	if (len < 2 || len > 3 || tolower((unsigned char)name[0]) != 'f' || name[1] == '0')
		return 0;
	for (size_t i = 1; i < len; i++) {
		if (name[i] < '0' || name[i] > '9')
			return 0;
		n = n * 10 + (unsigned int)(name[i] - '0');
	}
	if (n > 24)
		return 0;
	return (uint8_t)(n <= 12 ? 0x3a + n - 1 : 0x68 + n - 13);
}

static uint8_t find_name(const char *name, size_t len)
{
	bool shift;
	uint8_t usage;

	if (len == 1) {
		usage = find_char((char)tolower((unsigned char)name[0]), &shift);
		return shift ? 0 : usage;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i].name) == len && strncasecmp(names[i].name, name, len) == 0)
			return names[i].usage;
	return find_f(name, len);
}

/* Takes the events from *from on back out. */
static int undo(json_t *events, size_t from)
{
	while (json_array_size(events) > from)
		(void)json_array_remove(events, json_array_size(events) - 1);
	return -ENOMEM;
}

static int add_key(json_t *events, uint8_t usage, bool down)
{
	return json_array_append_new(events,
				     json_pack("{s:i, s:b}", "key", (int)usage, "down", (int)down));
}

static int add_keys(json_t *events, const uint8_t *usages, size_t n)
{
	const size_t before = json_array_size(events);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_key(events, usages[i], true);
	for (size_t i = n; r == 0 && i > 0; i--)
		r = add_key(events, usages[i - 1], false);
	return r == 0 ? 0 : undo(events, before);
}

int keys_add_chord(json_t *events, const char *chord, const char **bad, size_t *bad_len)
{
	uint8_t usages[MAX_CHORD];
	size_t n = 0;

	for (const char *name = chord;; name += strcspn(name, "+") + 1) {
		const size_t len = strcspn(name, "+");
		const uint8_t usage = n < MAX_CHORD ? find_name(name, len) : 0;

		if (!usage) {
			*bad = name;
			*bad_len = len;
			return -EINVAL;
		}
		usages[n++] = usage;
		if (!name[len])
			break;
	}
	return add_keys(events, usages, n);
}

int keys_add_char(json_t *events, char c)
{
	uint8_t usages[2] = {SHIFT};
	bool shift;

	usages[1] = find_char(c, &shift);
	if (!usages[1])
		return -EINVAL;
	return shift ? add_keys(events, usages, 2) : add_keys(events, usages + 1, 1);
}

static int add_button(json_t *events, size_t button, bool down)
{
	return json_array_append_new(
		events, json_pack("{s:i, s:b}", "button", (int)button, "down", (int)down));
}

int keys_add_click(json_t *events, unsigned int monitor, unsigned int x, unsigned int y,
		   const char *button)
{
	static const char *const buttons[] = {"left", "middle", "right"};
	const size_t before = json_array_size(events);
	size_t i = 0;

	while (i < ARRAY_SIZE(buttons) && strcasecmp(buttons[i], button) != 0)
		i++;
	if (i == ARRAY_SIZE(buttons))
		return -EINVAL;
	if (json_array_append_new(events,
				  json_pack("{s:I, s:I, s:I}", "monitor", (json_int_t)monitor, "x",
					    (json_int_t)x, "y", (json_int_t)y)) < 0 ||
	    add_button(events, i, true) < 0 || add_button(events, i, false) < 0)
		return undo(events, before);
	return 0;
}

int keys_add_wheel(json_t *events, int notches)
{
	return json_array_append_new(events,
				     json_pack("{s:I}", "wheel", (json_int_t)notches * NOTCH)) < 0
		       ? -ENOMEM
		       : 0;
}

/* Behind the last event with nothing down, of those from `at` on that one request may hold. */
static size_t cut(const json_t *events, size_t at)
{
	const size_t end = min_size(json_array_size(events), at + CONTROL_MAX_INPUT);
	size_t best = at;
	int held = 0;

	for (; at < end; at++) {
		const json_t *down = json_object_get(json_array_get(events, at), "down");

		if (down)
			held += json_is_true(down) ? 1 : -1;
		if (held == 0)
			best = at + 1;
	}
	return best;
}

json_t *keys_request(const json_t *events, size_t *at)
{
	const size_t end = cut(events, *at);
	json_t *part = json_array();
	size_t i = *at;

	while (part && i < end && json_array_append(part, json_array_get(events, i)) == 0)
		i++;
	if (i < end) {
		json_decref(part);
		return NULL;
	}
	*at = end;
	return json_pack("{s:s, s:o}", "op", "input", "events", part);
}
