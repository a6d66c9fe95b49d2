/* SPDX-License-Identifier: MIT */
/* devices/virtio/pci_priv.h - what the registers of the transport share with its state in a file. */
#ifndef DEVICES_VIRTIO_PCI_PRIV_H
#define DEVICES_VIRTIO_PCI_PRIV_H

#include <sys/eventfd.h>

#include "devices/virtio/pci.h"

/* All that the guest set or sees, apart from the queues and the PCI function; plain data. */
struct virtio_pci_state {
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features; /* final with FEATURES_OK */
	uint16_t config_vector;
	uint16_t queue_vector[VIRTIO_MAX_QUEUES];
	uint16_t queue_select;
	uint8_t status; /* without NEEDS_RESET, which is vdev->broken */
	uint8_t isr;
	uint8_t config_generation;
};

/* A queue's doorbell: rung by the guest through KVM, or by ourselves to move work to the loop. */
struct doorbell {
	struct device_event ev;
	int fd;
};

struct virtio_pci {
	struct pci_function fn;
	struct virtio_transport transport;
	struct virtio_device *vdev;
	const struct guest_mem *mem;
	struct virtio_pci_state state;
	unsigned int cfg_cap; /* of VIRTIO_PCI_CAP_PCI_CFG in configuration space */
	struct doorbell doorbells[VIRTIO_MAX_QUEUES];
};

static inline struct virtio_pci *to_virtio_pci(struct pci_function *fn)
{
	return CONTAINER_OF(fn, struct virtio_pci, fn);
}

/* Has the loop kick queue q. */
static inline void virtio_pci_ring(struct virtio_pci *vp, unsigned int q)
{
	(void)!eventfd_write(vp->doorbells[q].fd, 1);
}

/* Those of struct pci_function_ops. */
void virtio_pci_save(struct pci_function *fn, struct state_writer *w);
void virtio_pci_load(struct pci_function *fn, struct state_reader *r);
void virtio_pci_wake(struct pci_function *fn);

#endif
