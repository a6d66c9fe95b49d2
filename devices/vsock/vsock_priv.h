/* SPDX-License-Identifier: MIT */
/* devices/vsock/vsock_priv.h - what the queues' half and the connections' half share. */
#ifndef DEVICES_VSOCK_VSOCK_PRIV_H
#define DEVICES_VSOCK_VSOCK_PRIV_H

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "devices/virtio/virtio.h"
#include "devices/vsock/vsock.h"

/*
 * DOC: one round
 *
 * vsock.c owns the queues. A round is: take a bounded number of packets from
 * the transmit queue (conn.c judges each and marks what its connection has to
 * be told), send the control packets that are due, make the callbacks that are
 * due, interrupt the guest once. What exceeds the bound is left to the next
 * turn of the loop, through the device's own eventfd.
 *
 * Nothing that waits for a receive buffer needs memory of its own: a control
 * packet is a flag in its connection, a refusal of an unknown one an entry in a
 * fixed ring, data stays with the service that wants to write it.
 *
 * A connection is `attached` while the guest may send to it; only then is it in
 * the table. It leaves the table when it is reset by either side or the device
 * is, and lives on until its service has read what had arrived.
 */

struct state_reader;
struct state_writer;

enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_N_QUEUES };

enum {
	VSOCK_TABLE_SIZE = 256, /* a power of two */
	VSOCK_MAX_REFUSALS = 128, /* resets to unknown connections that wait for a buffer */
	VSOCK_MAX_PACKET = 64 << 10, /* bytes of data in one packet, either way */
	VSOCK_TURN = 64 << 10, /* bytes a writer may send before the others may */
};

#define VSOCK_SHUTDOWN_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

/* Control packets that a connection owes the guest; sent lowest bit first. */
enum {
	VSOCK_OWES_RESPONSE = 1 << 0,
	VSOCK_OWES_CREDIT = 1 << 1,
	VSOCK_OWES_SHUTDOWN = 1 << 2,
};

/* Callbacks that are due; made lowest bit first. */
enum {
	VSOCK_DUE_READABLE = 1 << 0,
	VSOCK_DUE_STOPPED = 1 << 1,
	VSOCK_DUE_CLOSED = 1 << 2,
};

/* What the guest knows of a connection; plain data. Counters wrap as the protocol's do. */
struct vsock_conn_state {
	uint32_t host_port, guest_port;
	uint32_t guest_buf_alloc, guest_fwd_cnt; /* as last heard from the guest */
	uint32_t sent; /* data bytes to the guest */
	uint32_t fwd_cnt, fwd_cnt_told; /* data bytes read here, and what the guest knows */
	uint32_t guest_shutdown, host_shutdown; /* VIRTIO_VSOCK_SHUTDOWN_* */
};

struct vsock_conn {
	struct vsock_conn_state state;
	struct vsock *vs;
	const struct vsock_conn_ops *ops;
	void *owner;
	bool attached;
	bool wants_credit; /* a write was short for lack of credit */
	bool wants_turn; /* on vs->writers */
	unsigned int owes; /* VSOCK_OWES_*; on vs->owing unless 0 */
	unsigned int due; /* VSOCK_DUE_*; on vs->due unless 0 */
	uint8_t *ring; /* VSOCK_CONN_BUFFER bytes */
	uint32_t head, used; /* the bytes that wait begin at head */
	TAILQ_ENTRY(vsock_conn) all, owing_link, due_link, writers_link;
	LIST_ENTRY(vsock_conn) table_link;
};

TAILQ_HEAD(vsock_conn_queue, vsock_conn);
LIST_HEAD(vsock_conn_bucket, vsock_conn);

struct vsock_listener {
	uint32_t port;
	vsock_accept_fn accept;
	void *owner;
};

/* A reset for a connection that does not exist (any more). */
struct vsock_refusal {
	uint32_t host_port, guest_port;
	uint16_t type;
};

struct vsock {
	struct virtio_device vdev;
	struct virtio_vsock_config config;

	struct device *dev; /* whose lock is ours; set on attach */
	struct device_event again;
	int again_fd; /* eventfd: another round, please */

	struct vsock_listener listeners[VSOCK_MAX_LISTENERS];
	unsigned int n_listeners;

	unsigned int n_conns;
	struct vsock_conn_queue all;
	struct vsock_conn_queue owing, due;
	struct vsock_conn_queue writers; /* want a receive buffer; first come, first served */
	struct vsock_conn_bucket table[VSOCK_TABLE_SIZE];

	struct vsock_conn *turn; /* whose writable() runs; only compared */
	size_t turn_left; /* bytes it may still write */

	struct vsock_refusal refusals[VSOCK_MAX_REFUSALS];
	unsigned int first_refusal, n_refusals;

	struct vsock_conn *loaded; /* of a state; nobody has it until vsock_adopt() */
	bool rx_held; /* rx_chain is a receive buffer not used yet */
	struct virtq_chain rx_chain, tx_chain;
};

/* vsock.c, for conn.c */

/* True if a packet can be sent now: a receive buffer is held. May break the device. */
bool vsock_rx_ready(struct vsock *vs);
/*
 * Puts hdr and as much of the data as fits into the receive buffer that is
 * held, completes hdr->len, and returns the data bytes taken.
 */
size_t vsock_rx_send(struct vsock *vs, struct virtio_vsock_hdr *hdr, const void *data, size_t len);
/* Sends what is owed as far as buffers go; false if some is left. */
bool vsock_flush_owed(struct vsock *vs);
/* A round of work will follow soon. Any thread that holds the lock. */
void vsock_again(struct vsock *vs);

/* conn.c, for vsock.c */

/* Judges one packet; chain holds hdr->len bytes of data after the header. */
void vsock_packet(struct vsock *vs, const struct virtio_vsock_hdr *hdr,
		  const struct virtq_chain *chain);
/* A connection as it was, the guest's already; its ops are set by vsock_conn_accept(). NULL: no memory. */
struct vsock_conn *vsock_conn_restore(struct vsock *vs, const struct vsock_conn_state *state);
/* Asks whom listens on its port. -ENOENT: nobody. */
int vsock_conn_accept(struct vsock_conn *conn) MUST_CHECK;
/* Sends one control packet that conn owes; vsock_rx_ready() was true. */
void vsock_conn_send_owed(struct vsock_conn *conn);
/* The guest has forgotten everything. closed() follows from a round of work. */
void vsock_detach_all(struct vsock *vs);
/* Makes one callback that is due and, after the last one, frees conn. */
void vsock_conn_call(struct vsock_conn *conn);
/* See struct virtio_device_ops. */
void vsock_conns_save(struct vsock *vs, struct state_writer *w);
void vsock_conns_load(struct vsock *vs, struct state_reader *r);
/* Frees without a call. */
void vsock_conn_free(struct vsock_conn *conn);

#endif
