/* SPDX-License-Identifier: MIT */
/* tests/support/fake_vsock.h - a guest's vsock driver and sockets, over fake_guest. */
#ifndef TESTS_SUPPORT_FAKE_VSOCK_H
#define TESTS_SUPPORT_FAKE_VSOCK_H

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/vsock/vsock.h"
#include "tests/support/fake_guest.h"

enum {
	FAKE_VSOCK_RX,
	FAKE_VSOCK_TX,
	FAKE_VSOCK_RX_BUFFERS = 64,
	FAKE_VSOCK_RX_DATA = 4096,
	FAKE_VSOCK_TX_SLOTS = 16,
	FAKE_VSOCK_TX_DATA = 64 << 10,
	FAKE_SOCK_BUFFER = 256 << 10,
};

struct fake_vsock {
	struct fake_guest *g;
	struct vsock *vs;
	gpa_t rx[VIRTQ_MAX_SIZE]; /* the buffer of each head that is in flight */
	gpa_t spare[FAKE_VSOCK_RX_BUFFERS];
	unsigned int n_spare;
	gpa_t tx[FAKE_VSOCK_TX_SLOTS];
	unsigned int next_tx;
	bool quiet; /* packets and reposted buffers are published without a kick */
};

/* A packet as the driver sees it, in host byte order where the name says so. */
struct fake_packet {
	uint32_t host_port, guest_port, flags, buf_alloc, fwd_cnt, len;
	uint16_t op, type;
	uint8_t data[FAKE_VSOCK_RX_DATA];
};

/* A device with all receive buffers posted, or (post false) none. */
void fake_vsock_init(struct fake_vsock *fv, bool post);
void fake_vsock_fini(struct fake_vsock *fv);
/* After a device reset: rings and buffers anew. */
void fake_vsock_restart(struct fake_vsock *fv);

/* Gives the device up to n receive buffers, and kicks. */
void fake_vsock_post(struct fake_vsock *fv, unsigned int n);
/* The header the driver's next packet would have; 16 and 32 bit fields are to be changed at will. */
struct virtio_vsock_hdr fake_vsock_hdr(uint32_t host_port, uint32_t guest_port, uint16_t op);
/*
 * Publishes hdr and len bytes (hdr->len is left as it is), kicks unless quiet. When all slots are
 * in flight it has the device work first; one that takes nothing any more gets nothing.
 */
void fake_vsock_send(struct fake_vsock *fv, const struct virtio_vsock_hdr *hdr, const void *data,
		     uint32_t len);
/* The next packet from the host; its buffer becomes spare. False if there is none. */
bool fake_vsock_receive(struct fake_vsock *fv, struct fake_packet *p);

/* An honest guest socket. */
struct fake_sock {
	uint32_t host_port, guest_port;
	bool connected, reset, finished; /* finished: the host writes no more */
	bool host_stopped; /* the host reads no more */
	bool lazy; /* the program does not read */
	bool closed; /* we shut both sides down */
	uint32_t sent, host_alloc, host_fwd;
	uint32_t received, fwd_cnt, fwd_told;
	uint64_t total; /* bytes that arrived */
	bool corrupt; /* they were not those of fake_pattern() */
	uint8_t first[4096]; /* the first of them */
};

enum { FAKE_PATTERN_RUN = 64 << 10 };

/* FAKE_PATTERN_RUN bytes of an endless pattern, from byte pos of it. */
const uint8_t *fake_pattern(uint64_t pos);

void fake_sock_connect(struct fake_vsock *fv, struct fake_sock *s, uint32_t host_port,
		       uint32_t guest_port);
/* Bytes sent within the host's credit and FAKE_VSOCK_TX_DATA. */
uint32_t fake_sock_write(struct fake_vsock *fv, struct fake_sock *s, const void *data,
			 uint32_t len);
void fake_sock_shutdown(struct fake_vsock *fv, struct fake_sock *s, uint32_t flags);
/* Delivers all packets to their sockets (others are dropped), reposts buffers. True if any came or went. */
bool fake_sock_poll(struct fake_vsock *fv, struct fake_sock *const *socks, unsigned int n);

#endif
