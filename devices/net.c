/* SPDX-License-Identifier: MIT */
#include "devices/net.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

enum {
	Q_RX,
	Q_TX,
	N_QUEUES,

	HEADER = sizeof(struct virtio_net_hdr_v1),
	FRAME_MIN = 14,
	REPORTS = 64, /* taken in one turn of the loop */
};

struct net_device {
	struct virtio_device vdev;
	struct virtio_net_config config;
	struct net_figures figures;
	struct device *dev; /* whose lock figures are read with; set on attach, with loop */
	struct loop *loop;
	void (*unplugged)(void *owner); /* NULL: nobody is told */
	void *owner;

	struct device_event cable; /* its fd is ours; -1: it is gone */
	uint32_t wanted; /* the EPOLL mask it is watched with */

	bool tx_held; /* tx is a frame that the cable had no room for */
	bool rx_held; /* rx waits for a frame */
	struct virtq_chain tx, rx;
};

static struct net_device *to_net(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct net_device, vdev);
}

/* Loop thread. A cable that is gone is not watched any more. */
static void watch(struct net_device *n, uint32_t events)
{
	if (n->cable.src.loop && events != n->wanted && loop_modify(&n->cable.src, events) == 0)
		n->wanted = events;
}

static void pull_cable(struct net_device *n)
{
	device_unwatch(&n->cable);
	if (n->cable.src.fd < 0)
		return;
	close(n->cable.src.fd);
	n->cable.src.fd = -1;
	n->config.status = 0;
	n->figures.up = false;
	virtio_device_config_changed(&n->vdev);
	if (n->unplugged)
		n->unplugged(n->owner);
}

/* The checksum's place lies in the frame, and the guest was told that it may ask for one. */
static bool csum_valid(const struct net_device *n, const struct virtio_net_hdr_v1 *h, size_t frame)
{
	const size_t start = le16toh(h->csum_start), offset = le16toh(h->csum_offset);

	return virtio_has(&n->vdev, VIRTIO_NET_F_CSUM) && start >= FRAME_MIN &&
	       start + offset + 2 <= frame;
}

static bool gso_valid(const struct net_device *n, const struct virtio_net_hdr_v1 *h, size_t frame)
{
	const uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	const bool ecn = (h->gso_type & VIRTIO_NET_HDR_GSO_ECN) != 0;

	if (type == VIRTIO_NET_HDR_GSO_NONE)
		return !ecn;
	if (type == VIRTIO_NET_HDR_GSO_TCPV4 && !virtio_has(&n->vdev, VIRTIO_NET_F_HOST_TSO4))
		return false;
	if (type == VIRTIO_NET_HDR_GSO_TCPV6 && !virtio_has(&n->vdev, VIRTIO_NET_F_HOST_TSO6))
		return false;
	if (type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6)
		return false;
	if (ecn && !virtio_has(&n->vdev, VIRTIO_NET_F_HOST_ECN))
		return false;
	/* Segments are cut where the checksum begins, so there has to be one (5.1.6.2.1). */
	return (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && le16toh(h->gso_size) > 0 &&
	       le16toh(h->gso_size) <= frame && le16toh(h->hdr_len) <= frame;
}

/* Reads the header of the frame in n->tx, once. False: it is none. */
static bool take_header(const struct net_device *n, struct virtio_net_hdr_v1 *h)
{
	size_t frame;

	if (n->tx.n_wr > 0 || chain_read(&n->tx, 0, h, HEADER) < HEADER)
		return false;
	frame = n->tx.rd_len - HEADER;
	if (frame < FRAME_MIN || frame > NET_MAX_FRAME)
		return false;
	if (h->flags & ~(uint8_t)VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return false;
	if ((h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !csum_valid(n, h, frame))
		return false;
	h->num_buffers = 0;
	return gso_valid(n, h, frame);
}

/* Sends the frame in n->tx. False: there is no room for it now. */
static bool send_frame(struct net_device *n)
{
	struct virtio_net_hdr_v1 h;
	struct iovec iov[1 + VIRTQ_MAX_SEGS] = {{.iov_base = &h, .iov_len = HEADER}};
	unsigned int n_iov;
	ssize_t r;

	if (!take_header(n, &h)) {
		n->figures.tx_refused++;
		return true;
	}
	n_iov = chain_iov_rd(&n->tx, HEADER, SIZE_MAX, iov + 1, VIRTQ_MAX_SEGS);
	r = n->cable.src.loop ? writev(n->cable.src.fd, iov, (int)n_iov + 1) : 0;
	if (r < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
		return false;
	if (r < 0 && (errno == EPIPE || errno == ECONNRESET || errno == EBADFD))
		pull_cable(n);
	if (r > 0) {
		n->figures.tx_frames++;
		n->figures.tx_bytes += (uint64_t)r - HEADER;
	}
	return true;
}

/* False: the cable has no room, and doorbells are of no use until it has. */
static bool serve_tx(struct virtio_device *vdev, unsigned int q)
{
	struct net_device *n = to_net(vdev);

	n->tx_held = !send_frame(n);
	if (n->tx_held) {
		virtq_want_kick(&vdev->queues[q], false);
		watch(n, n->wanted | EPOLLOUT);
		return false;
	}
	virtq_push(&vdev->queues[q], n->tx.head, 0);
	return true;
}

static void tx_kick(struct net_device *n)
{
	if (n->tx_held && !serve_tx(&n->vdev, Q_TX))
		return;
	virtq_want_kick(&n->vdev.queues[Q_TX], true);
	(void)virtio_device_serve(&n->vdev, Q_TX, &n->tx, serve_tx);
}

/* The header as the guest may have it: what it did not negotiate is not in it. */
static void give_header(struct net_device *n, struct virtio_net_hdr_v1 *h)
{
	const uint8_t valid =
		virtio_has(&n->vdev, VIRTIO_NET_F_GUEST_CSUM) ? VIRTIO_NET_HDR_F_DATA_VALID : 0;

	*h = (struct virtio_net_hdr_v1){.flags = h->flags & valid, .num_buffers = htole16(1)};
	chain_write(&n->rx, 0, h, HEADER);
}

/* One message: its header into *h, the rest into the buffers of n->rx. As readv(). */
static ssize_t receive_message(const struct net_device *n, struct virtio_net_hdr_v1 *h)
{
	struct iovec iov[2 + VIRTQ_MAX_SEGS] = {{.iov_base = h, .iov_len = HEADER}};
	unsigned int n_iov = chain_iov_wr(&n->rx, HEADER, SIZE_MAX, iov + 1, VIRTQ_MAX_SEGS);
	uint8_t beyond; /* tells a frame that does not fit */

	iov[1 + n_iov] = (struct iovec){.iov_base = &beyond, .iov_len = 1};
	return readv(n->cable.src.fd, iov, (int)n_iov + 2);
}

/* Reads one frame into the buffers of n->rx; 1, 0 if there is none, -errno if never again. */
static int receive_frame(struct net_device *n)
{
	struct virtio_net_hdr_v1 h;
	const size_t room = n->rx.wr_len > HEADER ? n->rx.wr_len - HEADER : 0;
	ssize_t got = NET_REPORT;

	/*
	 * A report is shorter than a header, so nothing of it came into the guest's memory. After
	 * many in a row the loop comes by again: whoever took the process over may send no end of them.
	 */
	for (unsigned int i = 0; got == NET_REPORT; i++) {
		if (i == REPORTS)
			return 0;
		got = receive_message(n, &h);
		if (got == NET_REPORT)
			memcpy(&n->figures.filtered, &h, NET_REPORT);
	}
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (got == 0)
		return -EPIPE;
	if ((size_t)got < HEADER + FRAME_MIN || (size_t)got > HEADER + room) {
		n->figures.rx_dropped++;
		virtq_push(&n->vdev.queues[Q_RX], n->rx.head, 0);
		return 1;
	}
	give_header(n, &h);
	virtq_push(&n->vdev.queues[Q_RX], n->rx.head, (uint32_t)got);
	n->figures.rx_frames++;
	n->figures.rx_bytes += (uint64_t)got - HEADER;
	return 1;
}

/* False: a buffer waits for a frame, or there is no cable any more. */
static bool serve_rx(struct virtio_device *vdev, unsigned int q)
{
	struct net_device *n = to_net(vdev);
	int r = receive_frame(n);

	(void)q;
	n->rx_held = r <= 0;
	if (r < 0)
		pull_cable(n);
	return r > 0;
}

/* Gives the guest what the cable has, as long as both sides have something for it. */
static void rx_kick(struct net_device *n)
{
	bool empty = false;

	if (!n->cable.src.loop)
		return;
	if (!n->rx_held || serve_rx(&n->vdev, Q_RX))
		empty = virtio_device_serve(&n->vdev, Q_RX, &n->rx, serve_rx);
	/* Frames wait in the cable until the guest has buffers, and says so. */
	watch(n, empty ? n->wanted & ~(uint32_t)EPOLLIN : n->wanted | EPOLLIN);
}

static void cable_event(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct net_device *n = CONTAINER_OF(ev, struct net_device, cable);

	(void)dev;
	if ((events & (EPOLLHUP | EPOLLERR)) && !(events & EPOLLIN)) {
		pull_cable(n);
		return;
	}
	if (!n->vdev.active || n->vdev.broken) {
		/* A driver that comes kicks its queues, which watches again. */
		watch(n, 0);
		return;
	}
	if (events & EPOLLOUT) {
		watch(n, n->wanted & ~(uint32_t)EPOLLOUT);
		tx_kick(n);
	}
	if (events & EPOLLIN)
		rx_kick(n);
}

static int net_attach(struct virtio_device *vdev, struct device *dev, struct loop *loop)
{
	struct net_device *n = to_net(vdev);

	n->dev = dev;
	n->loop = loop;
	n->wanted = EPOLLIN;
	return device_watch(dev, loop, &n->cable, n->cable.src.fd, n->wanted, cable_event, "net");
}

static void net_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	if (q == Q_RX)
		rx_kick(to_net(vdev));
	else
		tx_kick(to_net(vdev));
}

static void net_reset(struct virtio_device *vdev)
{
	struct net_device *n = to_net(vdev);

	n->tx_held = false;
	n->rx_held = false;
}

static void net_destroy(struct virtio_device *vdev)
{
	struct net_device *n = to_net(vdev);

	device_unwatch(&n->cable);
	if (n->cable.src.fd >= 0)
		close(n->cable.src.fd);
	free(n);
}

/*
 * No MRG_RXBUF: nothing longer than the MTU comes, and without it and the
 * GUEST_TSOs Linux posts buffers of just that.
 */
static const struct virtio_device_ops net_device_ops = {
	.name = "virtio-net",
	.type = VIRTIO_ID_NET,
	.n_queues = N_QUEUES,
	.queue_max = {256, 256},
	.chain_max = {0, HEADER + NET_MAX_FRAME},
	.features = 1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_MTU |
		    1ull << VIRTIO_NET_F_STATUS | 1ull << VIRTIO_NET_F_CSUM |
		    1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_HOST_TSO4 |
		    1ull << VIRTIO_NET_F_HOST_TSO6 | 1ull << VIRTIO_NET_F_HOST_ECN,
	.attach = net_attach,
	.queue_kick = net_queue_kick,
	.reset = net_reset,
	.destroy = net_destroy,
};

static int make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int virtio_net_new(const uint8_t mac[6], int cable, struct virtio_device **out_device,
		   struct net_device **out)
{
	struct net_device *n = calloc(1, sizeof(*n));
	int r = n ? make_nonblocking(cable) : -ENOMEM;

	if (r < 0) {
		free(n);
		close(cable);
		return r;
	}
	virtio_device_init(&n->vdev, &net_device_ops, &n->config, sizeof(n->config));
	memcpy(n->config.mac, mac, sizeof(n->config.mac));
	n->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	n->config.mtu = htole16(NET_MTU);
	n->cable.src.fd = cable;
	n->figures.up = true;
	*out_device = &n->vdev;
	*out = n;
	return 0;
}

void net_device_on_unplug(struct net_device *n, void (*unplugged)(void *owner), void *owner)
{
	n->unplugged = unplugged;
	n->owner = owner;
}

/* With the lock. */
static int plug(struct net_device *n, int cable)
{
	int r = n->cable.src.fd >= 0 ? -EBUSY : make_nonblocking(cable);

	if (r == 0) {
		n->wanted = EPOLLIN;
		r = device_watch(n->dev, n->loop, &n->cable, cable, n->wanted, cable_event, "net");
	}
	if (r < 0)
		return r;
	n->cable.src.fd = cable;
	n->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	n->figures.up = true;
	n->figures.filtered = 0;
	n->figures.plugs++;
	virtio_device_config_changed(&n->vdev);
	/* A frame may wait that the old one had no room for. */
	if (n->vdev.active && !n->vdev.broken) {
		tx_kick(n);
		rx_kick(n);
	}
	return 0;
}

int net_device_plug(struct net_device *n, int cable)
{
	int r;

	pthread_mutex_lock(&n->dev->lock);
	r = plug(n, cable);
	pthread_mutex_unlock(&n->dev->lock);
	if (r < 0)
		close(cable);
	return r;
}

void net_device_figures(struct net_device *n, struct net_figures *out)
{
	pthread_mutex_lock(&n->dev->lock);
	*out = n->figures;
	pthread_mutex_unlock(&n->dev->lock);
}
