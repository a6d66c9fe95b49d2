/* SPDX-License-Identifier: MIT */
/* common/text.h - stretches of text that are read once, and bytes that grow. */
#ifndef COMMON_TEXT_H
#define COMMON_TEXT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/util.h"

/* A stretch of somebody else's text, without a final NUL. */
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

/* Bytes that grow. Zeroed is empty. The owner frees data. */
struct buffer {
	char *data;
	size_t len, room;
};

/* Room for `more` bytes behind len. */
static inline int buffer_reserve(struct buffer *b, size_t more)
{
	size_t room = b->room ? b->room : 4096;
	char *data;

	if (more <= b->room - b->len)
		return 0;
	while (room - b->len < more) {
		if (room > SIZE_MAX / 2)
			return -ENOMEM;
		room *= 2;
	}
	data = realloc(b->data, room);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->room = room;
	return 0;
}

static inline int buffer_add(struct buffer *b, const void *data, size_t len)
{
	int r = buffer_reserve(b, len);

	if (r == 0 && len > 0) {
		memcpy(b->data + b->len, data, len);
		b->len += len;
	}
	return r;
}

/* The value of a hexadecimal digit in either case, or -1. */
static inline int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that two digits are, or -1. */
static inline int hex_byte(const char *digits)
{
	const int high = hex_digit(digits[0]), low = high < 0 ? -1 : hex_digit(digits[1]);

	return low < 0 ? -1 : high << 4 | low;
}

/* 2 * len digits in lower case and a NUL. */
void hex_write(const void *bytes, size_t len, char *out);

/*
 * Puts into *out, in the place of what was in it, what fd has from where it stands to its end, and
 * a NUL that len does not count. -EFBIG if that is more than `max` bytes. out->data is the owner's
 * to free in all cases.
 */
int read_whole(int fd, size_t max, struct buffer *out) MUST_CHECK;

#endif
