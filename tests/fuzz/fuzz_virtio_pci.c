/* SPDX-License-Identifier: MIT */
/*
 * Bytes: a sequence of reads and writes of configuration spaces and BARs of three functions,
 * with guest memory behind them, and of turns of the loop. One is a virtio-rng, two are models
 * of the target's own that have all a model can have: a reset that waits for the loop, shared
 * memory, a configuration the driver writes. Any call of the wiring may fail.
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
#define HIGH   0x800000000ull

enum {
	MAX_OPS = 400,
	RING_BYTES = 96,
	NOTIFY = 0x3000,
	MSIX_TABLE = 0x4000,
	BAR_SIZE = 0x8000,
	SHM_SIZE = 4 << 20,
	CONFIG_LEN = 24,
	WRITABLE_OFF = 4,
	WRITABLE_LEN = 13,
	N_FUNCTIONS = 3,
};

struct machine {
	struct fake_guest *g;
	struct fake_wiring fw;
	struct bus *mmio;
	struct pci_bus pci;
	struct pci_function *fns[N_FUNCTIONS];
	gpa_t bar; /* BAR 0 of the function at hand, */
	gpa_t config; /* and its configuration space */
};

/* A model that has all a model can have. */
struct model {
	struct virtio_device vdev;
	struct virtq_chain chain;
	uint8_t config[CONFIG_LEN];
};

static _Alignas(2 << 20) const uint8_t shm[SHM_SIZE];

static bool serve(struct virtio_device *vdev, unsigned int q)
{
	struct model *m = CONTAINER_OF(vdev, struct model, vdev);
	uint8_t first = 0;

	virtio_device_leave(vdev);
	(void)chain_read(&m->chain, 0, &first, sizeof(first));
	virtio_device_enter(vdev);
	if (first == 0xff) {
		virtio_device_break(vdev, "it was told to");
		return false;
	}
	if (first & 1)
		virtio_device_config_changed(vdev);
	virtq_push(&vdev->queues[q], m->chain.head, 0);
	return true;
}

static void model_kick(struct virtio_device *vdev, unsigned int q)
{
	if (vdev->resetting)
		abort();
	(void)virtio_device_serve(vdev, q, &CONTAINER_OF(vdev, struct model, vdev)->chain, serve);
}

static void model_reset(struct virtio_device *vdev)
{
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++)
		if (vdev->queues[q].ready)
			abort();
}

static void model_written(struct virtio_device *vdev, size_t off, size_t len)
{
	(void)vdev;
	if (off < WRITABLE_OFF || len > WRITABLE_LEN || off - WRITABLE_OFF > WRITABLE_LEN - len)
		abort();
}

static void model_destroy(struct virtio_device *vdev)
{
	free(CONTAINER_OF(vdev, struct model, vdev));
}

static const struct virtio_device_ops model_ops = {
	.name = "fuzz-model",
	.type = 63,
	.n_queues = 3,
	.queue_max = {16, 64, 1},
	.queue_kick = model_kick,
	.reset = model_reset,
	.reset_waits = true,
	.config_written = model_written,
	.destroy = model_destroy,
};

static struct virtio_device *model_new(bool with_shm)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	virtio_device_init(&m->vdev, &model_ops, m->config, sizeof(m->config));
	m->vdev.config_writable_off = WRITABLE_OFF;
	m->vdev.config_writable_len = WRITABLE_LEN;
	if (with_shm) {
		m->vdev.shm = shm;
		m->vdev.shm_len = sizeof(shm);
	}
	return &m->vdev;
}

static const uint8_t widths[] = {1, 2, 4, 8, 4, 2, 3, 7};

static void reg_access(struct machine *m, struct fuzz_input *in, gpa_t addr, uint8_t how)
{
	unsigned int len = widths[how & 7];
	uint64_t v;

	if (how & 0x80) {
		(void)bus_read(m->mmio, addr, &v, len);
		return;
	}
	v = fuzz_u64(in);
	/* Addresses that a random number does not find. */
	if (how & 0x40)
		v = FAKE_RAM_BASE + (v & 0xff0);
	(void)bus_write(m->mmio, addr, &v, len);
}

static void bar_write(struct machine *m, unsigned int off, uint64_t v, unsigned int len)
{
	(void)bus_write(m->mmio, m->bar + off, &v, len);
}

/* A whole driver, but for the parts that `how` leaves out: no fuzzer guesses all of it at once. */
static void bring_up(struct machine *m, uint8_t how)
{
	bar_write(m, VIRTIO_PCI_COMMON_STATUS, how & 1 ? 1 : 0, 1);
	/* One that was in use is reset by the loop. */
	fake_guest_settle(m->g);
	bar_write(m, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	bar_write(m, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	bar_write(m, VIRTIO_PCI_COMMON_GF, how & 2 ? 0 : 3ull << VIRTIO_RING_F_INDIRECT_DESC, 4);
	bar_write(m, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	bar_write(m, VIRTIO_PCI_COMMON_GF, 1, 4);
	bar_write(m, VIRTIO_PCI_COMMON_STATUS, how & 4 ? 3 : 11, 1);
	bar_write(m, VIRTIO_PCI_COMMON_Q_SELECT, how >> 7, 2);
	bar_write(m, VIRTIO_PCI_COMMON_Q_MSIX, how & 8 ? 0 : 1, 2);
	bar_write(m, VIRTIO_PCI_COMMON_Q_AVAILLO, FAKE_RAM_BASE, 8);
	bar_write(m, VIRTIO_PCI_COMMON_Q_DESCLO, FAKE_RAM_BASE + 0x40, 8);
	bar_write(m, VIRTIO_PCI_COMMON_Q_USEDLO, FAKE_RAM_BASE + 0x200, 4);
	bar_write(m, VIRTIO_PCI_COMMON_Q_USEDHI, 0, 4);
	bar_write(m, VIRTIO_PCI_COMMON_Q_ENABLE, how & 16 ? 0 : 1, 2);
	bar_write(m, VIRTIO_PCI_COMMON_STATUS, how & 32 ? 11 : 15, 1);
}

/* MSI-X on, vector 1 as the input says, and perhaps masked. */
static void enable_msix(struct machine *m, struct fuzz_input *in, uint8_t how)
{
	const struct pci_function *fn = m->fns[(m->config - ECAM) / PCI_ECAM_FUNCTION_SIZE];
	uint16_t control = (uint16_t)((how & 1 ? 0 : PCI_MSIX_FLAGS_ENABLE) |
				      (how & 2 ? PCI_MSIX_FLAGS_MASKALL : 0));

	(void)bus_write(m->mmio, m->config + fn->msix_cap + PCI_MSIX_FLAGS, &control,
			sizeof(control));
	bar_write(m, MSIX_TABLE + 16 + PCI_MSIX_ENTRY_LOWER_ADDR, 0xfee00000u + fuzz_u8(in), 4);
	bar_write(m, MSIX_TABLE + 16 + PCI_MSIX_ENTRY_DATA, fuzz_u8(in), 4);
	bar_write(m, MSIX_TABLE + 16 + PCI_MSIX_ENTRY_VECTOR_CTRL, how >> 2 & 1, 4);
}

static unsigned int window_cap(const uint8_t *config)
{
	unsigned int at = config[PCI_CAPABILITY_LIST];

	while (config[at + PCI_CAP_LIST_ID] != PCI_CAP_ID_VNDR ||
	       config[at + offsetof(struct virtio_pci_cap, cfg_type)] != VIRTIO_PCI_CAP_PCI_CFG)
		at = config[at + PCI_CAP_LIST_NEXT];
	return at;
}

/* The window on BAR 0 in configuration space (4.1.4.9): where it shows, then its data. */
static void use_window(struct machine *m, struct fuzz_input *in, uint8_t how)
{
	const struct pci_function *fn = m->fns[(m->config - ECAM) / PCI_ECAM_FUNCTION_SIZE];
	const gpa_t at = m->config + window_cap(fn->state.config);
	uint32_t off = fuzz_u16(in) & 0x703f, len = 1u << (how & 3), data = fuzz_u8(in);

	(void)bus_write(m->mmio, at + offsetof(struct virtio_pci_cap, offset), &off, sizeof(off));
	(void)bus_write(m->mmio, at + offsetof(struct virtio_pci_cap, length), &len, sizeof(len));
	if (how & 8)
		(void)bus_read(m->mmio, at + sizeof(struct virtio_pci_cap), &data, sizeof(data));
	else
		(void)bus_write(m->mmio, at + sizeof(struct virtio_pci_cap), &data, sizeof(data));
}

/* The queue that bring_up() makes: up to 16 chains, all the same. */
static void publish(struct machine *m, uint8_t how, uint16_t idx)
{
	struct vring_desc d = {.addr = FAKE_RAM_BASE + 0x400,
			       .len = how,
			       .flags = how & 1 ? VRING_DESC_F_WRITE : 0};
	uint8_t *ram = fake_ptr(m->g, FAKE_RAM_BASE, 0x500);

	memset(ram, 0, 0x40);
	memcpy(ram + offsetof(struct vring_avail, idx), &idx, sizeof(idx));
	memcpy(ram + 0x40, &d, sizeof(d));
	ram[0x400] = how;
}

static void choose(struct machine *m, unsigned int n)
{
	m->bar = m->fns[n]->bars[0].addr;
	m->config = ECAM + (gpa_t)n * PCI_ECAM_FUNCTION_SIZE;
}

/* The loop for a while, and doorbells that a hypervisor would turn into events. */
static void turn(struct machine *m, uint8_t how)
{
	if (how & 1)
		bar_write(m, NOTIFY + (how >> 6) * 4, 0, 2);
	if (how & 2)
		(void)fake_wiring_ring(&m->fw, m->bar + NOTIFY + (how >> 6) * 4);
	fake_guest_settle(m->g);
}

static void step(struct machine *m, struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in), how = fuzz_u8(in);
	uint16_t off = fuzz_u16(in);

	switch (op % 14) {
	case 0:
	case 1:
		reg_access(m, in, m->config + (off & 0x1ff), how);
		break;
	case 2:
	case 3:
	case 4: /* common configuration, where the state machine is */
		reg_access(m, in, m->bar + (off & 0x3f), how);
		break;
	case 5:
		reg_access(m, in, m->bar + off % BAR_SIZE, how);
		break;
	case 6:
		bring_up(m, how);
		break;
	case 7:
		fuzz_bytes(in, fake_ptr(m->g, FAKE_RAM_BASE + (off & 0x1c0), RING_BYTES),
			   RING_BYTES);
		break;
	case 8:
		publish(m, how, off % 17);
		break;
	case 9:
		choose(m, how % N_FUNCTIONS);
		break;
	case 10:
		enable_msix(m, in, how);
		break;
	case 11:
		use_window(m, in, how);
		break;
	case 12: /* the device's configuration, and the window, of which nothing comes by here */
		reg_access(m, in, how & 8 ? HIGH + off : m->bar + 0x2000 + (off & 0xf), how);
		break;
	default:
		turn(m, how);
		break;
	}
}

/* Takes vdev over. */
static void plug(struct machine *m, unsigned int n, struct virtio_device *vdev)
{
	const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	if (virtio_pci_new(vdev, &m->g->mem, &m->fw.wiring, &m->fns[n]) < 0 ||
	    pci_bus_add(&m->pci, m->fns[n]) < 0 || virtio_pci_connect(m->fns[n], m->g->loop) < 0)
		abort();
	choose(m, n);
	(void)bus_write(m->mmio, m->config + PCI_COMMAND, &command, sizeof(command));
}

static void build(struct machine *m)
{
	const struct pci_windows windows = {.ecam = ECAM,
					    .base32 = WINDOW,
					    .len32 = 0x100000,
					    .base64 = HIGH,
					    .len64 = 1ull << 30};
	struct virtio_device *rng;

	m->g = fake_guest_new();
	fake_wiring_init(&m->fw);
	if (bus_new(&m->mmio) < 0 || virtio_rng_new(&rng) < 0)
		abort();
	pci_bus_init(&m->pci, m->mmio, &windows);
	plug(m, 0, rng);
	plug(m, 1, model_new(true));
	plug(m, 2, model_new(false));
	if (pci_bus_show(&m->pci, &m->fw.wiring) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct machine m = {.bar = 0};
	uint8_t first = fuzz_u8(&in);

	build(&m);
	choose(&m, first % N_FUNCTIONS);
	/* Some machines run out of interrupt routes. */
	m.fw.fail_after = first & 0x80 ? first & 0x3f : -1;
	for (unsigned int n = 0; n < MAX_OPS && in.left > 0; n++)
		step(&m, &in);
	m.fw.fail_after = -1;
	/*
	 * What the guest reads from memory is what is there, until it has to ask; but for a
	 * host that could not take the memory out, which is said in the log.
	 */
	for (unsigned int i = 0; !(first & 0x80) && m.fw.memory.host && i < N_FUNCTIONS; i++)
		if (memcmp((const uint8_t *)m.fw.memory.host + i * PCI_ECAM_FUNCTION_SIZE,
			   m.fns[i]->state.config, PCI_CONFIG_SIZE) != 0)
			abort();
	for (unsigned int i = 0; i < N_FUNCTIONS; i++)
		m.fns[i]->dev.ops->destroy(&m.fns[i]->dev);
	pci_bus_fini(&m.pci);
	bus_free(m.mmio);
	fake_guest_free(m.g);
	return 0;
}
