/* SPDX-License-Identifier: MIT */
/* guest-agent/text.h - short strings put together without stdio, which would triple the agent. */
#ifndef GUEST_AGENT_TEXT_H
#define GUEST_AGENT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_MAX = 512 };

/* Always a C string. What does not fit is left out and `cut` says so; zeroed is the empty text. */
struct text {
	char buf[TEXT_MAX];
	size_t len;
	bool cut;
};

void text_add(struct text *t, const char *s);
void text_add_u32(struct text *t, uint32_t v);

/*
 * What failed, for the person on the host: "cannot WHAT OBJECT: reason".
 * `object` may be NULL. Returns err (negative errno), so that a caller can say
 * return text_fail(why, -errno, "mount", "/proc").
 */
int text_fail(struct text *t, int err, const char *what, const char *object);

#endif
