/* SPDX-License-Identifier: MIT */
/* common/slice.h - stretches of text, for readers that go through it once. */
#ifndef COMMON_SLICE_H
#define COMMON_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
	const char *p;
	size_t len;
};

static inline bool slice_is(struct slice s, const char *text)
{
	return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static inline void slice_skip(struct slice *s, size_t n)
{
	s->p += n;
	s->len -= n;
}

static inline void slice_skip_blanks(struct slice *s)
{
	while (s->len > 0 && (*s->p == ' ' || *s->p == '\t'))
		slice_skip(s, 1);
}

/* Cuts the next line off *rest; false at the end. */
static inline bool slice_line(struct slice *rest, struct slice *line)
{
	const char *end;

	if (rest->len == 0)
		return false;
	end = memchr(rest->p, '\n', rest->len);
	*line = (struct slice){rest->p, end ? (size_t)(end - rest->p) : rest->len};
	slice_skip(rest, line->len + (end != NULL));
	return true;
}

/* Cuts the next word off *rest; false if there is none. */
static inline bool slice_word(struct slice *rest, struct slice *word)
{
	slice_skip_blanks(rest);
	*word = (struct slice){rest->p, 0};
	while (rest->len > 0 && *rest->p != ' ' && *rest->p != '\t') {
		slice_skip(rest, 1);
		word->len++;
	}
	return word->len > 0;
}

#endif
