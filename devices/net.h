/* SPDX-License-Identifier: MIT */
/* devices/net.h - virtio-net: an Ethernet card whose cable is a socket or a tap. */
#ifndef DEVICES_NET_H
#define DEVICES_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtio.h"

/*
 * DOC: the cable
 *
 * Whatever is behind the card is one descriptor that keeps the bounds of what is
 * written to it: a SOCK_SEQPACKET socket, or a tap with IFF_VNET_HDR. Each
 * message, either way, is a struct virtio_net_hdr_v1 (VIRTIO 1.2 section
 * 5.1.6.1) and an Ethernet frame. Nothing is kept in between: a frame goes from
 * the guest's memory into the descriptor and back by one system call, and where
 * one side has no room the other one waits. Of a header from the guest the card
 * has checked that it names what was negotiated and lies inside the frame.
 *
 * Where the other end is gone the link is down, as with a cable that was pulled, until
 * another one is plugged in. A message of NET_REPORT bytes for the card is no frame but
 * how many frames the other end did not let through so far.
 */

enum {
	NET_MTU = 1500,
	/* The longest frame a guest may send: it leaves cutting into segments to us. */
	NET_MAX_FRAME = 14 + 65535,
	NET_REPORT = sizeof(uint64_t),
};

/* What went through the card since it was built. */
struct net_figures {
	uint64_t tx_frames, tx_bytes, rx_frames, rx_bytes;
	uint64_t tx_refused; /* frames of the guest with a header or a length that is none */
	uint64_t rx_dropped; /* frames for which the guest's buffers were too small */
	uint64_t filtered; /* what the other end says, see above; since it was plugged in */
	uint32_t plugs; /* cables that came after the first */
	bool up; /* there is one now */
};

struct net_device;

/*
 * mac is copied; cable is taken over, also on failure, and not blocking from then
 * on. Every SIGPIPE must be ignored.
 */
int virtio_net_new(const uint8_t mac[6], int cable, struct virtio_device **out_device,
		   struct net_device **out) MUST_CHECK;

/*
 * unplugged() is called when the cable was lost, with the device's lock held on its loop's
 * thread. Before that runs.
 */
void net_device_on_unplug(struct net_device *n, void (*unplugged)(void *owner), void *owner);
/*
 * Plugs another cable in, which is taken over, also on failure. On the thread of the device's
 * loop, without a lock. -EBUSY: there is one.
 */
int net_device_plug(struct net_device *n, int cable) MUST_CHECK;

/* Any thread; takes the card's lock, and whoever holds that takes no other. */
void net_device_figures(struct net_device *n, struct net_figures *out);

#endif
