/* SPDX-License-Identifier: MIT */
#include "common/control_bytes.h"

#include <errno.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

json_t *control_bytes_new(const char *bytes)
{
	json_t *value = json_string(bytes);
	const size_t len = strlen(bytes);
	AUTO_FREE char *hex = NULL;

	if (value)
		return value;
	hex = malloc(2 * len + 1);
	if (!hex)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		hex[2 * i] = digits[(unsigned char)bytes[i] >> 4];
		hex[2 * i + 1] = digits[(unsigned char)bytes[i] & 15];
	}
	hex[2 * len] = '\0';
	return json_pack("{s:s}", "hex", hex);
}

/* 0 to 15, or -1. */
static int digit_value(char c)
{
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int from_hex(const char *hex, size_t len, char **out)
{
	AUTO_FREE char *bytes = malloc(len / 2 + 1);

	if (!bytes)
		return -ENOMEM;
	if (len % 2 != 0)
		return -EINVAL;
	for (size_t i = 0; i < len / 2; i++) {
		const int high = digit_value(hex[2 * i]), low = digit_value(hex[2 * i + 1]);

		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return -EINVAL;
		bytes[i] = (char)(high << 4 | low);
	}
	bytes[len / 2] = '\0';
	*out = bytes;
	bytes = NULL;
	return 0;
}

int control_bytes_get(const json_t *value, char **out)
{
	const json_t *hex = json_object_get(value, "hex");
	const json_t *text = hex ? hex : value;
	const char *s = json_string_value(text);
	const size_t len = json_string_length(text);

	if (!s || strlen(s) != len)
		return -EINVAL;
	if (hex)
		return from_hex(s, len, out);
	*out = strdup(s);
	return *out ? 0 : -ENOMEM;
}
