/* SPDX-License-Identifier: MIT */
/* tests/unit/devices/vsock/service.h - a device with a service that a test's guest speaks with. */
#ifndef TESTS_UNIT_VSOCK_SERVICE_H
#define TESTS_UNIT_VSOCK_SERVICE_H

#include <stdbool.h>

#include "tests/support/fake_vsock.h"

enum { PORT = 77, GUEST_PORT = 5000, HDR = sizeof(struct virtio_vsock_hdr) };

/* A service that counts its calls and, if asked to, echoes or reads. */
struct service {
	struct vsock_conn *conn; /* the last one accepted, NULL once closed */
	unsigned int accepted, readable, writable, stopped, closed;
	int refuse;
	bool drain; /* read all in readable() */
	size_t to_write, written; /* pattern bytes to send from writable() */
	uint64_t drained;
	bool corrupt;
};

extern struct fake_vsock fv;
extern struct service svc; /* listens on PORT */
extern struct fake_packet pkt; /* the last one that the guest received */
extern uint8_t big[VSOCK_CONN_BUFFER];

/* post: the guest has given its receive buffers. */
void start_vsock(bool post);
/* Of a TestSuite. */
void start_with_buffers(void);
void stop_vsock(void);

/* What services are called with; owner: a struct service. */
int on_accept(struct vsock_conn *conn, void *owner);
void on_readable(struct vsock_conn *conn, void *owner);
/* Writes as much of the pattern as arg, a struct service, has to and the guest takes. */
void push_pattern(void *arg);

/* The guest sends. */
void send_op(uint32_t guest_port, uint16_t op, uint32_t flags);
void send_data(uint32_t guest_port, const void *data, uint32_t len);
/* The guest has received this, or nothing. */
void expect(uint32_t guest_port, uint16_t op);
void expect_silence(void);
void connect_to(uint32_t guest_port);

#endif
