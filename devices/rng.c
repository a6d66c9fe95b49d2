/* SPDX-License-Identifier: MIT */
#include "devices/rng.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <sys/random.h>

struct virtio_rng {
	struct virtio_device vdev;
	struct virtq_chain chain; /* scratch of rng_queue_kick() */
};

static struct virtio_rng *to_rng(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_rng, vdev);
}

/* Bytes written; 0 when the chain has no room, or the host no randomness yet. */
static uint32_t rng_fill(const struct virtq_chain *chain)
{
	uint8_t buf[RNG_MAX_REQUEST];
	ssize_t n = getrandom(buf, min_size(chain->wr_len, sizeof(buf)), GRND_NONBLOCK);

	return n > 0 ? (uint32_t)chain_write(chain, 0, buf, (size_t)n) : 0;
}

static bool rng_serve(struct virtio_device *vdev, unsigned int q)
{
	const struct virtq_chain *chain = &to_rng(vdev)->chain;

	virtq_push(&vdev->queues[q], chain->head, rng_fill(chain));
	return true;
}

static void rng_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	(void)virtio_device_serve(vdev, q, &to_rng(vdev)->chain, rng_serve);
}

static void rng_destroy(struct virtio_device *vdev)
{
	free(to_rng(vdev));
}

static const struct virtio_device_ops rng_ops = {
	.name = "virtio-rng",
	.type = VIRTIO_ID_RNG,
	.n_queues = 1,
	.queue_max = {16},
	.chain_max = {UINT32_MAX}, /* of which RNG_MAX_REQUEST bytes are written */
	.queue_kick = rng_queue_kick,
	.destroy = rng_destroy,
};

int virtio_rng_new(struct virtio_device **out)
{
	struct virtio_rng *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return -ENOMEM;
	virtio_device_init(&rng->vdev, &rng_ops, NULL, 0);
	*out = &rng->vdev;
	return 0;
}
