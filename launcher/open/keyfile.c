/* SPDX-License-Identifier: MIT */
#include "launcher/open/keyfile.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trimmed(const char *p, size_t len)
{
	struct slice s = {p, len};

	while (s.len > 0 && is_blank(*s.p))
		slice_skip(&s, 1);
	while (s.len > 0 && is_blank(s.p[s.len - 1]))
		s.len--;
	return s;
}

bool keyfile_next(struct keyfile *k)
{
	struct slice line;

	while (slice_line(&k->rest, &line)) {
		const char *equals;

		line = trimmed(line.p, line.len);
		if (line.len == 0 || *line.p == '#')
			continue;
		if (*line.p == '[') {
			if (line.p[line.len - 1] == ']')
				k->group = (struct slice){line.p + 1, line.len - 2};
			continue;
		}
		equals = memchr(line.p, '=', line.len);
		if (!equals)
			continue;
		k->key = trimmed(line.p, (size_t)(equals - line.p));
		k->value = trimmed(equals + 1, line.len - (size_t)(equals - line.p) - 1);
		if (k->key.len > 0)
			return true;
	}
	return false;
}

bool keyfile_entry(struct slice *list, struct slice *entry)
{
	while (list->len > 0) {
		const char *end = memchr(list->p, ';', list->len);
		const size_t len = end ? (size_t)(end - list->p) : list->len;

		*entry = trimmed(list->p, len);
		slice_skip(list, len + (end != NULL));
		if (entry->len > 0)
			return true;
	}
	return false;
}
