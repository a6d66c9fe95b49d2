/* SPDX-License-Identifier: MIT */
/* devices/virtio/virtio.h - a virtio device model, and what carries it. */
#ifndef DEVICES_VIRTIO_VIRTIO_H
#define DEVICES_VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/loop.h"
#include "devices/board/device.h"
#include "devices/virtio/queue.h"

struct virtio_device;
struct virtio_transport;

enum {
	VIRTIO_MAX_QUEUES = 8,
	/*
	 * Chains a queue_kick handles before it lets others have the loop's
	 * thread (virtio_device_kick_later): a driver on another CPU can publish
	 * as fast as the device takes.
	 */
	VIRTIO_KICK_BUDGET = VIRTQ_MAX_SIZE,
};

/*
 * What a device model implements. One static const table per model;
 * virtio_device_init() asserts its shape. All calls are under the transport's
 * device lock; queue_kick and watched fds run on the model's loop thread,
 * activate and reset may come from a vCPU thread.
 */
struct virtio_device_ops {
	const char *name; /* "virtio-rng" */
	uint32_t type; /* VIRTIO_ID_* of <linux/virtio_ids.h> */
	unsigned int n_queues;
	uint16_t queue_max[VIRTIO_MAX_QUEUES]; /* entries offered, a power of two each */

	/* The model's own feature bits; the transport adds the ring's and VERSION_1. */
	uint64_t features;

	/*
	 * Optional. Once, when the machine is built: device_watch() the model's
	 * own fds with `dev` as their device.
	 */
	int (*attach)(struct virtio_device *vdev, struct device *dev, struct loop *loop);
	/* Optional. Driver set DRIVER_OK; vdev->acked and the queues are final. */
	void (*activate)(struct virtio_device *vdev);
	/* New buffers in queue q; also called once for every ready queue after activate. */
	void (*queue_kick)(struct virtio_device *vdev, unsigned int q);
	/*
	 * Optional. Forget the driver: after it returns, no guest memory is
	 * touched. Also called on a device that was never activated.
	 */
	void (*reset)(struct virtio_device *vdev);
	/* Optional. The driver wrote vdev->config[off, off+len). */
	void (*config_written)(struct virtio_device *vdev, size_t off, size_t len);
	/* Frees the model; accepts a half-built one. */
	void (*destroy)(struct virtio_device *vdev);
};

/* What a transport gives the device. */
struct virtio_transport_ops {
	void (*interrupt_queue)(struct virtio_transport *t, unsigned int q);
	void (*interrupt_config)(struct virtio_transport *t);
	void (*kick_later)(struct virtio_transport *t, unsigned int q);
};

struct virtio_transport {
	const struct virtio_transport_ops *ops;
};

/* Embed in a model ("struct virtio_rng { struct virtio_device vdev; ...") and init it there. */
struct virtio_device {
	const struct virtio_device_ops *ops;
	struct virtio_transport *transport; /* set by the transport */
	struct virtq queues[VIRTIO_MAX_QUEUES];
	uint64_t acked; /* negotiated feature bits */
	bool active; /* between DRIVER_OK and reset */
	bool broken; /* NEEDS_RESET shown to the driver */
	/* Device configuration space, little endian, as the driver sees it; the model's memory. */
	void *config;
	size_t config_len;
	/* Bytes of config the driver may write, from config_writable_off; 0: none. */
	size_t config_writable_off, config_writable_len;
	/*
	 * Shared memory region 0 (2.10), which the driver reads: the model's memory,
	 * aligned to 2 MiB, set before a transport has the device. Length 0: none.
	 */
	const void *shm;
	uint64_t shm_len;
};

void virtio_device_init(struct virtio_device *vdev, const struct virtio_device_ops *ops,
			void *config, size_t config_len);

/*
 * The one answer to a misbehaving driver: one log line, no further queue
 * processing, DEVICE_NEEDS_RESET and a configuration interrupt (VIRTIO 1.2
 * section 2.1.2).
 */
void virtio_device_break(struct virtio_device *vdev, const char *why);

/* Interrupts the driver for queue q if it asked to be. */
void virtio_device_flush(struct virtio_device *vdev, unsigned int q);

/* Has queue_kick called again for queue q once the loop has looked at its other sources. */
void virtio_device_kick_later(struct virtio_device *vdev, unsigned int q);

/* A change of vdev->config the driver should look at. */
void virtio_device_config_changed(struct virtio_device *vdev);

/*
 * For transports: what a driver does to a device, whatever carries it.
 *
 * activate is DRIVER_OK: vdev->acked and the queues' state are final. A queue
 * with impossible addresses breaks the device. The transport then kicks every
 * ready queue once, on the loop's thread. kick is ignored for a queue that is
 * absent, not ready or broken. reset is possible at any time.
 */
uint64_t virtio_device_features(const struct virtio_device *vdev);
void virtio_device_activate(struct virtio_device *vdev, const struct guest_mem *mem);
void virtio_device_kick(struct virtio_device *vdev, unsigned int q);
void virtio_device_reset(struct virtio_device *vdev);

/* True if feature bit number `bit` was negotiated. */
static inline bool virtio_has(const struct virtio_device *vdev, unsigned int bit)
{
	return (vdev->acked >> bit) & 1;
}

#endif
