/* SPDX-License-Identifier: MIT */
/* guest-agent/wire.h - the bytes of the agent protocol: headers and fields. No I/O. */
#ifndef GUEST_AGENT_WIRE_H
#define GUEST_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/agent_protocol.h"
#include "common/util.h"

/* Reading. Bytes may be anything; what is wrong gives -EPROTO and no output. */

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

/* Writing a message of the guest. */
struct wire_message {
	uint8_t buf[sizeof(struct sc_header) + SC_BODY_MAX_GUEST];
	size_t len;
};

void wire_begin(struct wire_message *m, enum sc_message type, uint32_t id);
/* The caller's fields fit into SC_BODY_MAX_GUEST; a string too long for the rest is cut. */
void wire_put_u32(struct wire_message *m, enum sc_field_tag tag, uint32_t v);
void wire_put_str(struct wire_message *m, enum sc_field_tag tag, const char *s);
/* SC_FIELD_STEP; left out if it does not fit. */
void wire_put_step(struct wire_message *m, uint64_t begin, uint64_t end, bool kernel,
		   const char *name);

#endif
