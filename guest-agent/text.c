/* SPDX-License-Identifier: MIT */
#include "guest-agent/text.h"

#include <string.h>

void text_add(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if (n >= sizeof(t->buf) - t->len) {
		n = sizeof(t->buf) - t->len - 1;
		t->cut = true;
	}
	memcpy(t->buf + t->len, s, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

void text_add_u32(struct text *t, uint32_t v)
{
	char digits[11];
	char *p = digits + sizeof(digits) - 1;

	*p = '\0';
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	text_add(t, p);
}

int text_fail(struct text *t, int err, const char *what, const char *object)
{
	const char *reason = strerrordesc_np(-err);

	*t = (struct text){.len = 0};
	text_add(t, "cannot ");
	text_add(t, what);
	if (object) {
		text_add(t, " ");
		text_add(t, object);
	}
	text_add(t, ": ");
	text_add(t, reason ? reason : "unknown error");
	return err;
}
