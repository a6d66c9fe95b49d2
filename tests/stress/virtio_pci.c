/* SPDX-License-Identifier: MIT */
/*
 * A driver that brings a device up, uses it and resets it in the middle, on one
 * thread, while the loop serves it on another. Run under TSan it shows that the
 * device lock covers both; everywhere it shows that no kick is lost.
 */
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "devices/rng.h"
#include "devices/virtio/pci.h"
#include "tests/support/fake_guest.h"

#define ECAM   0xb0000000ull
#define WINDOW 0xc0000000ull

enum { ROUNDS = 400, SIZE = 16, ISR = 0x1000, NOTIFY = 0x3000 };

struct stress {
	struct fake_guest *g;
	struct fake_wiring fw;
	struct bus *mmio;
	struct pci_bus pci;
	struct pci_function *fn;
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "stress_virtio_pci: %s\n", what);
	abort();
}

static void *run_loop(void *arg)
{
	struct stress *s = arg;

	require(loop_run(s->g->loop) == 0, "loop_run");
	return NULL;
}

static void wr(struct stress *s, unsigned int off, uint64_t v, unsigned int len)
{
	(void)bus_write(s->mmio, WINDOW + off, &v, len);
}

/* After a reset: no one else touches the ring then. */
static void prepare(struct stress *s, unsigned int requests)
{
	struct fake_seg room = fake_room(s->g, 64);

	fake_ring_init(s->g, &s->g->rings[0], SIZE);
	for (unsigned int i = 0; i < requests; i++)
		(void)fake_publish(s->g, 0, &room, 1);
}

static void bring_up(struct stress *s)
{
	const struct fake_ring *ring = &s->g->rings[0];

	wr(s, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	wr(s, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	wr(s, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	wr(s, VIRTIO_PCI_COMMON_GF, 1, 4);
	wr(s, VIRTIO_PCI_COMMON_STATUS, 11, 1);
	wr(s, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	wr(s, VIRTIO_PCI_COMMON_Q_DESCLO, ring->desc, 8);
	wr(s, VIRTIO_PCI_COMMON_Q_AVAILLO, ring->avail, 8);
	wr(s, VIRTIO_PCI_COMMON_Q_USEDLO, ring->used, 8);
	wr(s, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	wr(s, VIRTIO_PCI_COMMON_STATUS, 15, 1);
}

/* Until the device says it used something. */
static void wait_for_interrupt(struct stress *s)
{
	uint8_t isr = 0;

	while (!(isr & 1)) {
		sched_yield();
		(void)bus_read(s->mmio, WINDOW + ISR, &isr, sizeof(isr));
	}
}

static void drive(struct stress *s)
{
	gpa_t mark = s->g->heap;

	for (unsigned int n = 0; n < ROUNDS; n++) {
		unsigned int requests = n % SIZE;

		fake_release(s->g, mark);
		prepare(s, requests);
		bring_up(s);
		(void)fake_wiring_ring(&s->fw, WINDOW + NOTIFY);
		/* Every other time the reset finds it at work. */
		if (n % 2 && requests > 0)
			wait_for_interrupt(s);
		wr(s, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		if (n % 2 && requests > 0)
			require(fake_reap(s->g, 0, NULL, NULL), "nothing was used");
	}
}

int main(void)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct stress s = {.g = fake_guest_new()};
	struct virtio_device *vdev;
	pthread_t thread;

	fake_wiring_init(&s.fw);
	require(bus_new(&s.mmio) == 0, "bus_new");
	require(virtio_rng_new(&vdev) == 0, "virtio_rng_new");
	require(virtio_pci_new(vdev, &s.g->mem, &s.fw.wiring, &s.fn) == 0, "virtio_pci_new");
	pci_bus_init(&s.pci, s.mmio,
		     &(struct pci_windows){.ecam = ECAM, .base32 = WINDOW, .len32 = 0x100000});
	require(pci_bus_add(&s.pci, s.fn) == 0, "pci_bus_add");
	require(virtio_pci_connect(s.fn, s.g->loop) == 0, "virtio_pci_connect");
	(void)bus_write(s.mmio, ECAM + PCI_COMMAND, &command, sizeof(command));
	require(pthread_create(&thread, NULL, run_loop, &s) == 0, "pthread_create");
	drive(&s);
	loop_stop(s.g->loop);
	pthread_join(thread, NULL);
	s.fn->dev.ops->destroy(&s.fn->dev);
	bus_free(s.mmio);
	fake_guest_free(s.g);
	return 0;
}
