/* SPDX-License-Identifier: MIT */
/* tests/unit/vmm/control/control_peers.h - the two ends of a control channel, for its tests. */
#ifndef TESTS_UNIT_VMM_CONTROL_CONTROL_PEERS_H
#define TESTS_UNIT_VMM_CONTROL_CONTROL_PEERS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/agent_protocol.h"
#include "devices/fs/fs.h"
#include "tests/support/fake_handles.h"
#include "tests/support/fake_vsock.h"
#include "vmm/confine/confine.h"
#include "vmm/control/control.h"
#include "vmm/session/guest_log.h"
#include "vmm/session/ports.h"
#include "vmm/session/session.h"
#include "vmm/session/shares.h"

/* The control channel between clients made of sockets and an agent made of fake ones. */
enum { AGENT, STREAM0, STREAM1, STREAM2, N_SOCKS };

extern struct fake_vsock fv;
extern struct fake_sock socks[N_SOCKS];
extern struct session *session;
extern struct fs_server *server; /* has "map0" */
extern struct shares *all_shares;
extern struct ports *all_ports;
extern struct control *control;
extern struct guest_log guest_log;
extern struct console console;
extern struct fake_keeper keeper;
extern struct sandbox_config cfg;
extern int client; /* the first */
extern size_t agent_read; /* of what the agent got */

/* What the sandbox was asked for. */
extern uint64_t stop_timeout;
extern unsigned int stops, forced, idles;

extern struct confinement peers_confinement; /* the sandbox's, which tests may change */
extern struct display *peers_display; /* the sandbox's, NULL: none; as the next */
extern uint64_t detach_limit_ms; /* of the shares; to be set before peers_setup() */
extern uint64_t server_limit_ms; /* likewise */
extern struct loop *files_loop; /* likewise: the file server's own; NULL: it has none */

void peers_setup(void);
void peers_teardown(void);

/* All sides until none has anything to do. */
void settle(void);

/* The next message to a client, or NULL. */
json_t *receive(int fd);
/* The next message is that one; compared as text with sorted keys. */
void expect(int fd, const char *text);
void expect_silence(int fd);
void expect_hung_up(int fd);

int new_client(void);
void send_with(int fd, const char *text, const int *fds, size_t n);
void ask(int fd, const char *text);

/* From HELLO to READY. */
void start_agent(void);
void agent_says(uint16_t type, uint32_t id, uint32_t tag, uint32_t number);
/* The agent's next message: its type and id; its body as text in `fields` where one is wanted. */
uint16_t agent_hears(uint32_t *id, char *fields, size_t size);
void open_stream(uint32_t id, uint32_t number);

#endif
