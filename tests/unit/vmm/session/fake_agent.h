/* SPDX-License-Identifier: MIT */
/* tests/unit/vmm/session/fake_agent.h - an agent made of fake sockets, for tests of the session and of stdio. */
#ifndef TESTS_UNIT_VMM_SESSION_FAKE_AGENT_H
#define TESTS_UNIT_VMM_SESSION_FAKE_AGENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/agent_protocol.h"
#include "tests/support/fake_vsock.h"
#include "vmm/config/config.h"
#include "vmm/config/timeline.h"
#include "vmm/session/command.h"
#include "vmm/session/session.h"

/* One session with one command, whose id is 1. Its stdio is near[], the test holds far[]. */
enum { CONTROL, STREAM0, STREAM1, STREAM2, N_SOCKS };

extern struct fake_vsock fv;
extern struct session *session;
extern struct command *command;
extern struct fake_sock socks[N_SOCKS], *all_socks[N_SOCKS];
extern int far[3], near[3];
extern struct command_spec spec; /* of the command */
extern struct timeline timeline; /* of the session */
extern const struct command_ops command_ops; /* count in done_calls; owner: &done_calls */

/* How often the command ended, the session became ready, the session ended. */
extern unsigned int done_calls, ready_calls, session_ends, parked_calls;

/* near[] and far[] are pipes; nothing was said yet. */
void agent_setup(void);
void agent_teardown(void);

/* The parts of agent_setup(), for a test that brings its own stdio. */
void open_pipes(void);
void start_session(void);
void new_session(void); /* start_session() without the vsock device */

void close_far(int i);

/*
 * The command reads all that comes on stdin (the default), or nothing: `unread` is set. Says
 * how much it has read by now; true if that was news.
 */
extern bool unread;
bool say_read(uint32_t total);
bool read_all(void);

/* Both sides until neither has anything to do. */
void settle(void);

void connect_sock(unsigned int i);
void send_bytes(unsigned int i, const void *data, size_t len);
void open_stream(uint32_t number);

/* A message of up to one number and one string; tag 0: none. Not settled. */
void say(uint16_t type, uint32_t id, uint32_t number_tag, uint32_t number, uint32_t text_tag,
	 const char *text);
void say_hello(void);
void start_command(void); /* from HELLO to STARTED */
void exit_command(uint32_t code);

/* The type and first number of the message at `off` of what the agent got; returns its length. */
size_t heard(size_t off, uint16_t *type, uint32_t *number);
/* Where what follows SETUP and EXEC begins. */
size_t skip_opening(void);

void expect_far(int i, const char *text);

#endif
