/* SPDX-License-Identifier: MIT */
/* The transport's part of a machine's state: registers and queues. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "common/state.h"
#include "devices/virtio/pci_priv.h"

enum { MARK = STATE_MARK('V', 'I', 'R', 'T') };

static void save_registers(const struct virtio_pci_state *s, struct state_writer *w)
{
	state_put_int(w, s->device_feature_select, 4);
	state_put_int(w, s->driver_feature_select, 4);
	state_put_int(w, s->driver_features, 8);
	state_put_int(w, s->config_vector, 2);
	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
		state_put_int(w, s->queue_vector[q], 2);
	state_put_int(w, s->queue_select, 2);
	state_put_int(w, s->status, 1);
	state_put_int(w, s->isr, 1);
	state_put_int(w, s->config_generation, 1);
}

static uint16_t load_vector(const struct virtio_pci *vp, struct state_reader *r)
{
	const uint16_t v = (uint16_t)state_get_int(r, 2);

	return v < vp->fn.n_vectors ? v : VIRTIO_MSI_NO_VECTOR;
}

static void load_registers(struct virtio_pci *vp, struct state_reader *r)
{
	struct virtio_pci_state *s = &vp->state;

	s->device_feature_select = (uint32_t)state_get_int(r, 4);
	s->driver_feature_select = (uint32_t)state_get_int(r, 4);
	s->driver_features = state_get_int(r, 8);
	s->config_vector = load_vector(vp, r);
	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
		s->queue_vector[q] = load_vector(vp, r);
	s->queue_select = (uint16_t)state_get_int(r, 2);
	s->status = (uint8_t)state_get_int(r, 1);
	s->isr = (uint8_t)state_get_int(r, 1);
	s->config_generation = (uint8_t)state_get_int(r, 1);
}

static void save_queue(const struct virtq_state *s, struct state_writer *w)
{
	state_put_int(w, s->size, 2);
	state_put_int(w, s->enabled, 1);
	state_put_int(w, s->desc, 8);
	state_put_int(w, s->avail, 8);
	state_put_int(w, s->used, 8);
	state_put_int(w, s->next_avail, 2);
	state_put_int(w, s->next_used, 2);
	state_put_int(w, s->last_signalled, 2);
	state_put_int(w, s->no_kick, 1);
}

/* Sizes and addresses are checked by virtq_enable(), indices with each chain. */
static void load_queue(struct virtq_state *s, struct state_reader *r)
{
	s->size = (uint16_t)state_get_int(r, 2);
	s->enabled = state_get_int(r, 1) != 0;
	s->desc = state_get_int(r, 8);
	s->avail = state_get_int(r, 8);
	s->used = state_get_int(r, 8);
	s->next_avail = (uint16_t)state_get_int(r, 2);
	s->next_used = (uint16_t)state_get_int(r, 2);
	s->last_signalled = (uint16_t)state_get_int(r, 2);
	s->no_kick = state_get_int(r, 1) != 0;
}

void virtio_pci_save(struct pci_function *fn, struct state_writer *w)
{
	struct virtio_pci *vp = to_virtio_pci(fn);
	struct virtio_device *vdev = vp->vdev;

	state_put_mark(w, MARK);
	/* A request is at work in it, or its driver has broken it. */
	if (vdev->away || vdev->resetting || vdev->broken)
		state_refuse(w, vdev->broken ? -EIO : -EBUSY);
	save_registers(&vp->state, w);
	state_put_int(w, vdev->active, 1);
	/* A model without a part of its own can be left out as long as no driver has it. */
	if (vdev->active && vdev->ops->save)
		vdev->ops->save(vdev, w);
	else if (vdev->active)
		state_refuse(w, -EOPNOTSUPP);
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++)
		save_queue(&vdev->queues[q].state, w);
}

/* A device that a driver has: the model's part, then what DRIVER_OK does. */
static void load_active(struct virtio_pci *vp, struct state_reader *r)
{
	struct virtio_device *vdev = vp->vdev;
	const uint8_t needed = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK;

	if ((vp->state.status & needed) != needed || !vdev->ops->load ||
	    (vp->state.driver_features & ~virtio_device_features(vdev)))
		state_fail(r, -ESTALE);
	else
		vdev->ops->load(vdev, r);
}

void virtio_pci_load(struct pci_function *fn, struct state_reader *r)
{
	struct virtio_pci *vp = to_virtio_pci(fn);
	struct virtio_device *vdev = vp->vdev;
	bool active;

	state_get_mark(r, MARK);
	load_registers(vp, r);
	active = state_get_int(r, 1) != 0;
	if (active)
		load_active(vp, r);
	for (unsigned int q = 0; r->error == 0 && q < vdev->ops->n_queues; q++)
		load_queue(&vdev->queues[q].state, r);
	if (r->error < 0)
		return;
	if (vp->state.status & VIRTIO_CONFIG_S_FEATURES_OK)
		vdev->acked = vp->state.driver_features & virtio_device_features(vdev);
	if (active)
		virtio_device_activate(vdev, vp->mem);
	if (vdev->broken)
		state_fail(r, -EBADMSG);
}

void virtio_pci_wake(struct pci_function *fn)
{
	struct virtio_pci *vp = to_virtio_pci(fn);

	for (unsigned int q = 0; vp->vdev->active && q < vp->vdev->ops->n_queues; q++)
		virtio_pci_ring(vp, q);
}
