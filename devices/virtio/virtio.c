/* SPDX-License-Identifier: MIT */
#include "devices/virtio/virtio.h"

#include <assert.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "common/clock.h"
#include "common/log.h"

static const uint64_t ring_features = 1ull << VIRTIO_F_VERSION_1 |
				      1ull << VIRTIO_RING_F_INDIRECT_DESC |
				      1ull << VIRTIO_RING_F_EVENT_IDX;

void virtio_device_init(struct virtio_device *vdev, const struct virtio_device_ops *ops,
			void *config, size_t config_len)
{
	assert(ops->name && ops->queue_kick && ops->destroy);
	assert(ops->n_queues <= VIRTIO_MAX_QUEUES && !(ops->features & ring_features));
	*vdev = (struct virtio_device){
		.ops = ops,
		.features = ops->features,
		.config = config,
		.config_len = config_len,
	};
	for (unsigned int q = 0; q < ops->n_queues; q++) {
		uint16_t max = ops->queue_max[q];

		assert(max > 0 && max <= VIRTQ_MAX_SIZE && (max & (max - 1)) == 0);
		vdev->queues[q].max_size = max;
		vdev->queues[q].max_chain_bytes =
			ops->chain_max[q] ? ops->chain_max[q] : (uint32_t)VIRTQ_CHAIN_BYTES;
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
	if (vdev->broken || vdev->resetting)
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

void virtio_budget_start(struct virtio_budget *budget)
{
	*budget = (struct virtio_budget){VIRTIO_KICK_BUDGET, now_ms() + VIRTIO_KICK_MS};
}

bool virtio_budget_left(struct virtio_budget *budget, const struct virtio_device *vdev)
{
	if (--budget->chains == 0)
		return false;
	return !vdev->loop || (now_ms() < budget->end_ms && !loop_is_wanted(vdev->loop));
}

bool virtio_device_serve(struct virtio_device *vdev, unsigned int q, struct virtq_chain *chain,
			 virtio_serve_fn fn)
{
	struct virtio_budget budget;
	bool more = true;
	int r;

	virtio_budget_start(&budget);
	do {
		r = virtq_pop(&vdev->queues[q], chain);
		if (r > 0 && chain->foreign && !vdev->ops->takes_foreign)
			virtq_push(&vdev->queues[q], chain->head, 0);
		else
			more = r > 0 && fn(vdev, q);
	} while (more && virtio_budget_left(&budget, vdev));
	if (r < 0)
		virtio_device_break(vdev, "its driver broke a queue");
	if (more)
		virtio_device_kick_later(vdev, q);
	virtio_device_flush(vdev, q);
	return r == 0;
}

void virtio_device_leave(struct virtio_device *vdev)
{
	assert(!vdev->away);
	vdev->away = true;
	if (vdev->dev)
		pthread_mutex_unlock(&vdev->dev->lock);
}

void virtio_device_enter(struct virtio_device *vdev)
{
	if (vdev->dev)
		pthread_mutex_lock(&vdev->dev->lock);
	vdev->away = false;
	/* The loop comes by again when the model has returned to it. */
	if (vdev->resetting)
		virtio_device_kick_later(vdev, 0);
}

void virtio_device_config_changed(struct virtio_device *vdev)
{
	vdev->transport->ops->interrupt_config(vdev->transport);
}

uint64_t virtio_device_features(const struct virtio_device *vdev)
{
	return vdev->features | ring_features;
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

static void forget_driver(struct virtio_device *vdev)
{
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++)
		virtq_reset(&vdev->queues[q]);
	vdev->acked = 0;
	vdev->active = false;
	vdev->broken = false;
}

/* The rest of a reset that was put off, on the loop's thread. */
static void finish_reset(struct virtio_device *vdev)
{
	if (vdev->ops->reset) {
		virtio_device_leave(vdev);
		vdev->ops->reset(vdev);
		virtio_device_enter(vdev);
	}
	vdev->resetting = false;
	forget_driver(vdev);
	vdev->transport->ops->was_reset(vdev->transport);
}

void virtio_device_kick(struct virtio_device *vdev, unsigned int q)
{
	if (vdev->resetting) {
		finish_reset(vdev);
		return;
	}
	/* A queue is ready only between DRIVER_OK and reset, and in a device that works. */
	if (q < vdev->ops->n_queues && vdev->queues[q].ready)
		vdev->ops->queue_kick(vdev, q);
}

void virtio_device_reset(struct virtio_device *vdev)
{
	stop_queues(vdev);
	if (vdev->away || (vdev->ops->reset_waits && vdev->active && vdev->dev)) {
		vdev->resetting = true;
		virtio_device_kick_later(vdev, 0);
		return;
	}
	if (vdev->ops->reset)
		vdev->ops->reset(vdev);
	forget_driver(vdev);
}
