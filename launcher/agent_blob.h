/* SPDX-License-Identifier: MIT */
/* launcher/agent_blob.h - the guest agent's executable, inside our own (agent_blob.S). */
#ifndef LAUNCHER_AGENT_BLOB_H
#define LAUNCHER_AGENT_BLOB_H

#include <stdint.h>

extern const uint8_t sc_agent[];
extern const uint64_t sc_agent_len; /* bytes */
/* Its SHA-256, from the build: the executable itself, 700 KiB, stays untouched at most starts. */
extern const char sc_agent_id[];

#endif
