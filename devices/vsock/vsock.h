/* SPDX-License-Identifier: MIT */
/* devices/vsock/vsock.h - virtio-vsock in user space (VIRTIO 1.2 section 5.10), stream sockets. */
#ifndef DEVICES_VSOCK_VSOCK_H
#define DEVICES_VSOCK_VSOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "devices/virtio/virtio.h"

/*
 * DOC: the host's end of a connection
 *
 * Host-side services live in this process and see connections much as a
 * non-blocking socket: read, write, shutdown, close, and a call when a state
 * changes. Guest-to-host bytes wait in a fixed buffer of VSOCK_CONN_BUFFER
 * bytes a connection, and that is all the credit the guest gets; host-to-guest
 * bytes go straight into the guest's receive buffers, so a write is short when
 * its credit or its buffers are used up.
 *
 * States: REQUEST -> ESTABLISHED -> (peer shut down, we shut down) -> CLOSED.
 * A connection that the guest ended or lost still gives up the bytes that had
 * arrived; closed() is called when they have been read, or at once when the
 * guest broke the rules of flow control.
 *
 * All on the loop thread under the device lock: every callback and every
 * vsock_conn_*() call. Services that act on an event of their own (an fd became
 * readable) run inside vsock_run(), which takes the lock. No callback is made
 * from within a vsock_conn_*() call.
 */

struct vsock; /* the device's host side */
struct vsock_conn; /* one connection; valid until its closed() returned or vsock_conn_close() */

enum {
	VSOCK_HOST_CID = 2,
	VSOCK_GUEST_CID = 3,
	VSOCK_MAX_CONNS = 1024,
	VSOCK_MAX_LISTENERS = 8,
	VSOCK_CONN_BUFFER = 256 * 1024, /* a power of two */
};

struct vsock_conn_ops {
	/* Bytes or the end of the stream are there to vsock_conn_read(); once for each arrival. */
	void (*readable)(struct vsock_conn *conn, void *owner);
	/* After a short vsock_conn_write(): there is room again. */
	void (*writable)(struct vsock_conn *conn, void *owner);
	/*
	 * The peer will read no more (SHUTDOWN with RCV): writes fail with
	 * -EPIPE from now on. Optional.
	 */
	void (*peer_stopped_reading)(struct vsock_conn *conn, void *owner);
	/*
	 * Over: reset by the guest, closed by both sides, or the device was
	 * reset. The last call; conn is gone when it returns and must not be
	 * closed here. Not called after vsock_conn_close().
	 */
	void (*closed)(struct vsock_conn *conn, void *owner);
};

/*
 * A guest connected to a port that is listened on. Call vsock_conn_set_ops()
 * and return 0, or return a negative errno to refuse. conn cannot be written
 * or closed before this has returned.
 */
typedef int (*vsock_accept_fn)(struct vsock_conn *conn, void *owner);

/*
 * The device for the machine, and the handle for services. The handle dies with
 * the device, and the connections then left with it, without a call.
 */
int virtio_vsock_new(struct virtio_device **out_device, struct vsock **out) MUST_CHECK;

/*
 * Guest connections to host port `port` go to `accept`. Before the machine runs,
 * or inside vsock_run(). -EADDRINUSE, -ENOSPC.
 */
int vsock_listen(struct vsock *vs, uint32_t port, vsock_accept_fn accept, void *owner) MUST_CHECK;
/* Connections made so far stay. A port that is not listened on is fine. */
void vsock_unlisten(struct vsock *vs, uint32_t port);

/*
 * The one connection that was there in the state which the device was loaded from goes to whom
 * listens on its port, as one that the guest makes now. -ENOENT: there is none, or
 * nobody listens. Before vCPUs run, and then it has to be called.
 */
int vsock_adopt(struct vsock *vs) MUST_CHECK;

/* The port at the guest's end. */
uint32_t vsock_conn_guest_port(const struct vsock_conn *conn);
void vsock_conn_set_ops(struct vsock_conn *conn, const struct vsock_conn_ops *ops, void *owner);

/* Bytes read; 0 at the end of the stream; -EAGAIN when there are none now. */
ssize_t vsock_conn_read(struct vsock_conn *conn, void *buf, size_t len);
/* Bytes waiting to be read. */
size_t vsock_conn_pending(const struct vsock_conn *conn);
/*
 * Reading in place: the bytes that wait, as at most two pieces, valid until the
 * next call that concerns conn; then how many of them were used up.
 */
unsigned int vsock_conn_peek(const struct vsock_conn *conn, struct iovec iov[2]);
void vsock_conn_consume(struct vsock_conn *conn, size_t len);
/*
 * Bytes taken, fewer than len, and perhaps 0, when credit or buffers ran out or
 * it is other connections' turn (writable() will be called). -EPIPE: the peer
 * reads no more, or we shut our side down.
 */
ssize_t vsock_conn_write(struct vsock_conn *conn, const void *buf, size_t len);
/* We write no more. Idempotent. */
void vsock_conn_shutdown_write(struct vsock_conn *conn);
/* We read no more: what arrives is dropped, the guest's writes get EPIPE. */
void vsock_conn_shutdown_read(struct vsock_conn *conn);
/* Ends it now (RST if it was not finished). conn is invalid afterwards. */
void vsock_conn_close(struct vsock_conn *conn);

/*
 * Runs fn(arg) on the calling (loop) thread with the device lock held, then the
 * callbacks that follow from it. Not from within a callback.
 */
void vsock_run(struct vsock *vs, void (*fn)(void *arg), void *arg);

#endif
