/* SPDX-License-Identifier: MIT */
/* image/base/content_priv.h - stretches of text, as content.c and filter.c look at them. */
#ifndef IMAGE_BASE_CONTENT_PRIV_H
#define IMAGE_BASE_CONTENT_PRIV_H

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "common/text.h"

enum { TOKEN_MIN = 20 }; /* characters: a word of more than names have */

static inline bool is_base64(char c)
{
	return isalnum((unsigned char)c) || c == '+' || c == '/' || c == '=';
}

static inline bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static inline size_t run_of(struct slice s, bool (*is)(char c))
{
	size_t n = 0;

	while (n < s.len && is(s.p[n]))
		n++;
	return n;
}

/* Skips to the first occurrence of `what` and past it; false: there is none. */
static inline bool skip_to(struct slice *s, const char *what)
{
	size_t n = strlen(what);
	const char *at = s->len ? memmem(s->p, s->len, what, n) : NULL;

	if (!at)
		return false;
	slice_skip(s, (size_t)(at - s->p) + n);
	return true;
}

static inline bool begins(struct slice s, const char *what)
{
	size_t n = strlen(what);

	return s.len >= n && memcmp(s.p, what, n) == 0;
}

/* Behind "://": the length of user information with its "@", or 0. */
static inline size_t user_info(struct slice s)
{
	size_t n = 0, found = 0;

	while (n < s.len && !isspace((unsigned char)s.p[n]) && !strchr("/?#\"'<>\\", s.p[n]))
		if (s.p[n++] == '@')
			found = n;
	return found;
}

#endif
