/* SPDX-License-Identifier: MIT */
/* guest-agent/messages.h - what the host asks for, taken apart and checked. No I/O. */
#ifndef GUEST_AGENT_MESSAGES_H
#define GUEST_AGENT_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/agent_protocol.h"
#include "common/util.h"

enum { SETUP_MAX_MAPS = 256 };

/*
 * DOC: strings of a message
 *
 * Strings arrive without terminator. A parsed message owns one block that
 * holds copies of them all; every char pointer in it points there. A message
 * that is not exactly as protocol.h says gives -EPROTO, and *out is untouched.
 */

struct setup_map {
	struct sc_map map;
	const char *path; /* absolute and plain: no ".", "..", "//" or trailing slash; not "/" */
};

struct setup {
	const char *hostname, *user, *home, *shell;
	uint32_t uid, gid;
	struct sc_network network;
	bool has_network;
	const char *resolv_conf; /* NULL: an empty one */
	uint32_t timeline; /* 1: READY carries what the start was made of */
	struct setup_map maps[SETUP_MAX_MAPS]; /* parents before what lies below them */
	size_t n_maps;
	char *strings;
};

/* -EPROTO, -ENOMEM. */
int setup_parse(const uint8_t *body, size_t len, struct setup *out) MUST_CHECK;
void setup_fini(struct setup *s); /* zeroed is fine */

/* The body of MAP and of UNMAP. *path is malloc'ed, and what out->path points to. */
int map_parse(const uint8_t *body, size_t len, struct setup_map *out, char **path) MUST_CHECK;

/* The body of RESUME. */
struct resume {
	uint8_t entropy[SC_ENTROPY_BYTES];
	uint64_t realtime_ns;
};

int resume_parse(const uint8_t *body, size_t len, struct resume *out) MUST_CHECK;

struct winsize_request {
	uint16_t rows, columns; /* 0 where the host does not know */
};

struct exec_request {
	const char **argv; /* NULL-terminated, at least one */
	const char **env; /* NULL-terminated, K=V each */
	size_t n_env;
	const char *cwd; /* NULL: the home directory */
	const char *user; /* NULL: the invoking user */
	bool tty;
	bool session; /* on the display, in a session made for it */
	struct winsize_request winsize;
	uint64_t limits[SC_LIMITS]; /* 0: none */
	char *strings;
};

/* -EPROTO, -ENOMEM. */
int exec_parse(const uint8_t *body, size_t len, struct exec_request *out) MUST_CHECK;
void exec_fini(struct exec_request *e); /* zeroed is fine */

int signal_parse(const uint8_t *body, size_t len, int *sig) MUST_CHECK;

struct connect_request {
	uint16_t port;
	bool udp; /* else TCP */
};

/* The body of CONNECT. */
int connect_parse(const uint8_t *body, size_t len, struct connect_request *out) MUST_CHECK;
int winsize_parse(const uint8_t *body, size_t len, struct winsize_request *out) MUST_CHECK;

#endif
