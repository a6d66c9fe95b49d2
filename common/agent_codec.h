/* SPDX-License-Identifier: MIT */
/* common/agent_codec.h - reads the bytes of the agent protocol (agent_protocol.h), for either end. No I/O. */
#ifndef COMMON_AGENT_CODEC_H
#define COMMON_AGENT_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "common/agent_protocol.h"
#include "common/util.h"

/*
 * The bytes come from the other end and may be anything; what is wrong gives -EPROTO and no output.
 * Which messages and fields there may be is for the caller to say.
 */

/* `raw` holds sizeof(struct sc_header) bytes. A body longer than max_body is refused. */
int wire_header(const uint8_t *raw, uint32_t max_body, struct sc_header *out) MUST_CHECK;

/* One field of a body; `data` points into it. */
struct wire_field {
	uint32_t tag;
	uint32_t length;
	const uint8_t *data;
};

struct wire_reader {
	const uint8_t *next;
	size_t left;
};

/* 1: *out filled. 0: the body ended. -EPROTO: a field is longer than what is left. */
int wire_next(struct wire_reader *r, struct wire_field *out) MUST_CHECK;
int wire_u32(const struct wire_field *f, uint32_t *out) MUST_CHECK;
/* Checks that the field is a string without NUL. */
int wire_str(const struct wire_field *f) MUST_CHECK;

#endif
