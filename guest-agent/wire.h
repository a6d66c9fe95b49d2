/* SPDX-License-Identifier: MIT */
/* guest-agent/wire.h - writes messages of the guest; common/agent_codec.h reads those of the host. No I/O. */
#ifndef GUEST_AGENT_WIRE_H
#define GUEST_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include "common/agent_codec.h"

/* A message of the guest that is being written. */
struct wire_message {
	uint8_t buf[sizeof(struct sc_header) + SC_BODY_MAX_GUEST];
	size_t len;
};

void wire_begin(struct wire_message *m, enum sc_message type, uint32_t id);
/* The caller's fields fit into SC_BODY_MAX_GUEST; a string too long for the rest is cut. */
void wire_put_u32(struct wire_message *m, enum sc_field_tag tag, uint32_t v);
void wire_put_usage(struct wire_message *m, const struct rusage *usage);
void wire_put_str(struct wire_message *m, enum sc_field_tag tag, const char *s);
/* SC_FIELD_STEP; left out if it does not fit. */
void wire_put_step(struct wire_message *m, uint64_t begin, uint64_t end, bool kernel,
		   const char *name);

#endif
