/* SPDX-License-Identifier: MIT */
/* common/buffer.h - bytes that grow. */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <errno.h>
#include <string.h>

#include "common/util.h"

/* Zeroed is empty. The owner frees data. */
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

#endif
