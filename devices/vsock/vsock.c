/* SPDX-License-Identifier: MIT */
#include "devices/vsock/vsock.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "devices/vsock/vsock_priv.h"

/* A packet is at most half of it; Linux sends headers and data of 64 KiB. */
enum { CHAIN_MAX = 2 * VSOCK_MAX_PACKET };

static struct vsock *to_vsock(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct vsock, vdev);
}

void vsock_again(struct vsock *vs)
{
	/* Fails only when the counter is at its maximum, and the event is pending then. */
	(void)!eventfd_write(vs->again_fd, 1);
}

/* The device is broken. */
static void drop_all(struct vsock *vs)
{
	vs->rx_held = false;
	vsock_detach_all(vs);
}

static void break_device(struct vsock *vs, const char *why)
{
	virtio_device_break(&vs->vdev, why);
	drop_all(vs);
}

/*
 * The guest refills its receive buffers all the time; a kick for it is of use
 * only while somebody here waits for one.
 */
bool vsock_rx_ready(struct vsock *vs)
{
	struct virtq *vq = &vs->vdev.queues[VSOCK_RX];
	int r;

	if (vs->rx_held)
		return true;
	r = virtq_pop(vq, &vs->rx_chain);
	if (r == 0) {
		virtq_want_kick(vq, true);
		r = virtq_pop(vq, &vs->rx_chain);
	}
	if (r < 0) {
		break_device(vs, "receive ring");
		return false;
	}
	if (r == 0)
		return false;
	virtq_want_kick(vq, false);
	if (vs->rx_chain.wr_len <= sizeof(struct virtio_vsock_hdr)) {
		break_device(vs, "receive buffer without room for data");
		return false;
	}
	vs->rx_held = true;
	return true;
}

size_t vsock_rx_send(struct vsock *vs, struct virtio_vsock_hdr *hdr, const void *data, size_t len)
{
	const struct virtq_chain *chain = &vs->rx_chain;

	assert(vs->rx_held);
	len = min_size(min_size(len, VSOCK_MAX_PACKET), chain->wr_len - sizeof(*hdr));
	hdr->len = htole32((uint32_t)len);
	chain_write(chain, 0, hdr, sizeof(*hdr));
	chain_write(chain, sizeof(*hdr), data, len);
	virtq_push(&vs->vdev.queues[VSOCK_RX], chain->head, (uint32_t)(sizeof(*hdr) + len));
	vs->rx_held = false;
	return len;
}

static void send_refusal(struct vsock *vs)
{
	const struct vsock_refusal *ref = &vs->refusals[vs->first_refusal];
	struct virtio_vsock_hdr hdr = {
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(VSOCK_GUEST_CID),
		.src_port = htole32(ref->host_port),
		.dst_port = htole32(ref->guest_port),
		.type = htole16(ref->type),
		.op = htole16(VIRTIO_VSOCK_OP_RST),
	};

	vs->first_refusal = (vs->first_refusal + 1) % VSOCK_MAX_REFUSALS;
	vs->n_refusals--;
	(void)vsock_rx_send(vs, &hdr, NULL, 0);
}

bool vsock_flush_owed(struct vsock *vs)
{
	while (vs->n_refusals > 0) {
		if (!vsock_rx_ready(vs))
			return false;
		send_refusal(vs);
	}
	while (!TAILQ_EMPTY(&vs->owing)) {
		if (!vsock_rx_ready(vs))
			return false;
		vsock_conn_send_owed(TAILQ_FIRST(&vs->owing));
	}
	return true;
}

/* Takes the packet of vs->tx_chain. A driver that cannot be talked to breaks the device. */
static bool take_packet(struct virtio_device *vdev, unsigned int q)
{
	struct vsock *vs = to_vsock(vdev);
	const struct virtq_chain *chain = &vs->tx_chain;
	struct virtio_vsock_hdr hdr;

	if (chain_read(chain, 0, &hdr, sizeof(hdr)) != sizeof(hdr)) {
		break_device(vs, "packet shorter than its header");
		return false;
	}
	if (le32toh(hdr.len) > chain->rd_len - sizeof(hdr)) {
		break_device(vs, "packet shorter than its length");
		return false;
	}
	/* A device carries its own guest's packets, and only to the host (5.10.6.4). */
	if (le64toh(hdr.src_cid) == VSOCK_GUEST_CID && le64toh(hdr.dst_cid) == VSOCK_HOST_CID)
		vsock_packet(vs, &hdr, chain);
	virtq_push(&vdev->queues[q], chain->head, 0);
	return true;
}

/* True if the ring was found empty. */
static bool serve_tx(struct vsock *vs)
{
	bool empty = virtio_device_serve(&vs->vdev, VSOCK_TX, &vs->tx_chain, take_packet);

	if (vs->vdev.broken)
		drop_all(vs);
	return empty;
}

static void take_packets(struct vsock *vs)
{
	struct virtq *vq = &vs->vdev.queues[VSOCK_TX];

	virtq_want_kick(vq, false);
	if (!serve_tx(vs))
		return;
	/* A packet may have come in between. */
	virtq_want_kick(vq, true);
	(void)serve_tx(vs);
}

/* Lets the writer that has waited longest fill the buffers that are there. */
static void serve_writer(struct vsock *vs)
{
	struct vsock_conn *conn = TAILQ_FIRST(&vs->writers);

	TAILQ_REMOVE(&vs->writers, conn, writers_link);
	conn->wants_turn = false;
	vs->turn = conn;
	vs->turn_left = VSOCK_TURN;
	conn->ops->writable(conn, conn->owner);
	vs->turn = NULL;
}

/* What is owed and what is due. Each callback may change everything, so each look is fresh. */
static void settle(struct vsock *vs)
{
	struct virtio_budget budget;
	bool called;

	virtio_budget_start(&budget);
	do {
		bool may_write = vsock_flush_owed(vs);

		called = true;
		if (!TAILQ_EMPTY(&vs->due))
			vsock_conn_call(TAILQ_FIRST(&vs->due));
		else if (may_write && !TAILQ_EMPTY(&vs->writers) && vsock_rx_ready(vs))
			serve_writer(vs);
		else
			called = false;
	} while (called && virtio_budget_left(&budget, &vs->vdev));
	if (called)
		vsock_again(vs);
	virtio_device_flush(&vs->vdev, VSOCK_TX);
	virtio_device_flush(&vs->vdev, VSOCK_RX);
}

static void again_event(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct vsock *vs = CONTAINER_OF(ev, struct vsock, again);
	eventfd_t n;

	(void)dev;
	(void)events;
	(void)!eventfd_read(vs->again_fd, &n);
	if (vs->vdev.queues[VSOCK_TX].ready)
		take_packets(vs);
	settle(vs);
}

void vsock_run(struct vsock *vs, void (*fn)(void *arg), void *arg)
{
	/* A machine that was only half built has no driver, and no lock to take. */
	if (!vs->dev) {
		fn(arg);
		return;
	}
	pthread_mutex_lock(&vs->dev->lock);
	fn(arg);
	settle(vs);
	pthread_mutex_unlock(&vs->dev->lock);
}

int vsock_listen(struct vsock *vs, uint32_t port, vsock_accept_fn accept, void *owner)
{
	for (unsigned int i = 0; i < vs->n_listeners; i++)
		if (vs->listeners[i].port == port)
			return -EADDRINUSE;
	if (vs->n_listeners == VSOCK_MAX_LISTENERS)
		return -ENOSPC;
	vs->listeners[vs->n_listeners++] = (struct vsock_listener){port, accept, owner};
	return 0;
}

void vsock_unlisten(struct vsock *vs, uint32_t port)
{
	for (unsigned int i = 0; i < vs->n_listeners; i++) {
		if (vs->listeners[i].port != port)
			continue;
		vs->listeners[i] = vs->listeners[--vs->n_listeners];
		return;
	}
}

static int vsock_attach(struct virtio_device *vdev, struct device *dev, struct loop *loop)
{
	struct vsock *vs = to_vsock(vdev);

	vs->dev = dev;
	return device_watch(dev, loop, &vs->again, vs->again_fd, EPOLLIN, again_event,
			    "vsock-again");
}

static void vsock_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	struct vsock *vs = to_vsock(vdev);

	/* Events are for guests that were moved (5.10.6.7): those buffers wait. */
	if (q == VSOCK_EVENT)
		return;
	if (q == VSOCK_TX)
		take_packets(vs);
	settle(vs);
}

static void vsock_reset(struct virtio_device *vdev)
{
	struct vsock *vs = to_vsock(vdev);

	vs->rx_held = false;
	vs->n_refusals = 0;
	vsock_detach_all(vs);
}

static void vsock_save(struct virtio_device *vdev, struct state_writer *w)
{
	struct vsock *vs = to_vsock(vdev);

	if (vs->rx_held)
		virtq_unpop(&vdev->queues[VSOCK_RX]);
	vs->rx_held = false;
	vsock_conns_save(vs, w);
}

static void vsock_load(struct virtio_device *vdev, struct state_reader *r)
{
	vsock_conns_load(to_vsock(vdev), r);
}

static void vsock_destroy(struct virtio_device *vdev)
{
	struct vsock *vs = to_vsock(vdev);

	while (!TAILQ_EMPTY(&vs->all))
		vsock_conn_free(TAILQ_FIRST(&vs->all));
	device_unwatch(&vs->again);
	if (vs->again_fd >= 0)
		close(vs->again_fd);
	free(vs);
}

static const struct virtio_device_ops vsock_ops = {
	.name = "virtio-vsock",
	.type = VIRTIO_ID_VSOCK,
	.n_queues = VSOCK_N_QUEUES,
	.queue_max = {[VSOCK_RX] = 256, [VSOCK_TX] = 256, [VSOCK_EVENT] = 16},
	.chain_max = {[VSOCK_RX] = CHAIN_MAX, [VSOCK_TX] = CHAIN_MAX},
	.attach = vsock_attach,
	.queue_kick = vsock_queue_kick,
	.reset = vsock_reset,
	.save = vsock_save,
	.load = vsock_load,
	.destroy = vsock_destroy,
};

int virtio_vsock_new(struct virtio_device **out_device, struct vsock **out)
{
	struct vsock *vs = calloc(1, sizeof(*vs));
	int r;

	if (!vs)
		return -ENOMEM;
	TAILQ_INIT(&vs->all);
	TAILQ_INIT(&vs->owing);
	TAILQ_INIT(&vs->due);
	TAILQ_INIT(&vs->writers);
	vs->config.guest_cid = htole64(VSOCK_GUEST_CID);
	virtio_device_init(&vs->vdev, &vsock_ops, &vs->config, sizeof(vs->config));
	vs->again_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vs->again_fd < 0) {
		r = -errno;
		vsock_destroy(&vs->vdev);
		return r;
	}
	*out_device = &vs->vdev;
	*out = vs;
	return 0;
}
