/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/text.h"
#include "launcher/config/map.h"

/* A buffer with a NUL behind its text. */
static int append(struct buffer *b, const char *data, size_t len)
{
	int r = buffer_reserve(b, len + 1);

	if (r == 0)
		r = buffer_add(b, data, len);
	if (r == 0)
		b->data[b->len] = '\0';
	return r;
}

/* `*at` stands on a '$'; moves it behind the variable and appends its value. */
static int append_variable(struct buffer *t, const char **at, const char *end)
{
	const char *p = *at + 1;
	const bool braces = p < end && *p == '{';
	const char *name = p + braces, *stop = name, *value;
	char copy[128];

	while (stop < end && (isalnum((unsigned char)*stop) || *stop == '_'))
		stop++;
	if (stop == name || (braces && (stop == end || *stop != '}')) ||
	    stop - name >= (ptrdiff_t)sizeof(copy)) {
		log_error("'%.*s': a $ must begin $NAME or ${NAME}; write \\$ for the character",
			  (int)(end - *at), *at);
		return -EINVAL;
	}
	snprintf(copy, sizeof(copy), "%.*s", (int)(stop - name), name);
	value = getenv(copy);
	if (!value) {
		log_error("$%s is not set in the environment; set it, or write the path out", copy);
		return -EINVAL;
	}
	*at = stop + braces;
	return append(t, value, strlen(value));
}

int path_expand(const struct map_base *base, const char *text, size_t len, char **out)
{
	const char *p = text, *end = text + len;
	struct buffer t = {0};
	int r = 0;

	if (len > 0 && *p == '~' && (len == 1 || p[1] == '/')) {
		r = append(&t, base->home, strlen(base->home));
		p++;
	}
	while (r == 0 && p < end) {
		if (*p == '$') {
			r = append_variable(&t, &p, end);
			continue;
		}
		if (*p == '\\' && p + 1 < end)
			p++;
		r = append(&t, p++, 1);
	}
	if (r == 0 && t.len == 0) {
		log_error("an empty path is no path; leave the option out or write a folder");
		r = -EINVAL;
	}
	if (r == 0 && t.data[0] != '/') {
		char *absolute = NULL;

		if (asprintf(&absolute, "%s/%s", base->cwd, t.data) < 0)
			r = -ENOMEM;
		else
			*out = absolute;
	} else if (r == 0) {
		*out = t.data;
		return 0;
	}
	if (r == -ENOMEM)
		log_error("out of memory");
	free(t.data);
	return r;
}
