/* SPDX-License-Identifier: MIT */
/* vmm/session/agent_wire.h - the host's side of common/agent_protocol.h: bytes to messages and back. Pure. */
#ifndef VMM_SESSION_AGENT_WIRE_H
#define VMM_SESSION_AGENT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/agent_protocol.h"
#include "common/util.h"

struct command_spec;
struct config_map;
struct sandbox_config;

enum { AGENT_TEXT_MAX = 256, AGENT_STEPS_MAX = 48, AGENT_STEP_NAME = 64 };

struct agent_step {
	uint64_t begin, end; /* nanoseconds, as the guest has it */
	bool kernel;
	char name[AGENT_STEP_NAME]; /* cut to fit, printable ASCII */
};

/* What a command used, by the guest's word: struct sc_usage in the host's byte order. */
struct agent_usage {
	uint64_t user_us, system_us, memory;
};

/* A message from the agent, checked. Fields that its type does not have are 0. */
struct agent_message {
	enum sc_message type;
	uint32_t id;
	uint32_t version; /* HELLO */
	uint32_t pid; /* STARTED */
	uint32_t address; /* READY: of the network card, if it has one */
	int error; /* EXEC_FAILED, MAP_FAILED, CONNECT_FAILED: 1 to 4095 */
	int code; /* EXITED by itself: 0 to 255 */
	int signal; /* EXITED by a signal: 1 to 64; else 0 */
	struct agent_usage usage; /* EXITED, if the agent said it */
	struct agent_step steps[AGENT_STEPS_MAX]; /* READY */
	unsigned int n_steps;
	char text[AGENT_TEXT_MAX]; /* KERNEL or TEXT, cut to fit; printable ASCII whatever came */
};

/*
 * Reads one message from the guest's bytes. Returns the bytes it took, 0 when
 * more are needed (never for len >= AGENT_MESSAGE_MAX), or -EPROTO with a
 * string literal in *why; *out is undefined unless the result is positive.
 */
enum { AGENT_MESSAGE_MAX = sizeof(struct sc_header) + SC_BODY_MAX_GUEST };
ssize_t agent_wire_decode(const uint8_t *data, size_t len, struct agent_message *out,
			  const char **why) MUST_CHECK;

/* Messages to the agent, one after the other. Zeroed is empty. */
struct agent_buffer {
	uint8_t *data;
	size_t len, capacity;
};

void agent_buffer_fini(struct agent_buffer *buf);
/* Puts the messages of `more` behind those of buf. -ENOMEM: buf is unchanged. */
int agent_buffer_append(struct agent_buffer *buf, const struct agent_buffer *more) MUST_CHECK;

/*
 * These append one message. -E2BIG: more than SC_BODY_MAX_HOST bytes; -ENOMEM.
 * On failure buf is unchanged.
 */
int agent_wire_park(struct agent_buffer *buf) MUST_CHECK;
/* With new random bytes and the time of the call. */
int agent_wire_resume(struct agent_buffer *buf) MUST_CHECK;
int agent_wire_setup(struct agent_buffer *buf, const struct sandbox_config *cfg) MUST_CHECK;
int agent_wire_exec(struct agent_buffer *buf, const struct command_spec *spec,
		    uint32_t id) MUST_CHECK;
int agent_wire_signal(struct agent_buffer *buf, uint32_t id, uint32_t signo) MUST_CHECK;
int agent_wire_winsize(struct agent_buffer *buf, uint32_t id, uint32_t rows,
		       uint32_t columns) MUST_CHECK;
/* MAP, or UNMAP, of the export "map<index>". */
int agent_wire_map(struct agent_buffer *buf, const struct config_map *map, uint32_t index,
		   bool remove, uint32_t id) MUST_CHECK;
/* CONNECT to the guest's port. */
int agent_wire_connect(struct agent_buffer *buf, uint16_t port, bool udp, uint32_t id) MUST_CHECK;
int agent_wire_graphics_lost(struct agent_buffer *buf) MUST_CHECK;
int agent_wire_shutdown(struct agent_buffer *buf) MUST_CHECK;

#endif
