/* SPDX-License-Identifier: MIT */
/* devices/virtio/pci.h - virtio over PCI, modern only (VIRTIO 1.2 section 4.1). */
#ifndef DEVICES_VIRTIO_PCI_H
#define DEVICES_VIRTIO_PCI_H

#include "devices/board/pci.h"
#include "devices/virtio/virtio.h"

/*
 * A PCI function that carries vdev: BAR 0 holds common, ISR, device and notify
 * structures and the MSI-X table, one vector for configuration changes and one
 * a queue; BAR 2 is the model's shared memory, if it has any. Takes vdev over, also on failure; the function is freed through
 * (*out)->ops->destroy, after the bus and the loops have stopped.
 *
 * After pci_bus_add() placed the BAR, virtio_pci_connect() must be called: it
 * rings up doorbells and hands the model to `loop`, on whose thread queue_kick
 * and the model's own events will run.
 */
int virtio_pci_new(struct virtio_device *vdev, const struct guest_mem *mem, struct wiring *wiring,
		   struct pci_function **out) MUST_CHECK;
int virtio_pci_connect(struct pci_function *fn, struct loop *loop) MUST_CHECK;

#endif
