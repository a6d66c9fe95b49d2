/* SPDX-License-Identifier: MIT */
#include "devices/virtio/virtio.h"

#include <assert.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "common/log.h"

static const uint64_t ring_features = 1ull << VIRTIO_F_VERSION_1 |
				      1ull << VIRTIO_RING_F_INDIRECT_DESC |
				      1ull << VIRTIO_RING_F_EVENT_IDX;

void virtio_device_init(struct virtio_device *vdev, const struct virtio_device_ops *ops,
			void *config, size_t config_len)
{
	assert(ops->name && ops->queue_kick && ops->destroy);
	assert(ops->n_queues <= VIRTIO_MAX_QUEUES && !(ops->features & ring_features));
	*vdev = (struct virtio_device){.ops = ops, .config = config, .config_len = config_len};
	for (unsigned int q = 0; q < ops->n_queues; q++) {
		uint16_t max = ops->queue_max[q];

		assert(max > 0 && max <= VIRTQ_MAX_SIZE && (max & (max - 1)) == 0);
		vdev->queues[q].max_size = max;
	}
}

/* The queues refuse every further access to guest memory, whoever still holds a chain. */
static void stop_queues(struct virtio_device *vdev)
{
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++)
		vdev->queues[q].ready = false;
}

void virtio_device_break(struct virtio_device *vdev, const char *why)
{
	if (vdev->broken)
		return;
	vdev->broken = true;
	stop_queues(vdev);
	log_guest("%s: %s; the device stops until its driver resets it", vdev->ops->name, why);
	vdev->transport->ops->interrupt_config(vdev->transport);
}

void virtio_device_flush(struct virtio_device *vdev, unsigned int q)
{
	if (virtq_should_interrupt(&vdev->queues[q]))
		vdev->transport->ops->interrupt_queue(vdev->transport, q);
}

void virtio_device_kick_later(struct virtio_device *vdev, unsigned int q)
{
	vdev->transport->ops->kick_later(vdev->transport, q);
}

void virtio_device_config_changed(struct virtio_device *vdev)
{
	vdev->transport->ops->interrupt_config(vdev->transport);
}

uint64_t virtio_device_features(const struct virtio_device *vdev)
{
	return vdev->ops->features | ring_features;
}

void virtio_device_activate(struct virtio_device *vdev, const struct guest_mem *mem)
{
	vdev->active = true;
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++) {
		struct virtq *vq = &vdev->queues[q];

		vq->event_idx = virtio_has(vdev, VIRTIO_RING_F_EVENT_IDX);
		vq->indirect = virtio_has(vdev, VIRTIO_RING_F_INDIRECT_DESC);
		if (vq->state.enabled && virtq_enable(vq, mem) < 0) {
			virtio_device_break(vdev, "a queue's size or addresses are impossible");
			return;
		}
	}
	if (vdev->ops->activate)
		vdev->ops->activate(vdev);
}

void virtio_device_kick(struct virtio_device *vdev, unsigned int q)
{
	/* A queue is ready only between DRIVER_OK and reset, and in a device that works. */
	if (q < vdev->ops->n_queues && vdev->queues[q].ready)
		vdev->ops->queue_kick(vdev, q);
}

void virtio_device_reset(struct virtio_device *vdev)
{
	stop_queues(vdev);
	if (vdev->ops->reset)
		vdev->ops->reset(vdev);
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++)
		virtq_reset(&vdev->queues[q]);
	vdev->acked = 0;
	vdev->active = false;
	vdev->broken = false;
}
