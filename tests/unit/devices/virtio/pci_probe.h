/* SPDX-License-Identifier: MIT */
/* tests/unit/devices/virtio/pci_probe.h - a virtio-pci function with a model that is probed, as a driver sees it. */
#ifndef TESTS_UNIT_VIRTIO_PCI_PROBE_H
#define TESTS_UNIT_VIRTIO_PCI_PROBE_H

#include <linux/virtio_config.h>

#include "devices/virtio/pci.h"
#include "tests/support/fake_guest.h"

#define ECAM	 0xb0000000ull
#define WINDOW	 0xc0000000ull
#define HIGH	 0x100000000ull
#define FEATURE	 (1ull << 5)
#define VERSION1 (1ull << VIRTIO_F_VERSION_1)

/* A model with two queues that copies requests, or holds on to one, and 12 bytes of configuration. */
struct probe {
	struct virtio_device vdev;
	struct virtq_chain chain;
	uint8_t config[12];
	uint32_t behind_config; /* not for the driver's eyes */
	bool hold;
	void (*meanwhile)(void); /* what vCPUs do while the model waits for the host */
	unsigned int kicks[2], activations, resets, config_writes;
	size_t config_off, config_len;
	unsigned int loaded; /* activations of the probe whose state this one has */
};

extern unsigned int alive; /* probes that were not destroyed */
extern struct fake_guest *g; /* memory, rings and the loop */
extern struct fake_wiring fw;
extern struct bus *mmio;
extern struct pci_bus pci;
extern struct pci_function *fn;
extern struct probe *probe;
extern gpa_t config, common, isr, device, notify, table;
extern gpa_t shm; /* 0: the function has no such capability */
extern uint64_t shm_len;
extern unsigned int window; /* offset of the capability with the window on the BAR */

/* Of a TestSuite: a function with a new probe, its structures found, its vectors unmasked. */
void probe_start(void);
void probe_stop(void);
struct virtio_device *new_probe(void);

/* As a driver does: walks the capabilities to find the structures. */
void find_structures(void);

uint64_t rd(gpa_t addr, unsigned int len);
void wr(gpa_t addr, unsigned int len, uint64_t v);

uint8_t status(void);
void set_status(uint8_t v);
/* Adds one bit, as drivers do; true if it stuck. */
bool add_status(uint8_t bit);
/* From reset to the point where they are written. */
void accept_features(uint64_t f);
void select_queue(unsigned int q);
void set_address(unsigned int reg, gpa_t addr);
gpa_t get_address(unsigned int reg);
void set_up_queue(unsigned int q);
/* From reset to DRIVER_OK with both queues; the loop has not run yet. */
void bring_up(void);
/* Publishes 4 bytes out and room for 4 in queue q. */
struct fake_seg publish(unsigned int q);

#endif
