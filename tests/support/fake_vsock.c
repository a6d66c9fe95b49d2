/* SPDX-License-Identifier: MIT */
#include "tests/support/fake_vsock.h"

#include <endian.h>
#include <linux/virtio_ring.h>
#include <string.h>

enum { HDR = sizeof(struct virtio_vsock_hdr) };

static void lay_out(struct fake_vsock *fv)
{
	fv->n_spare = 0;
	fv->next_tx = 0;
	for (unsigned int i = 0; i < FAKE_VSOCK_RX_BUFFERS; i++)
		fv->spare[fv->n_spare++] = fake_alloc(fv->g, HDR + FAKE_VSOCK_RX_DATA, 8);
	for (unsigned int i = 0; i < FAKE_VSOCK_TX_SLOTS; i++)
		fv->tx[i] = fake_alloc(fv->g, HDR + FAKE_VSOCK_TX_DATA, 8);
}

void fake_vsock_init(struct fake_vsock *fv, bool post)
{
	struct virtio_device *vdev;

	*fv = (struct fake_vsock){.g = fake_guest_new()};
	if (virtio_vsock_new(&vdev, &fv->vs) < 0)
		abort();
	fake_guest_start(fv->g, vdev, 1ull << VIRTIO_RING_F_EVENT_IDX);
	lay_out(fv);
	if (post)
		fake_vsock_post(fv, FAKE_VSOCK_RX_BUFFERS);
}

void fake_vsock_fini(struct fake_vsock *fv)
{
	fake_guest_free(fv->g);
}

void fake_vsock_restart(struct fake_vsock *fv)
{
	fake_release(fv->g, FAKE_RAM_BASE);
	fake_guest_restart(fv->g, 1ull << VIRTIO_RING_F_EVENT_IDX);
	lay_out(fv);
	fake_vsock_post(fv, FAKE_VSOCK_RX_BUFFERS);
}

static void post_one(struct fake_vsock *fv, gpa_t at)
{
	/* Header and data apart, as Linux does it. */
	struct fake_seg segs[] = {{at, HDR, true}, {at + HDR, FAKE_VSOCK_RX_DATA, true}};

	fv->rx[fake_publish(fv->g, FAKE_VSOCK_RX, segs, 2)] = at;
}

void fake_vsock_post(struct fake_vsock *fv, unsigned int n)
{
	for (; n > 0 && fv->n_spare > 0; n--)
		post_one(fv, fv->spare[--fv->n_spare]);
	fake_kick(fv->g, FAKE_VSOCK_RX);
}

struct virtio_vsock_hdr fake_vsock_hdr(uint32_t host_port, uint32_t guest_port, uint16_t op)
{
	return (struct virtio_vsock_hdr){
		.src_cid = htole64(VSOCK_GUEST_CID),
		.dst_cid = htole64(VSOCK_HOST_CID),
		.src_port = htole32(guest_port),
		.dst_port = htole32(host_port),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.buf_alloc = htole32(FAKE_SOCK_BUFFER),
	};
}

/* Whether the device has done with the slot that is next. */
static bool slot_is_free(struct fake_vsock *fv)
{
	const struct fake_ring *ring = &fv->g->rings[FAKE_VSOCK_TX];

	while (fake_reap(fv->g, FAKE_VSOCK_TX, NULL, NULL))
		;
	return (uint16_t)(ring->avail_idx - ring->last_used) < FAKE_VSOCK_TX_SLOTS;
}

void fake_vsock_send(struct fake_vsock *fv, const struct virtio_vsock_hdr *hdr, const void *data,
		     uint32_t len)
{
	gpa_t at = fv->tx[fv->next_tx % FAKE_VSOCK_TX_SLOTS];
	struct fake_seg segs[] = {{at, HDR, false}, {at + HDR, len, false}};

	if (!slot_is_free(fv)) {
		fake_kick(fv->g, FAKE_VSOCK_TX);
		fake_guest_settle(fv->g);
		/* The device is broken, and takes nothing any more. */
		if (!slot_is_free(fv))
			return;
	}
	fv->next_tx++;
	memcpy(fake_ptr(fv->g, at, HDR), hdr, HDR);
	if (len > 0)
		memcpy(fake_ptr(fv->g, at + HDR, len), data, len);
	(void)fake_publish(fv->g, FAKE_VSOCK_TX, segs, len > 0 ? 2 : 1);
	if (!fv->quiet)
		fake_kick(fv->g, FAKE_VSOCK_TX);
	while (fake_reap(fv->g, FAKE_VSOCK_TX, NULL, NULL))
		;
}

bool fake_vsock_receive(struct fake_vsock *fv, struct fake_packet *p)
{
	struct virtio_vsock_hdr hdr;
	uint32_t written;
	uint16_t head;
	gpa_t at;

	if (!fake_reap(fv->g, FAKE_VSOCK_RX, &head, &written))
		return false;
	at = fv->rx[head];
	memcpy(&hdr, fake_ptr(fv->g, at, HDR), HDR);
	p->len = le32toh(hdr.len);
	if (written != HDR + p->len || p->len > sizeof(p->data) ||
	    le64toh(hdr.src_cid) != VSOCK_HOST_CID || le64toh(hdr.dst_cid) != VSOCK_GUEST_CID)
		abort();
	memcpy(p->data, fake_ptr(fv->g, at + HDR, p->len), p->len);
	p->host_port = le32toh(hdr.src_port);
	p->guest_port = le32toh(hdr.dst_port);
	p->flags = le32toh(hdr.flags);
	p->buf_alloc = le32toh(hdr.buf_alloc);
	p->fwd_cnt = le32toh(hdr.fwd_cnt);
	p->op = le16toh(hdr.op);
	p->type = le16toh(hdr.type);
	fv->spare[fv->n_spare++] = at;
	return true;
}

const uint8_t *fake_pattern(uint64_t pos)
{
	/* A prime period, so that no buffer size hides a lost or doubled buffer. */
	enum { PERIOD = 65521 };
	static uint8_t table[PERIOD + FAKE_PATTERN_RUN];
	static bool filled;

	for (uint32_t i = 0, x = 1; !filled && i < sizeof(table); i++) {
		x = i % PERIOD ? x * 1664525u + 1013904223u : 1;
		table[i] = (uint8_t)(x >> 24);
	}
	filled = true;
	return table + pos % PERIOD;
}

static void sock_send(struct fake_vsock *fv, struct fake_sock *s, uint16_t op, uint32_t flags,
		      const void *data, uint32_t len)
{
	struct virtio_vsock_hdr hdr = fake_vsock_hdr(s->host_port, s->guest_port, op);

	hdr.flags = htole32(flags);
	hdr.fwd_cnt = htole32(s->fwd_cnt);
	hdr.len = htole32(len);
	s->fwd_told = s->fwd_cnt;
	fake_vsock_send(fv, &hdr, data, len);
}

void fake_sock_connect(struct fake_vsock *fv, struct fake_sock *s, uint32_t host_port,
		       uint32_t guest_port)
{
	*s = (struct fake_sock){.host_port = host_port, .guest_port = guest_port};
	sock_send(fv, s, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0);
}

uint32_t fake_sock_write(struct fake_vsock *fv, struct fake_sock *s, const void *data, uint32_t len)
{
	uint32_t room = s->host_alloc - (s->sent - s->host_fwd);

	if (!s->connected || s->reset || s->host_stopped)
		return 0;
	len = (uint32_t)min_size(min_size(len, room), FAKE_VSOCK_TX_DATA);
	if (len > 0)
		sock_send(fv, s, VIRTIO_VSOCK_OP_RW, 0, data, len);
	s->sent += len;
	return len;
}

void fake_sock_shutdown(struct fake_vsock *fv, struct fake_sock *s, uint32_t flags)
{
	if (!s->reset)
		sock_send(fv, s, VIRTIO_VSOCK_OP_SHUTDOWN, flags, NULL, 0);
}

static void deliver(struct fake_sock *s, const struct fake_packet *p)
{
	s->host_alloc = p->buf_alloc;
	s->host_fwd = p->fwd_cnt;
	switch (p->op) {
	case VIRTIO_VSOCK_OP_RESPONSE:
		s->connected = true;
		break;
	case VIRTIO_VSOCK_OP_RST:
		s->reset = s->finished = s->host_stopped = true;
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		s->finished |= (p->flags & VIRTIO_VSOCK_SHUTDOWN_SEND) != 0;
		s->host_stopped |= (p->flags & VIRTIO_VSOCK_SHUTDOWN_RCV) != 0;
		break;
	case VIRTIO_VSOCK_OP_RW:
		/* The host kept to our credit. */
		s->received += p->len;
		if (s->finished || s->received - s->fwd_told > FAKE_SOCK_BUFFER)
			abort();
		if (s->total < sizeof(s->first))
			memcpy(s->first + s->total, p->data,
			       min_size(p->len, sizeof(s->first) - (size_t)s->total));
		s->corrupt |= memcmp(p->data, fake_pattern(s->total), p->len) != 0;
		s->total += p->len;
		break;
	default:
		break;
	}
}

bool fake_sock_poll(struct fake_vsock *fv, struct fake_sock *const *socks, unsigned int n)
{
	static struct fake_packet p;
	bool any = false;

	while (fake_vsock_receive(fv, &p)) {
		any = true;
		for (unsigned int i = 0; i < n; i++)
			if (socks[i]->guest_port == p.guest_port &&
			    socks[i]->host_port == p.host_port)
				deliver(socks[i], &p);
		/* Immediately again, so that the ring never runs dry of our own doing. */
		post_one(fv, fv->spare[--fv->n_spare]);
	}
	if (!fv->quiet)
		fake_kick(fv->g, FAKE_VSOCK_RX);
	for (unsigned int i = 0; i < n; i++) {
		struct fake_sock *s = socks[i];

		if (!s->lazy)
			s->fwd_cnt = s->received;
		if (!s->reset && s->fwd_cnt - s->fwd_told >= FAKE_SOCK_BUFFER / 4) {
			sock_send(fv, s, VIRTIO_VSOCK_OP_CREDIT_UPDATE, 0, NULL, 0);
			any = true;
		}
	}
	return any;
}
