/* SPDX-License-Identifier: MIT */
/*
 * Bytes: a sequence of reads and writes of configuration space and BAR 0 of a
 * virtio-rng, with guest memory behind it, and of turns of the loop.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "devices/rng.h"
#include "devices/virtio/pci.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/fake_guest.h"

#define ECAM   0xb0000000ull
#define WINDOW 0xc0000000ull

enum { MAX_OPS = 400, RING_BYTES = 96, NOTIFY = 0x3000 };

static const uint8_t widths[] = {1, 2, 4, 8, 4, 2, 3, 7};

static void reg_access(struct bus *mmio, struct fuzz_input *in, gpa_t addr, uint8_t how)
{
	unsigned int len = widths[how & 7];
	uint64_t v;

	if (how & 0x80) {
		(void)bus_read(mmio, addr, &v, len);
		return;
	}
	v = fuzz_u64(in);
	/* Addresses that a random number does not find. */
	if (how & 0x40)
		v = FAKE_RAM_BASE + (v & 0xff0);
	(void)bus_write(mmio, addr, &v, len);
}

static void bar_write(struct bus *mmio, unsigned int off, uint64_t v, unsigned int len)
{
	(void)bus_write(mmio, WINDOW + off, &v, len);
}

/* A whole driver, but for the parts that `how` leaves out: no fuzzer guesses all of it at once. */
static void bring_up(struct bus *mmio, uint8_t how)
{
	bar_write(mmio, VIRTIO_PCI_COMMON_STATUS, how & 1 ? 1 : 0, 1);
	bar_write(mmio, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	bar_write(mmio, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	bar_write(mmio, VIRTIO_PCI_COMMON_GF, how & 2 ? 0 : 3ull << VIRTIO_RING_F_INDIRECT_DESC, 4);
	bar_write(mmio, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	bar_write(mmio, VIRTIO_PCI_COMMON_GF, 1, 4);
	bar_write(mmio, VIRTIO_PCI_COMMON_STATUS, how & 4 ? 3 : 11, 1);
	bar_write(mmio, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	bar_write(mmio, VIRTIO_PCI_COMMON_Q_MSIX, how & 8 ? 0 : 1, 2);
	bar_write(mmio, VIRTIO_PCI_COMMON_Q_AVAILLO, FAKE_RAM_BASE, 8);
	bar_write(mmio, VIRTIO_PCI_COMMON_Q_DESCLO, FAKE_RAM_BASE + 0x40, 8);
	bar_write(mmio, VIRTIO_PCI_COMMON_Q_USEDLO, FAKE_RAM_BASE + 0x200, 8);
	bar_write(mmio, VIRTIO_PCI_COMMON_Q_ENABLE, how & 16 ? 0 : 1, 2);
	bar_write(mmio, VIRTIO_PCI_COMMON_STATUS, how & 32 ? 11 : 15, 1);
}

/* The queue that bring_up() makes: up to 16 requests for random bytes, all the same buffer. */
static void publish(struct fake_guest *g, uint8_t how, uint16_t idx)
{
	struct vring_desc d = {
		.addr = FAKE_RAM_BASE + 0x400, .len = how, .flags = VRING_DESC_F_WRITE};
	uint8_t *ram = fake_ptr(g, FAKE_RAM_BASE, 0x400);

	memset(ram, 0, 0x40);
	memcpy(ram + offsetof(struct vring_avail, idx), &idx, sizeof(idx));
	memcpy(ram + 0x40, &d, sizeof(d));
}

static void drive(struct fake_guest *g, struct bus *mmio, struct fuzz_input *in)
{
	for (unsigned int n = 0; n < MAX_OPS && in->left > 0; n++) {
		uint8_t op = fuzz_u8(in), how = fuzz_u8(in);
		uint16_t off = fuzz_u16(in);

		switch (op % 10) {
		case 0:
		case 1:
			reg_access(mmio, in, ECAM + (off & 0x1ff), how);
			break;
		case 2:
		case 3:
		case 4: /* common configuration, where the state machine is */
			reg_access(mmio, in, WINDOW + (off & 0x3f), how);
			break;
		case 5:
			reg_access(mmio, in, WINDOW + (off & 0x7fff), how);
			break;
		case 6:
			bring_up(mmio, how);
			break;
		case 7:
			fuzz_bytes(in, fake_ptr(g, FAKE_RAM_BASE + (off & 0x1c0), RING_BYTES),
				   RING_BYTES);
			break;
		case 8:
			publish(g, how, off % 17);
			break;
		default:
			if (how & 1)
				bar_write(mmio, NOTIFY, 0, 2);
			fake_guest_settle(g);
			break;
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct fuzz_input in = {data, size};
	struct fake_guest *g = fake_guest_new();
	struct pci_function *fn = NULL;
	struct virtio_device *vdev;
	struct fake_wiring fw;
	struct pci_bus pci;
	struct bus *mmio = NULL;

	fake_wiring_init(&fw);
	if (bus_new(&mmio) < 0 || virtio_rng_new(&vdev) < 0 ||
	    virtio_pci_new(vdev, &g->mem, &fw.wiring, &fn) < 0)
		abort();
	pci_bus_init(&pci, mmio,
		     &(struct pci_windows){.ecam = ECAM, .base32 = WINDOW, .len32 = 0x100000});
	if (pci_bus_add(&pci, fn) < 0 || virtio_pci_connect(fn, g->loop) < 0 ||
	    pci_bus_show(&pci, &fw.wiring) < 0)
		abort();
	(void)bus_write(mmio, ECAM + PCI_COMMAND, &command, sizeof(command));
	drive(g, mmio, &in);
	/* What the guest reads from memory is what is there, until it has to ask. */
	if (fw.memory.host && memcmp(fw.memory.host, fn->state.config, PCI_CONFIG_SIZE) != 0)
		abort();
	fn->dev.ops->destroy(&fn->dev);
	pci_bus_fini(&pci);
	bus_free(mmio);
	fake_guest_free(g);
	return 0;
}
