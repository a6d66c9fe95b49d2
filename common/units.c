/* SPDX-License-Identifier: MIT */
#include "common/units.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The digits `text` begins with; moves it behind them. */
static int take_digits(const char **text, uint64_t *out)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	for (; isdigit((unsigned char)**text); (*text)++)
		if (__builtin_mul_overflow(v, 10u, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(**text - '0'), &v))
			return -ERANGE;
	*out = v;
	return 0;
}

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	int r = take_digits(&text, &v);

	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	if (v < min || v > max)
		return -ERANGE;
	*out = v;
	return 0;
}

int parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	uint64_t v = 0;
	int r = take_digits(&text, &v);

	if (r < 0)
		return r;
	if (*text) {
		const char *unit = strchr(units, tolower((unsigned char)*text));

		if (!unit)
			return -EINVAL;
		text++;
		if (*text && strcasecmp(text, "ib") != 0 && strcasecmp(text, "b") != 0)
			return -EINVAL;
		if (__builtin_mul_overflow(v, UINT64_C(1) << (10 * (unit - units + 1)), &v))
			return -ERANGE;
	}
	*bytes = v;
	return 0;
}

int parse_duration(const char *text, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
	uint64_t total = 0;
	size_t next = 0;

	while (*text) {
		uint64_t v = 0;
		size_t len = 0, u;
		int r = take_digits(&text, &v);

		if (r < 0)
			return r;
		while (isalpha((unsigned char)text[len]))
			len++;
		for (u = next; u < ARRAY_SIZE(units); u++)
			if (strlen(units[u].name) == len && memcmp(units[u].name, text, len) == 0)
				break;
		if (u == ARRAY_SIZE(units))
			return -EINVAL;
		if (__builtin_mul_overflow(v, units[u].ms, &v) ||
		    __builtin_add_overflow(total, v, &total))
			return -ERANGE;
		text += len;
		next = u + 1;
	}
	if (total == 0)
		return -EINVAL;
	*ms = total;
	return 0;
}

void format_size(uint64_t bytes, char *out)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t u = 0;
	uint64_t tenths = 0;

	while (bytes >= 1024 && u + 1 < ARRAY_SIZE(units)) {
		tenths = bytes % 1024 * 10 / 1024;
		bytes /= 1024;
		u++;
	}
	if (tenths)
		snprintf(out, 32, "%llu.%llu %s", (unsigned long long)bytes,
			 (unsigned long long)tenths, units[u]);
	else
		snprintf(out, 32, "%llu %s", (unsigned long long)bytes, units[u]);
}

bool is_host_name(const char *text)
{
	const size_t n = strlen(text);

	if (n == 0 || n > 63 || text[0] == '-' || text[n - 1] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '-')
			return false;
	return true;
}
