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

struct state_reader;
struct state_writer;

struct virtio_device;
struct virtio_transport;

enum {
	VIRTIO_MAX_QUEUES = 8,
	/*
	 * What one kick may take of the loop's thread before the loop looks at its
	 * other sources: chains, and milliseconds, which are looked at between two
	 * chains. A driver on another CPU can publish as fast as the device takes.
	 */
	VIRTIO_KICK_BUDGET = 128,
	VIRTIO_KICK_MS = 5,
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
	/*
	 * Bytes of one chain of each queue, a longer one breaks the device; 0:
	 * VIRTQ_CHAIN_BYTES. What a model does for one chain has to be bounded by this.
	 */
	uint32_t chain_max[VIRTIO_MAX_QUEUES];
	/* The model answers chains with buffers outside RAM; those of others come back unused. */
	bool takes_foreign;

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
	/*
	 * reset may wait for the host. A device that was in use is then reset on the
	 * loop's thread with the device lock released; until it is done the driver
	 * reads the old status, as it has to expect (2.4.1, 4.1.4.3.1).
	 */
	bool reset_waits;
	/* Optional. The driver wrote vdev->config[off, off+len). */
	void (*config_written)(struct virtio_device *vdev, size_t off, size_t len);
	/*
	 * Optional, both or neither: the model's part of struct device_ops' save and load, of
	 * an active device. The transport does the queues after it, so a chain that was
	 * popped and not used yet can be put back (virtq_unpop()).
	 */
	void (*save)(struct virtio_device *vdev, struct state_writer *w);
	void (*load)(struct virtio_device *vdev, struct state_reader *r);
	/* Frees the model; accepts a half-built one. */
	void (*destroy)(struct virtio_device *vdev);
};

/* What a transport gives the device. */
struct virtio_transport_ops {
	void (*interrupt_queue)(struct virtio_transport *t, unsigned int q);
	void (*interrupt_config)(struct virtio_transport *t);
	void (*kick_later)(struct virtio_transport *t, unsigned int q);
	/* A reset that was put off is done: forget the driver too. For a device of a loop only. */
	void (*was_reset)(struct virtio_transport *t);
};

struct virtio_transport {
	const struct virtio_transport_ops *ops;
};

/* Embed in a model ("struct virtio_rng { struct virtio_device vdev; ...") and init it there. */
struct virtio_device {
	const struct virtio_device_ops *ops;
	struct virtio_transport *transport; /* set by the transport, */
	struct device *dev; /* and these two: whose lock is held around every call, */
	struct loop *loop; /* and the loop of the queues. NULL where nobody else is there */
	struct virtq queues[VIRTIO_MAX_QUEUES];
	/* What is offered: ops->features, unless the model has changed it before a driver looks. */
	uint64_t features;
	uint64_t acked; /* negotiated feature bits */
	bool active; /* between DRIVER_OK and reset */
	bool broken; /* NEEDS_RESET shown to the driver */
	bool away; /* between virtio_device_leave() and virtio_device_enter() */
	bool resetting; /* a reset was put off; the queues are not ready */
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

/* What is left of what one kick may take. */
struct virtio_budget {
	unsigned int chains;
	uint64_t end_ms;
};

void virtio_budget_start(struct virtio_budget *budget);
/*
 * After each chain. False: chains or time are used up, or somebody waits for the
 * loop's thread. The rest has to come later. Without a loop nobody waits, and time
 * is not looked at.
 */
bool virtio_budget_left(struct virtio_budget *budget, const struct virtio_device *vdev);

/*
 * Handles the chain that virtio_device_serve() was given: pushes it, or keeps its
 * head. False: not another one now. May break the device.
 */
typedef bool (*virtio_serve_fn)(struct virtio_device *vdev, unsigned int q);
/*
 * The one way to work a queue off: pops into *chain, which is the model's, and
 * calls fn, for as long as the budget lasts; interrupts the driver for what was
 * pushed. A malformed ring breaks the device. True if the ring was found empty.
 */
bool virtio_device_serve(struct virtio_device *vdev, unsigned int q, struct virtq_chain *chain,
			 virtio_serve_fn fn);

/*
 * For a model that may have to wait for the host, such as for a file system that does
 * not answer: in between, the device lock is free, so that a vCPU that touches a
 * register goes on. The loop's thread, in queue_kick or a watched fd's function. Queues
 * and vdev are not to be touched in between, guest memory may be. A driver that
 * resets the device meanwhile has to wait for enter; the model finds
 * vdev->resetting set and its queues not ready.
 */
void virtio_device_leave(struct virtio_device *vdev);
void virtio_device_enter(struct virtio_device *vdev);

/* A change of vdev->config the driver should look at. */
void virtio_device_config_changed(struct virtio_device *vdev);

/*
 * For transports: what a driver does to a device, whatever carries it.
 *
 * activate is DRIVER_OK: vdev->acked and the queues' state are final. A queue
 * with impossible addresses breaks the device. The transport then kicks every
 * ready queue once, on the loop's thread. kick is ignored for a queue that is
 * absent, not ready or broken. reset is possible at any time; vdev->resetting says
 * that it was put off, to a kick.
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
