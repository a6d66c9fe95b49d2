/* SPDX-License-Identifier: MIT */
#include "common/control_bytes.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"

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
	hex_write(bytes, len, hex);
	return json_pack("{s:s}", "hex", hex);
}

static int from_hex(const char *hex, size_t len, char **out)
{
	AUTO_FREE char *bytes = malloc(len / 2 + 1);

	if (!bytes)
		return -ENOMEM;
	if (len % 2 != 0)
		return -EINVAL;
	for (size_t i = 0; i < len / 2; i++) {
		const int byte = hex_byte(hex + 2 * i);

		if (byte <= 0)
			return -EINVAL;
		bytes[i] = (char)byte;
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
