/* SPDX-License-Identifier: MIT */
/*
 * common/control_protocol.h - the numbers and words of the control channel, which
 * docs/control.md describes. Shared by the sandbox and its clients.
 */
#ifndef COMMON_CONTROL_PROTOCOL_H
#define COMMON_CONTROL_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

enum {
	CONTROL_PROTOCOL = 1,
	CONTROL_MESSAGE_MAX = 128 * 1024, /* bytes of JSON in a packet */
	CONTROL_FILE_MAX = 2 * 1024 * 1024, /* of a request that comes as a file */
	CONTROL_MAX_FDS = 4, /* that come with a request, its own file not counted */
	CONTROL_MAX_CLIENTS = 256,
	CONTROL_MAX_COMMANDS = 256,
	CONTROL_MAX_INPUT = 1024, /* events of one "input" */
	CONTROL_QUEUE_MAX = 256 * 1024, /* bytes that may wait for a client to read them */
};

/* Request ids are exact in every JSON library. */
#define CONTROL_MAX_ID ((1ll << 53) - 1)

/* The packet whose first descriptor is the request: JSON that is longer than a packet. */
#define CONTROL_FILE_PACKET "{\"type\":\"file\"}"
/* What has to be true for ever of a request's file. */
#define CONTROL_FILE_SEALS (F_SEAL_WRITE | F_SEAL_SHRINK)

/* The socket in a sandbox's folder. */
#define CONTROL_SOCKET "control"

/* The values of "error". */
#define CONTROL_E_BAD_REQUEST "bad-request"
#define CONTROL_E_UNKNOWN_OP  "unknown-op"
#define CONTROL_E_NO_COMMAND  "no-such-command"
#define CONTROL_E_NO_SHARE    "no-such-share"
#define CONTROL_E_NO_PORT     "no-such-port"
#define CONTROL_E_NO_DISPLAY  "no-display"
#define CONTROL_E_NO_PICTURE  "no-picture"
#define CONTROL_E_TAKEN	      "taken"
#define CONTROL_E_EXEC_FAILED "exec-failed"
#define CONTROL_E_TOO_LARGE   "too-large"
#define CONTROL_E_BUSY	      "busy"
#define CONTROL_E_STOPPING    "stopping"
#define CONTROL_E_FAILED      "failed"

#endif
