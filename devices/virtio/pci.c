/* SPDX-License-Identifier: MIT */
#include "devices/virtio/pci_priv.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <string.h>
#include <sys/epoll.h>

/* Lay-out of BAR 0, part of the guest's ABI. A page each, so that none can be mapped with another. */
enum {
	COMMON_OFF = 0x0000,
	ISR_OFF = 0x1000,
	CONFIG_OFF = 0x2000,
	NOTIFY_OFF = 0x3000,
	MSIX_TABLE_OFF = 0x4000,
	MSIX_PBA_OFF = 0x5000,
	BAR_SIZE = 0x8000,
	REGION_SIZE = 0x1000,
	NOTIFY_STRIDE = 4,

	SHM_BAR = 2, /* and 3: it has 64 bits */
};

enum {
	VIRTIO_VENDOR = 0x1af4,
	VIRTIO_DEVICE_BASE = 0x1040, /* + VIRTIO_ID_* (4.1.2) */
	VIRTIO_REVISION = 1,
	NO_VECTOR = VIRTIO_MSI_NO_VECTOR,
	ISR_QUEUE = 1,
	ISR_CONFIG = 2,
};

/* Interrupts */

static void interrupt_queue(struct virtio_transport *t, unsigned int q)
{
	struct virtio_pci *vp = CONTAINER_OF(t, struct virtio_pci, transport);

	vp->state.isr |= ISR_QUEUE;
	pci_msix_raise(&vp->fn, vp->state.queue_vector[q]);
}

static void interrupt_config(struct virtio_transport *t)
{
	struct virtio_pci *vp = CONTAINER_OF(t, struct virtio_pci, transport);

	vp->state.config_generation++;
	/* No notification before DRIVER_OK (3.1.1); the driver reads configuration then. */
	if (!vp->vdev->active)
		return;
	vp->state.isr |= ISR_CONFIG;
	pci_msix_raise(&vp->fn, vp->state.config_vector);
}

static void kick_later(struct virtio_transport *t, unsigned int q)
{
	virtio_pci_ring(CONTAINER_OF(t, struct virtio_pci, transport), q);
}

/* The device's status (2.1) */

/* What the driver finds at power-on and after a reset. */
static void clear_state(struct virtio_pci *vp)
{
	/* A driver that read the generation before must not see it come again. */
	vp->state = (struct virtio_pci_state){
		.config_vector = NO_VECTOR,
		.config_generation = vp->state.config_generation,
	};
	for (unsigned int q = 0; q < vp->vdev->ops->n_queues; q++) {
		vp->state.queue_vector[q] = NO_VECTOR;
		vp->vdev->queues[q].state.size = vp->vdev->queues[q].max_size;
	}
}

static void was_reset(struct virtio_transport *t)
{
	clear_state(CONTAINER_OF(t, struct virtio_pci, transport));
}

static const struct virtio_transport_ops transport_ops = {
	.interrupt_queue = interrupt_queue,
	.interrupt_config = interrupt_config,
	.kick_later = kick_later,
	.was_reset = was_reset,
};

static bool features_ok(const struct virtio_pci *vp)
{
	uint64_t f = vp->state.driver_features;

	return !(f & ~virtio_device_features(vp->vdev)) && (f >> VIRTIO_F_VERSION_1 & 1);
}

/* The driver adds bits in order; one that comes too early, or is refused, does not stick. */
static void write_status(struct virtio_pci *vp, uint8_t v)
{
	const uint8_t found = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	struct virtio_pci_state *s = &vp->state;

	/* Until it is done, the driver reads the status it had: never 0 (4.1.4.3.1). */
	if (vp->vdev->resetting)
		return;
	if (v == 0) {
		virtio_device_reset(vp->vdev);
		if (!vp->vdev->resetting)
			clear_state(vp);
		return;
	}
	s->status |= v & (found | VIRTIO_CONFIG_S_FAILED);
	if ((v & VIRTIO_CONFIG_S_FEATURES_OK) && (s->status & found) == found &&
	    !(s->status & VIRTIO_CONFIG_S_FEATURES_OK) && features_ok(vp)) {
		s->status |= VIRTIO_CONFIG_S_FEATURES_OK;
		vp->vdev->acked = s->driver_features;
	}
	if (!(v & VIRTIO_CONFIG_S_DRIVER_OK) || (s->status & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    !(s->status & VIRTIO_CONFIG_S_FEATURES_OK) || (s->status & VIRTIO_CONFIG_S_FAILED))
		return;
	s->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	virtio_device_activate(vp->vdev, vp->mem);
	/* This is a vCPU's thread: have the loop look at every queue once. */
	for (unsigned int q = 0; q < vp->vdev->ops->n_queues; q++)
		virtio_pci_ring(vp, q);
}

/* Common configuration (4.1.4.3) */

static struct virtq *selected_queue(struct virtio_pci *vp)
{
	unsigned int q = vp->state.queue_select;

	return q < vp->vdev->ops->n_queues ? &vp->vdev->queues[q] : NULL;
}

/* One of the two 32-bit windows on 64 feature bits; the others are empty. */
static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> (32 * select)) : 0;
}

static void common_read(struct virtio_pci *vp, uint64_t off, void *data, unsigned int len)
{
	const struct virtio_pci_state *s = &vp->state;
	const struct virtio_device *vdev = vp->vdev;
	const struct virtq *vq = selected_queue(vp);
	struct virtio_pci_common_cfg c = {
		.device_feature_select = htole32(s->device_feature_select),
		.device_feature = htole32(
			feature_word(virtio_device_features(vdev), s->device_feature_select)),
		.guest_feature_select = htole32(s->driver_feature_select),
		.guest_feature =
			htole32(feature_word(s->driver_features, s->driver_feature_select)),
		.msix_config = htole16(s->config_vector),
		.num_queues = htole16((uint16_t)vdev->ops->n_queues),
		.device_status = s->status | (vdev->broken ? VIRTIO_CONFIG_S_NEEDS_RESET : 0),
		.config_generation = s->config_generation,
		.queue_select = htole16(s->queue_select),
		.queue_msix_vector = htole16(NO_VECTOR),
	};

	if (vq) {
		c.queue_size = htole16(vq->state.size);
		c.queue_msix_vector = htole16(s->queue_vector[s->queue_select]);
		c.queue_enable = htole16(vq->state.enabled);
		c.queue_notify_off = htole16(s->queue_select);
		c.queue_desc_lo = htole32((uint32_t)vq->state.desc);
		c.queue_desc_hi = htole32((uint32_t)(vq->state.desc >> 32));
		c.queue_avail_lo = htole32((uint32_t)vq->state.avail);
		c.queue_avail_hi = htole32((uint32_t)(vq->state.avail >> 32));
		c.queue_used_lo = htole32((uint32_t)vq->state.used);
		c.queue_used_hi = htole32((uint32_t)(vq->state.used >> 32));
	}
	memset(data, 0, len);
	if (off < sizeof(c))
		memcpy(data, (const uint8_t *)&c + off, min_size(len, sizeof(c) - off));
}

/* The vector as the driver will read it back: NO_VECTOR when we cannot have it. */
static uint16_t usable_vector(const struct virtio_pci *vp, uint64_t v)
{
	return v < vp->fn.n_vectors ? (uint16_t)v : NO_VECTOR;
}

static void set_half(uint64_t *v, bool high, uint64_t half)
{
	*v = high ? (*v & 0xffffffffull) | half << 32 : (*v & ~0xffffffffull) | half;
}

static void write_ring_address(struct virtio_pci *vp, uint64_t off, uint64_t v, unsigned int len)
{
	struct virtq *vq = selected_queue(vp);
	gpa_t *addr;

	/* A queue in use stays where it is until the device is reset (4.1.4.3.2). */
	if (!vq || vq->state.enabled || vp->vdev->active)
		return;
	if (off < VIRTIO_PCI_COMMON_Q_AVAILLO)
		addr = &vq->state.desc;
	else if (off < VIRTIO_PCI_COMMON_Q_USEDLO)
		addr = &vq->state.avail;
	else
		addr = &vq->state.used;
	if (len == 8 && off % 8 == 0)
		*addr = v;
	else if (len == 4 && off % 4 == 0)
		set_half(addr, off % 8 != 0, v);
}

static void write_queue_field(struct virtio_pci *vp, uint64_t off, uint16_t v)
{
	struct virtq *vq = selected_queue(vp);

	if (!vq)
		return;
	if (off == VIRTIO_PCI_COMMON_Q_MSIX) {
		vp->state.queue_vector[vp->state.queue_select] = usable_vector(vp, v);
		return;
	}
	if (vq->state.enabled || vp->vdev->active)
		return;
	if (off == VIRTIO_PCI_COMMON_Q_ENABLE)
		vq->state.enabled = v == 1;
	else if (v > 0 && v <= vq->max_size && (v & (v - 1)) == 0)
		vq->state.size = v;
}

static void write_driver_features(struct virtio_pci *vp, uint32_t v)
{
	struct virtio_pci_state *s = &vp->state;

	if (!(s->status & VIRTIO_CONFIG_S_FEATURES_OK) && s->driver_feature_select < 2)
		set_half(&s->driver_features, s->driver_feature_select == 1, v);
}

/* Bytes of the field at `off`; 0 where none begins that a driver may write. */
static unsigned int common_field_len(uint64_t off)
{
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
	case VIRTIO_PCI_COMMON_GFSELECT:
	case VIRTIO_PCI_COMMON_GF:
		return 4;
	case VIRTIO_PCI_COMMON_MSIX:
	case VIRTIO_PCI_COMMON_Q_SELECT:
	case VIRTIO_PCI_COMMON_Q_SIZE:
	case VIRTIO_PCI_COMMON_Q_MSIX:
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return 2;
	case VIRTIO_PCI_COMMON_STATUS:
		return 1;
	default:
		return 0;
	}
}

static void common_write(struct virtio_pci *vp, uint64_t off, uint64_t v, unsigned int len)
{
	if (off >= VIRTIO_PCI_COMMON_Q_DESCLO && off <= VIRTIO_PCI_COMMON_Q_USEDHI) {
		write_ring_address(vp, off, v, len);
		return;
	}
	/* A driver uses each field's own width (4.1.3.1); anything else is ignored. */
	if (len != common_field_len(off))
		return;
	switch (off) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		vp->state.device_feature_select = (uint32_t)v;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		vp->state.driver_feature_select = (uint32_t)v;
		break;
	case VIRTIO_PCI_COMMON_GF:
		write_driver_features(vp, (uint32_t)v);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		vp->state.config_vector = usable_vector(vp, v);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		write_status(vp, (uint8_t)v);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		vp->state.queue_select = (uint16_t)v;
		break;
	default:
		write_queue_field(vp, off, (uint16_t)v);
		break;
	}
}

/* Device configuration (2.5) */

static void config_read(const struct virtio_device *vdev, uint64_t off, void *data,
			unsigned int len)
{
	memset(data, 0, len);
	if (off < vdev->config_len)
		memcpy(data, (const uint8_t *)vdev->config + off,
		       min_size(len, vdev->config_len - off));
}

static void config_write(struct virtio_device *vdev, uint64_t off, const void *data,
			 unsigned int len)
{
	size_t first = vdev->config_writable_off, n = vdev->config_writable_len;

	if (off < first || off - first >= n || len > n - (off - first))
		return;
	memcpy((uint8_t *)vdev->config + off, data, len);
	if (vdev->ops->config_written)
		vdev->ops->config_written(vdev, off, len);
}

/*
 * BAR 0. The page in which an access begins serves all of it. Accesses to BAR 2 come
 * here only if it is not mapped, or are writes to it. Both are ignored.
 */
static void virtio_pci_bar_read(struct pci_function *fn, unsigned int bar, uint64_t off, void *data,
				unsigned int len)
{
	struct virtio_pci *vp = to_virtio_pci(fn);
	uint64_t in_region = off % REGION_SIZE;

	if (bar != 0)
		return;
	memset(data, 0, len);
	switch (off - in_region) {
	case COMMON_OFF:
		common_read(vp, in_region, data, len);
		break;
	case ISR_OFF:
		if (in_region == 0) {
			memcpy(data, &vp->state.isr, 1);
			vp->state.isr = 0;
		}
		break;
	case CONFIG_OFF:
		config_read(vp->vdev, in_region, data, len);
		break;
	default:
		break;
	}
}

static void virtio_pci_bar_write(struct pci_function *fn, unsigned int bar, uint64_t off,
				 const void *data, unsigned int len)
{
	struct virtio_pci *vp = to_virtio_pci(fn);
	uint64_t in_region = off % REGION_SIZE;
	uint64_t v = 0;

	if (bar != 0)
		return;
	memcpy(&v, data, len);
	v = le64toh(v);
	switch (off - in_region) {
	case COMMON_OFF:
		common_write(vp, in_region, v, len);
		break;
	case CONFIG_OFF:
		config_write(vp->vdev, in_region, data, len);
		break;
	case NOTIFY_OFF:
		/* Comes by here only where no hypervisor turns it into the doorbell at once. */
		if (in_region / NOTIFY_STRIDE < vp->vdev->ops->n_queues)
			virtio_pci_ring(vp, (unsigned int)(in_region / NOTIFY_STRIDE));
		break;
	default:
		break;
	}
}

/* The window on BAR 0 in configuration space (4.1.4.9) */

/* True if the access touches the window's data, and the window is set to something sane. */
static bool window_access(const struct virtio_pci *vp, uint64_t off, unsigned int len,
			  uint32_t *bar_off, unsigned int *bar_len)
{
	unsigned int data = vp->cfg_cap + (unsigned int)sizeof(struct virtio_pci_cap);
	struct virtio_pci_cap cap;
	uint32_t at, n;

	if (off >= data + 4 || off + len <= data)
		return false;
	memcpy(&cap, vp->fn.state.config + vp->cfg_cap, sizeof(cap));
	at = le32toh(cap.offset);
	n = le32toh(cap.length);
	if (cap.bar != 0 || (n != 1 && n != 2 && n != 4) || at % n != 0 || at > BAR_SIZE - n)
		return false;
	*bar_off = at;
	*bar_len = n;
	return true;
}

static void window_reading(struct pci_function *fn, uint64_t off, unsigned int len)
{
	struct virtio_pci *vp = to_virtio_pci(fn);
	uint32_t bar_off;
	unsigned int n;

	if (window_access(vp, off, len, &bar_off, &n))
		virtio_pci_bar_read(fn, 0, bar_off,
				    fn->state.config + vp->cfg_cap + sizeof(struct virtio_pci_cap),
				    n);
}

static void window_written(struct pci_function *fn, uint64_t off, unsigned int len)
{
	struct virtio_pci *vp = to_virtio_pci(fn);
	uint32_t bar_off;
	unsigned int n;

	/* A guest that writes here will read the answer back: firmware does, Linux does not. */
	if (off < vp->cfg_cap + sizeof(struct virtio_pci_cfg_cap) && off + len > vp->cfg_cap)
		pci_bus_hide(fn->bus);
	if (window_access(vp, off, len, &bar_off, &n))
		virtio_pci_bar_write(fn, 0, bar_off,
				     fn->state.config + vp->cfg_cap + sizeof(struct virtio_pci_cap),
				     n);
}

/* Building it */

static void virtio_pci_destroy(struct pci_function *fn)
{
	struct virtio_pci *vp = to_virtio_pci(fn);

	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++) {
		device_unwatch(&vp->doorbells[q].ev);
		if (vp->doorbells[q].fd >= 0)
			close(vp->doorbells[q].fd);
	}
	vp->vdev->ops->destroy(vp->vdev);
	pci_function_fini(fn);
	free(vp);
}

static const struct pci_function_ops virtio_pci_ops = {
	.name = "virtio-pci",
	.bar_read = virtio_pci_bar_read,
	.bar_write = virtio_pci_bar_write,
	.config_reading = window_reading,
	.config_written = window_written,
	.save = virtio_pci_save,
	.load = virtio_pci_load,
	.wake = virtio_pci_wake,
	.destroy = virtio_pci_destroy,
};

/* Base class and subclass: what lspci shows. No driver looks at it. */
static uint32_t class_of(uint32_t type)
{
	switch (type) {
	case VIRTIO_ID_NET:
		return 0x020000;
	case VIRTIO_ID_CONSOLE:
		return 0x078000;
	case VIRTIO_ID_FS:
		return 0x018000;
	case VIRTIO_ID_VSOCK:
		return 0x028000;
	case VIRTIO_ID_GPU:
		return 0x038000;
	case VIRTIO_ID_INPUT:
		return 0x098000;
	default:
		return 0xff0000;
	}
}

/* Appends a capability of `size` bytes that begins with struct virtio_pci_cap. */
static unsigned int add_cap(struct virtio_pci *vp, struct virtio_pci_cap *cap, size_t size)
{
	cap->cap_len = (uint8_t)size;
	return pci_add_capability(&vp->fn, PCI_CAP_ID_VNDR, (uint8_t *)cap + 2, size - 2);
}

static void add_region_cap(struct virtio_pci *vp, uint8_t type, uint32_t off, size_t len)
{
	struct virtio_pci_cap cap = {
		.cfg_type = type,
		.offset = htole32(off),
		.length = htole32((uint32_t)len),
	};

	(void)add_cap(vp, &cap, sizeof(cap));
}

/* Section 4.1.4.7. The region's number is 0. */
static void add_shm(struct virtio_pci *vp)
{
	uint64_t len = vp->vdev->shm_len, bar_size = REGION_SIZE;
	struct virtio_pci_cap64 shm = {
		.cap.cfg_type = VIRTIO_PCI_CAP_SHARED_MEMORY_CFG,
		.cap.bar = SHM_BAR,
		.cap.length = htole32((uint32_t)len),
		.length_hi = htole32((uint32_t)(len >> 32)),
	};

	while (bar_size < len)
		bar_size <<= 1;
	pci_add_bar(&vp->fn, SHM_BAR, bar_size, true);
	(void)add_cap(vp, &shm.cap, sizeof(shm));
}

static void add_caps(struct virtio_pci *vp)
{
	struct virtio_pci_notify_cap notify = {
		.cap.cfg_type = VIRTIO_PCI_CAP_NOTIFY_CFG,
		.cap.offset = htole32(NOTIFY_OFF),
		.cap.length = htole32(NOTIFY_STRIDE * vp->vdev->ops->n_queues),
		.notify_off_multiplier = htole32(NOTIFY_STRIDE),
	};
	struct virtio_pci_cfg_cap cfg = {.cap.cfg_type = VIRTIO_PCI_CAP_PCI_CFG};
	uint8_t *w;

	add_region_cap(vp, VIRTIO_PCI_CAP_COMMON_CFG, COMMON_OFF,
		       sizeof(struct virtio_pci_common_cfg));
	add_region_cap(vp, VIRTIO_PCI_CAP_ISR_CFG, ISR_OFF, 1);
	if (vp->vdev->config_len > 0)
		add_region_cap(vp, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG_OFF, vp->vdev->config_len);
	(void)add_cap(vp, &notify.cap, sizeof(notify));
	if (vp->vdev->shm_len > 0)
		add_shm(vp);
	vp->cfg_cap = add_cap(vp, &cfg.cap, sizeof(cfg));
	w = vp->fn.writable + vp->cfg_cap;
	w[offsetof(struct virtio_pci_cap, bar)] = 0xff;
	memset(w + offsetof(struct virtio_pci_cap, offset), 0xff, 8);
	memset(w + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), 0xff, 4);
}

int virtio_pci_new(struct virtio_device *vdev, const struct guest_mem *mem, struct wiring *wiring,
		   struct pci_function **out)
{
	struct virtio_pci *vp = calloc(1, sizeof(*vp));
	struct pci_ids ids = {
		.vendor = VIRTIO_VENDOR,
		.device = (uint16_t)(VIRTIO_DEVICE_BASE + vdev->ops->type),
		.subsystem_vendor = VIRTIO_VENDOR,
		.subsystem = (uint16_t)(VIRTIO_DEVICE_BASE + vdev->ops->type),
		.revision = VIRTIO_REVISION,
		.class_code = class_of(vdev->ops->type),
	};
	int r;

	assert(vdev->config_len <= REGION_SIZE);
	if (!vp) {
		vdev->ops->destroy(vdev);
		return -ENOMEM;
	}
	vp->vdev = vdev;
	vp->mem = mem;
	vp->transport.ops = &transport_ops;
	vdev->transport = &vp->transport;
	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
		vp->doorbells[q].fd = -1;
	pci_function_init(&vp->fn, &virtio_pci_ops, &ids);
	pci_add_bar(&vp->fn, 0, BAR_SIZE, false);
	r = pci_add_msix(&vp->fn, wiring, vdev->ops->n_queues + 1, 0, MSIX_TABLE_OFF, MSIX_PBA_OFF);
	for (unsigned int q = 0; r == 0 && q < vdev->ops->n_queues; q++) {
		vp->doorbells[q].fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = vp->doorbells[q].fd < 0 ? -errno : 0;
	}
	if (r < 0) {
		virtio_pci_destroy(&vp->fn);
		return r;
	}
	add_caps(vp);
	clear_state(vp);
	*out = &vp->fn;
	return 0;
}

static void doorbell_rung(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct virtio_pci *vp = to_virtio_pci(CONTAINER_OF(dev, struct pci_function, dev));
	struct doorbell *bell = CONTAINER_OF(ev, struct doorbell, ev);
	eventfd_t n;

	(void)events;
	(void)!eventfd_read(bell->fd, &n);
	virtio_device_kick(vp->vdev, (unsigned int)(bell - vp->doorbells));
}

int virtio_pci_connect(struct pci_function *fn, struct loop *loop)
{
	struct virtio_pci *vp = to_virtio_pci(fn);
	struct virtio_device *vdev = vp->vdev;
	int r;

	vdev->dev = &fn->dev;
	vdev->loop = loop;
	r = vdev->ops->attach ? vdev->ops->attach(vdev, &fn->dev, loop) : 0;

	for (unsigned int q = 0; r == 0 && q < vdev->ops->n_queues; q++) {
		struct doorbell *bell = &vp->doorbells[q];

		r = device_watch(&fn->dev, loop, &bell->ev, bell->fd, EPOLLIN, doorbell_rung,
				 vdev->ops->name);
		if (r == 0)
			r = fn->wiring->ops->doorbell_add(
				fn->wiring, fn->bars[0].addr + NOTIFY_OFF + NOTIFY_STRIDE * q,
				bell->fd);
	}
	if (r == 0 && vdev->shm_len > 0)
		r = fn->wiring->ops->memory_add(fn->wiring, fn->bars[SHM_BAR].addr, vdev->shm,
						vdev->shm_len);
	return r;
}
