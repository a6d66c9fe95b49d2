/* SPDX-License-Identifier: MIT */
/* tests/stress/agent_host.h - the host's side of an agent that runs as an ordinary process. */
#ifndef TESTS_STRESS_AGENT_HOST_H
#define TESTS_STRESS_AGENT_HOST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include "common/agent_protocol.h"

enum { PATIENCE_MS = 20 * 1000 };

/* A check that fails ends the program with its line. */
#define CHECK(what)                                                                           \
	do {                                                                                  \
		if (!(what)) {                                                                \
			fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, \
				#what, errno);                                                \
			exit(1);                                                              \
		}                                                                             \
	} while (0)

/* An agent, and the host's end of its connections. */
struct host {
	pid_t agent, self;
	int listener[2]; /* control, stream */
	int control;
};

/* A command as the host sees it. */
struct run {
	uint32_t id;
	int stream[3];
};

/* Forks an agent, and takes its control connection. */
void host_start(struct host *h);
/* Waits for its end: 0 after SHUTDOWN, 3 when the host was lost, 4 when it was told nonsense. */
int agent_result(struct host *h);

/* At most PATIENCE_MS. */
void wait_readable(int fd);
/* Reads until the end of file; what comes as a C string. */
void read_text(int fd, char *buf, size_t size);
/* Reads until `what` has come. */
void read_until(int fd, const char *what);

/* A message to the agent. */
struct out {
	uint8_t buf[8192];
	size_t len;
};

void out_begin(struct out *o);
void out_str(struct out *o, uint32_t tag, const char *s);
void out_u32(struct out *o, uint32_t tag, uint32_t v);
void out_send(struct host *h, struct out *o, uint16_t type, uint32_t id);
/* One whose only field is that number. */
void send_u32(struct host *h, uint16_t type, uint32_t id, uint32_t tag, uint32_t v);

/* Messages from the agent: type, and the value of each u32 field, by its tag. */
struct in {
	uint16_t type;
	uint32_t id;
	uint32_t value[SC_FIELD_COLUMNS + 1];
	bool has[SC_FIELD_COLUMNS + 1];
	uint64_t memory; /* of the command that has exited */
	char text[512];
};

struct in in_receive(struct host *h);
struct in expect(struct host *h, uint16_t type, uint32_t id);
void expect_code(struct host *h, uint32_t id, uint32_t code);
void expect_signal(struct host *h, uint32_t id, uint32_t sig);

/* The first n streams of a command that the agent connects. */
void accept_streams(struct host *h, struct run *r, unsigned int n);
/* Starts `sh -c script`, with three pipes or on a terminal. */
struct run run_sh(struct host *h, uint32_t id, const char *script);
struct run run_tty(struct host *h, uint32_t id, const char *script);
void close_run(struct run *r);

#endif
