/* SPDX-License-Identifier: MIT */
#include "tests/unit/devices/virtio/pci_probe.h"

#include <criterion/criterion.h>
#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#include "common/state.h"

unsigned int alive;

static struct probe *to_probe(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct probe, vdev);
}

static void probe_activate(struct virtio_device *vdev)
{
	to_probe(vdev)->activations++;
}

static void probe_kick(struct virtio_device *vdev, unsigned int q)
{
	struct probe *p = to_probe(vdev);
	char buf[64];
	int r;

	p->kicks[q]++;
	if (p->meanwhile) {
		virtio_device_leave(vdev);
		p->meanwhile();
		virtio_device_enter(vdev);
	}
	while ((r = virtq_pop(&vdev->queues[q], &p->chain)) > 0) {
		size_t n = chain_read(&p->chain, 0, buf, sizeof(buf));

		if (p->hold)
			return;
		n = chain_write(&p->chain, 0, buf, n);
		virtq_push(&vdev->queues[q], p->chain.head, (uint32_t)n);
	}
	if (r < 0)
		virtio_device_break(vdev, "broken ring");
	virtio_device_flush(vdev, q);
}

static void probe_reset(struct virtio_device *vdev)
{
	to_probe(vdev)->resets++;
}

static void probe_config_written(struct virtio_device *vdev, size_t off, size_t len)
{
	struct probe *p = to_probe(vdev);

	p->config_writes++;
	p->config_off = off;
	p->config_len = len;
}

static void probe_save(struct virtio_device *vdev, struct state_writer *w)
{
	state_put_int(w, to_probe(vdev)->activations, 4);
}

static void probe_load(struct virtio_device *vdev, struct state_reader *r)
{
	to_probe(vdev)->loaded = (unsigned int)state_get_int(r, 4);
}

static void probe_destroy(struct virtio_device *vdev)
{
	alive--;
	free(to_probe(vdev));
}

static const struct virtio_device_ops probe_ops = {
	.name = "virtio-probe",
	.type = VIRTIO_ID_CONSOLE,
	.n_queues = 2,
	.queue_max = {8, 16},
	.features = FEATURE,
	.activate = probe_activate,
	.queue_kick = probe_kick,
	.reset = probe_reset,
	.config_written = probe_config_written,
	.save = probe_save,
	.load = probe_load,
	.destroy = probe_destroy,
};

struct fake_guest *g;
struct fake_wiring fw;
struct bus *mmio;
struct pci_bus pci;
struct pci_function *fn;
struct probe *probe;
gpa_t config, common, isr, device, notify, table;
gpa_t shm;
uint64_t shm_len;
unsigned int window;

uint64_t rd(gpa_t addr, unsigned int len)
{
	uint64_t v = 0;

	(void)bus_read(mmio, addr, &v, len);
	return v;
}

void wr(gpa_t addr, unsigned int len, uint64_t v)
{
	(void)bus_write(mmio, addr, &v, len);
}

struct virtio_device *new_probe(void)
{
	probe = calloc(1, sizeof(*probe));
	cr_assert_not_null(probe);
	alive++;
	probe->behind_config = 0xeeeeeeee;
	virtio_device_init(&probe->vdev, &probe_ops, probe->config, sizeof(probe->config));
	probe->vdev.config_writable_off = 4;
	probe->vdev.config_writable_len = 4;
	for (unsigned int i = 0; i < sizeof(probe->config); i++)
		probe->config[i] = (uint8_t)(0x10 + i);
	return &probe->vdev;
}

/* The 64-bit capability of region 0, and the BAR it points to. */
static void find_shm(unsigned int at)
{
	const gpa_t bar = config + PCI_BASE_ADDRESS_0 + 4 * rd(config + at + 4, 1);

	cr_assert_eq(rd(config + at + 2, 1), sizeof(struct virtio_pci_cap64));
	cr_assert_eq(rd(config + at + offsetof(struct virtio_pci_cap, id), 1), 0);
	cr_assert_eq(rd(config + at + offsetof(struct virtio_pci_cap64, offset_hi), 4), 0);
	shm = (rd(bar, 8) & ~0xfull) + rd(config + at + offsetof(struct virtio_pci_cap, offset), 4);
	shm_len = rd(config + at + offsetof(struct virtio_pci_cap, length), 4) |
		  rd(config + at + offsetof(struct virtio_pci_cap64, length_hi), 4) << 32;
}

void find_structures(void)
{
	gpa_t bar0 = rd(config + PCI_BASE_ADDRESS_0, 4);
	unsigned int at = (unsigned int)rd(config + PCI_CAPABILITY_LIST, 1);

	for (unsigned int n = 0; at && n < 16; n++) {
		gpa_t where = bar0 + rd(config + at + offsetof(struct virtio_pci_cap, offset), 4);

		if (rd(config + at, 1) == PCI_CAP_ID_MSIX) {
			table = bar0 +
				(rd(config + at + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET);
		} else {
			uint64_t type = rd(config + at + 3, 1);

			cr_assert_eq(rd(config + at, 1), PCI_CAP_ID_VNDR);
			cr_assert_eq(rd(config + at + 4, 1),
				     type == VIRTIO_PCI_CAP_SHARED_MEMORY_CFG ? 2 : 0);
			switch (type) {
			case VIRTIO_PCI_CAP_COMMON_CFG:
				common = where;
				break;
			case VIRTIO_PCI_CAP_NOTIFY_CFG:
				notify = where;
				cr_assert_eq(rd(config + at + 16, 4), 4);
				break;
			case VIRTIO_PCI_CAP_ISR_CFG:
				isr = where;
				break;
			case VIRTIO_PCI_CAP_DEVICE_CFG:
				device = where;
				cr_assert_eq(rd(config + at + 12, 4), sizeof(probe->config));
				break;
			case VIRTIO_PCI_CAP_SHARED_MEMORY_CFG:
				find_shm(at);
				break;
			default:
				window = at;
				break;
			}
		}
		at = (unsigned int)rd(config + at + 1, 1);
	}
	cr_assert(common && notify && isr && device && table && window);
}

void probe_start(void)
{
	g = fake_guest_new();
	fake_wiring_init(&fw);
	cr_assert_eq(bus_new(&mmio), 0);
	pci_bus_init(&pci, mmio, &(struct pci_windows){ECAM, WINDOW, 0x100000, HIGH, 0x100000});
	cr_assert_eq(virtio_pci_new(new_probe(), &g->mem, &fw.wiring, &fn), 0);
	cr_assert_eq(pci_bus_add(&pci, fn), 0);
	cr_assert_eq(virtio_pci_connect(fn, g->loop), 0);
	config = ECAM;
	wr(config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	find_structures();
	/* All three vectors unmasked. */
	wr(config + fn->msix_cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned int v = 0; v < 3; v++) {
		wr(table + 16 * v, 8, 0xfee00000);
		wr(table + 16 * v + 8, 8, v);
	}
}

void probe_stop(void)
{
	fn->dev.ops->destroy(&fn->dev);
	cr_assert_eq(alive, 0);
	pci_bus_fini(&pci);
	bus_free(mmio);
	fake_guest_free(g);
}

uint8_t status(void)
{
	return (uint8_t)rd(common + VIRTIO_PCI_COMMON_STATUS, 1);
}

void set_status(uint8_t v)
{
	wr(common + VIRTIO_PCI_COMMON_STATUS, 1, v);
}

bool add_status(uint8_t bit)
{
	set_status(status() | bit);
	return status() & bit;
}

void accept_features(uint64_t f)
{
	set_status(0);
	add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	add_status(VIRTIO_CONFIG_S_DRIVER);
	for (unsigned int i = 0; i < 2; i++) {
		wr(common + VIRTIO_PCI_COMMON_GFSELECT, 4, i);
		wr(common + VIRTIO_PCI_COMMON_GF, 4, (uint32_t)(f >> (32 * i)));
	}
}

void select_queue(unsigned int q)
{
	wr(common + VIRTIO_PCI_COMMON_Q_SELECT, 2, q);
}

void set_address(unsigned int reg, gpa_t addr)
{
	wr(common + reg, 4, (uint32_t)addr);
	wr(common + reg + 4, 4, addr >> 32);
}

gpa_t get_address(unsigned int reg)
{
	return rd(common + reg, 4) | rd(common + reg + 4, 4) << 32;
}

void set_up_queue(unsigned int q)
{
	struct fake_ring *ring = &g->rings[q];

	select_queue(q);
	fake_ring_init(g, ring, (uint16_t)rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2));
	set_address(VIRTIO_PCI_COMMON_Q_DESCLO, ring->desc);
	set_address(VIRTIO_PCI_COMMON_Q_AVAILLO, ring->avail);
	set_address(VIRTIO_PCI_COMMON_Q_USEDLO, ring->used);
	wr(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 1 + q);
	wr(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
}

void bring_up(void)
{
	accept_features(VERSION1);
	cr_assert(add_status(VIRTIO_CONFIG_S_FEATURES_OK));
	wr(common + VIRTIO_PCI_COMMON_MSIX, 2, 0);
	set_up_queue(0);
	set_up_queue(1);
	cr_assert(add_status(VIRTIO_CONFIG_S_DRIVER_OK));
}

struct fake_seg publish(unsigned int q)
{
	struct fake_seg segs[2] = {fake_put(g, "ping", 4), fake_room(g, 4)};

	(void)fake_publish(g, q, segs, 2);
	return segs[1];
}
