/* SPDX-License-Identifier: MIT */
/*
 * A network card whose driver sends, receives and resets on one thread while the card is served on
 * another, its supervisor on a third, and what stands for the network process, which ends again and
 * again, on more. Run under TSan it shows that the device's lock covers the card and its cable;
 * everywhere, that frames come back after each new cable and that no figure is torn.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net.h"
#include "devices/virtio/pci.h"
#include "tests/support/fake_guest.h"
#include "vmm/net/supervisor.h"

#define ECAM   0xb0000000ull
#define WINDOW 0xc0000000ull

enum {
	Q_RX,
	Q_TX,
	SIZE = 64,
	ISR = 0x1000,
	NOTIFY = 0x3000,
	HEADER = sizeof(struct virtio_net_hdr_v1),
	FRAME = 200,
	/* Frames that one process sends back before it ends, and how many follow the first. */
	LIFE = 40,
	PLUGS = 6,
};

struct stress {
	struct fake_guest *g;
	struct fake_wiring fw;
	struct bus *mmio;
	struct pci_bus pci;
	struct pci_function *fn;
	struct net_device *card;
	struct loop *loop; /* the supervisor's */
	uint64_t came; /* frames that the driver got back */
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "stress_net: %s\n", what);
	abort();
}

static void *run_loop(void *loop)
{
	require(loop_run(loop) == 0, "loop_run");
	return NULL;
}

/* Sends back what comes, with a report now and then, LIFE times; then the cable is gone. */
static void *process(void *arg)
{
	const int cable = *(int *)arg;
	uint8_t message[HEADER + FRAME];
	uint64_t dropped = 0;

	free(arg);
	for (unsigned int i = 0; i < LIFE; i++) {
		ssize_t n = recv(cable, message, sizeof(message), 0);

		if (n <= 0)
			break;
		require(n == sizeof(message), "a frame of another length");
		dropped++;
		(void)send(cable, &dropped, sizeof(dropped), MSG_DONTWAIT | MSG_NOSIGNAL);
		(void)send(cable, message, sizeof(message), MSG_NOSIGNAL);
	}
	close(cable);
	return NULL;
}

static int start_process(int cable)
{
	int *mine = malloc(sizeof(*mine));
	pthread_t thread;

	*mine = cable;
	require(pthread_create(&thread, NULL, process, mine) == 0 && pthread_detach(thread) == 0,
		"pthread_create");
	return 0;
}

/* On the supervisor's thread. */
static int ask(int line, int *cable)
{
	int ends[2];

	(void)line;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	require(send(ends[1], "", 1, 0) == 1, "the answer");
	*cable = ends[0];
	return start_process(ends[1]);
}

static void wr(struct stress *s, unsigned int off, uint64_t v, unsigned int len)
{
	(void)bus_write(s->mmio, WINDOW + off, &v, len);
}

static void bring_up(struct stress *s)
{
	wr(s, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	wr(s, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	wr(s, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	wr(s, VIRTIO_PCI_COMMON_GF, 1, 4);
	wr(s, VIRTIO_PCI_COMMON_STATUS, 11, 1);
	for (unsigned int q = 0; q < 2; q++) {
		const struct fake_ring *ring = &s->g->rings[q];

		wr(s, VIRTIO_PCI_COMMON_Q_SELECT, q, 2);
		wr(s, VIRTIO_PCI_COMMON_Q_SIZE, SIZE, 2);
		wr(s, VIRTIO_PCI_COMMON_Q_DESCLO, ring->desc, 8);
		wr(s, VIRTIO_PCI_COMMON_Q_AVAILLO, ring->avail, 8);
		wr(s, VIRTIO_PCI_COMMON_Q_USEDLO, ring->used, 8);
		wr(s, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	}
	wr(s, VIRTIO_PCI_COMMON_STATUS, 15, 1);
}

static void kick(struct stress *s, unsigned int q)
{
	(void)fake_wiring_ring(&s->fw, WINDOW + NOTIFY + 4 * q);
}

/* One life of the driver: buffers for all, then frames, until `want` came back or the cable went. */
static void drive(struct stress *s, unsigned int want)
{
	static const uint8_t frame[HEADER + FRAME];
	const struct fake_seg out = fake_put(s->g, frame, sizeof(frame));
	struct net_figures before, now;
	unsigned int came = 0, sent = 0;

	for (unsigned int i = 0; i < SIZE / 2; i++) {
		struct fake_seg room = fake_room(s->g, HEADER + FRAME);

		(void)fake_publish(s->g, Q_RX, &room, 1);
	}
	kick(s, Q_RX);
	net_device_figures(s->card, &before);
	do {
		if (sent - came < SIZE / 4 && sent < SIZE / 2) {
			(void)fake_publish(s->g, Q_TX, &out, 1);
			kick(s, Q_TX);
			sent++;
		}
		while (fake_reap(s->g, Q_RX, NULL, NULL))
			came++;
		(void)fake_reap(s->g, Q_TX, NULL, NULL);
		sched_yield();
		net_device_figures(s->card, &now);
		require(now.rx_bytes == now.rx_frames * FRAME, "torn figures");
	} while (came < want && now.plugs == before.plugs && now.up);
	s->came += came;
}

static void run(struct stress *s)
{
	const gpa_t mark = s->g->heap;
	struct net_figures f = {.plugs = 0};

	for (unsigned int n = 0; f.plugs < PLUGS; n++) {
		fake_release(s->g, mark);
		fake_ring_init(s->g, &s->g->rings[Q_RX], SIZE);
		fake_ring_init(s->g, &s->g->rings[Q_TX], SIZE);
		bring_up(s);
		/* Now and then the reset finds it at work. */
		drive(s, n % 4);
		wr(s, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		net_device_figures(s->card, &f);
	}
	require(s->came > 0, "no frame came back");
}

static void build(struct stress *s)
{
	static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5};
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	struct virtio_device *vdev;
	int ends[2];

	require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
	require(start_process(ends[1]) == 0, "start_process");
	fake_wiring_init(&s->fw);
	require(bus_new(&s->mmio) == 0, "bus_new");
	require(virtio_net_new(mac, ends[0], &vdev, &s->card) == 0, "virtio_net_new");
	require(virtio_pci_new(vdev, &s->g->mem, &s->fw.wiring, &s->fn) == 0, "virtio_pci_new");
	pci_bus_init(&s->pci, s->mmio,
		     &(struct pci_windows){.ecam = ECAM, .base32 = WINDOW, .len32 = 0x100000});
	require(pci_bus_add(&s->pci, s->fn) == 0, "pci_bus_add");
	require(virtio_pci_connect(s->fn, s->g->loop) == 0, "virtio_pci_connect");
	(void)bus_write(s->mmio, ECAM + PCI_COMMAND, &command, sizeof(command));
}

int main(void)
{
	struct stress s = {.g = fake_guest_new()};
	struct net_supervisor_setup setup = {.ask = ask, .pause_ms = 1};
	struct net_supervisor *supervisor;
	pthread_t card, side;

	build(&s);
	require(loop_new(&s.loop) == 0, "loop_new");
	setup.loop = s.loop;
	setup.card_loop = s.g->loop;
	setup.card = s.card;
	require(net_supervisor_new(&setup, &supervisor) == 0, "net_supervisor_new");
	require(pthread_create(&card, NULL, run_loop, s.g->loop) == 0, "pthread_create");
	require(pthread_create(&side, NULL, run_loop, s.loop) == 0, "pthread_create");
	run(&s);
	loop_stop(s.g->loop);
	pthread_join(card, NULL);
	loop_stop(s.loop);
	pthread_join(side, NULL);
	net_supervisor_free(supervisor);
	s.fn->dev.ops->destroy(&s.fn->dev);
	loop_free(s.loop);
	bus_free(s.mmio);
	fake_guest_free(s.g);
	return 0;
}
