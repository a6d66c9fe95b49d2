/* SPDX-License-Identifier: MIT */
#include "devices/board/pci.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "common/log.h"
#include "common/state.h"

enum {
	/* The PBA is read in qwords, and one holds PCI_MAX_VECTORS bits. */
	PBA_SIZE = 8,
};

/* The identity a generic PCIe host bridge has in other machines too. */
enum { BRIDGE_VENDOR = 0x1b36, BRIDGE_DEVICE = 0x0008, BRIDGE_CLASS = 0x060000 };

static uint16_t get16(const struct pci_function *fn, unsigned int off)
{
	uint16_t v;

	memcpy(&v, fn->state.config + off, sizeof(v));
	return le16toh(v);
}

static void put16(uint8_t *at, uint16_t v)
{
	v = htole16(v);
	memcpy(at, &v, sizeof(v));
}

static void put32(uint8_t *at, uint32_t v)
{
	v = htole32(v);
	memcpy(at, &v, sizeof(v));
}

bool pci_memory_enabled(const struct pci_function *fn)
{
	return get16(fn, PCI_COMMAND) & PCI_COMMAND_MEMORY;
}

bool pci_bus_master(const struct pci_function *fn)
{
	return get16(fn, PCI_COMMAND) & PCI_COMMAND_MASTER;
}

/* MSI-X */

static uint16_t msix_control(const struct pci_function *fn)
{
	return fn->n_vectors > 0 ? get16(fn, fn->msix_cap + PCI_MSIX_FLAGS) : 0;
}

static bool msix_masked(const struct pci_function *fn, unsigned int v)
{
	/* A message is a memory write: without bus mastering it has to wait. */
	return (msix_control(fn) & PCI_MSIX_FLAGS_MASKALL) || !pci_bus_master(fn) ||
	       (fn->state.msix[v].control & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

/* Tells the wiring where vector v goes; routing is slow, so only when that changed. */
static void msix_route(struct pci_function *fn, unsigned int v)
{
	const struct pci_msix_entry *e = &fn->state.msix[v];
	struct pci_msix_entry *known = &fn->routed[v];
	int r;

	if (e->addr == known->addr && e->data == known->data)
		return;
	r = fn->wiring->ops->msi_set(fn->wiring, fn->vector_route[v], e->addr, e->data);
	if (r < 0)
		log_guest("%s: interrupt vector %u cannot go where the guest wants it",
			  fn->ops->name, v);
	else
		*known = *e;
}

/* After anything that may have unmasked vectors: route them, send what was held back. */
static void msix_update(struct pci_function *fn)
{
	if (!(msix_control(fn) & PCI_MSIX_FLAGS_ENABLE)) {
		fn->state.msix_pending = 0;
		return;
	}
	for (unsigned int v = 0; v < fn->n_vectors; v++) {
		if (msix_masked(fn, v))
			continue;
		msix_route(fn, v);
		if (fn->state.msix_pending & (1u << v)) {
			fn->state.msix_pending &= ~(1u << v);
			(void)!eventfd_write(fn->vector_fd[v], 1);
		}
	}
}

void pci_msix_raise(struct pci_function *fn, unsigned int v)
{
	if (v >= fn->n_vectors || !(msix_control(fn) & PCI_MSIX_FLAGS_ENABLE))
		return;
	if (msix_masked(fn, v))
		fn->state.msix_pending |= 1u << v;
	else
		(void)!eventfd_write(fn->vector_fd[v], 1);
}

/* Table and PBA take aligned dwords and qwords only (PCI 3.0 section 6.8.2). */
static bool msix_access_ok(uint64_t off, unsigned int len)
{
	return (len == 4 || len == 8) && off % len == 0;
}

static uint32_t entry_get(const struct pci_msix_entry *e, unsigned int off)
{
	switch (off) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return (uint32_t)e->addr;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return (uint32_t)(e->addr >> 32);
	case PCI_MSIX_ENTRY_DATA:
		return e->data;
	default:
		return e->control;
	}
}

static void entry_set(struct pci_msix_entry *e, unsigned int off, uint32_t v)
{
	switch (off) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		/* The two lowest bits are always zero (6.8.2.6). */
		e->addr = (e->addr & ~0xffffffffull) | (v & ~3u);
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		e->addr = (e->addr & 0xffffffffull) | (uint64_t)v << 32;
		break;
	case PCI_MSIX_ENTRY_DATA:
		e->data = v;
		break;
	default:
		e->control = v & PCI_MSIX_ENTRY_CTRL_MASKBIT;
		break;
	}
}

static void msix_table_read(const struct pci_function *fn, uint64_t off, uint8_t *data,
			    unsigned int len)
{
	for (uint64_t at = off; at < off + len; at += 4)
		put32(data + (at - off), entry_get(&fn->state.msix[at / PCI_MSIX_ENTRY_SIZE],
						   at % PCI_MSIX_ENTRY_SIZE));
}

static void msix_table_write(struct pci_function *fn, uint64_t off, const uint8_t *data,
			     unsigned int len)
{
	for (uint64_t at = off; at < off + len; at += 4) {
		uint32_t v;

		memcpy(&v, data + (at - off), sizeof(v));
		entry_set(&fn->state.msix[at / PCI_MSIX_ENTRY_SIZE], at % PCI_MSIX_ENTRY_SIZE,
			  le32toh(v));
	}
	msix_update(fn);
}

static bool in_table(const struct pci_function *fn, unsigned int bar, uint64_t off)
{
	return fn->n_vectors > 0 && bar == fn->msix_bar && off >= fn->msix_table_off &&
	       off - fn->msix_table_off < (uint64_t)fn->n_vectors * PCI_MSIX_ENTRY_SIZE;
}

static bool in_pba(const struct pci_function *fn, unsigned int bar, uint64_t off)
{
	return fn->n_vectors > 0 && bar == fn->msix_bar && off >= fn->msix_pba_off &&
	       off - fn->msix_pba_off < PBA_SIZE;
}

/* BARs */

static void bar_read(struct pci_function *fn, unsigned int bar, uint64_t off, void *data,
		     unsigned int len)
{
	uint64_t pending = htole64(fn->state.msix_pending);

	memset(data, 0xff, len);
	if (!pci_memory_enabled(fn))
		return;
	if (in_table(fn, bar, off)) {
		if (msix_access_ok(off, len))
			msix_table_read(fn, off - fn->msix_table_off, data, len);
	} else if (in_pba(fn, bar, off)) {
		if (msix_access_ok(off, len))
			memcpy(data, (uint8_t *)&pending + (off - fn->msix_pba_off), len);
	} else if (fn->ops->bar_read) {
		fn->ops->bar_read(fn, bar, off, data, len);
	}
}

static void bar_write(struct pci_function *fn, unsigned int bar, uint64_t off, const void *data,
		      unsigned int len)
{
	if (!pci_memory_enabled(fn) || in_pba(fn, bar, off))
		return;
	if (in_table(fn, bar, off)) {
		if (msix_access_ok(off, len))
			msix_table_write(fn, off - fn->msix_table_off, data, len);
	} else if (fn->ops->bar_write) {
		fn->ops->bar_write(fn, bar, off, data, len);
	}
}

/* What the dword of register `reg` (0 to 5) reads: the place of its BAR, or its size. */
static uint32_t bar_dword(const struct pci_function *fn, unsigned int reg, bool sizing)
{
	const struct pci_bar *bar = &fn->bars[reg];
	uint64_t v;

	if (bar->size == 0 && reg > 0 && fn->bars[reg - 1].is_64) {
		bar--;
		v = sizing ? ~(bar->size - 1) : bar->addr;
		return (uint32_t)(v >> 32);
	}
	if (bar->size == 0)
		return 0;
	v = sizing ? ~(bar->size - 1) : bar->addr;
	if (bar->is_64)
		v |= PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;
	return (uint32_t)v;
}

/* Any write to a BAR's dword that is not all of it and all ones leaves it in its place. */
static void write_bars(struct pci_function *fn, uint64_t off, const uint8_t *data, unsigned int len)
{
	static const uint8_t ones[4] = {0xff, 0xff, 0xff, 0xff};

	for (unsigned int reg = 0; reg < PCI_MAX_BARS; reg++) {
		uint64_t at = PCI_BASE_ADDRESS_0 + 4ull * reg;
		bool sizing;

		if (off >= at + 4 || off + len <= at)
			continue;
		sizing =
			off <= at && off + len >= at + 4 && memcmp(data + (at - off), ones, 4) == 0;
		put32(fn->state.config + at, bar_dword(fn, reg, sizing));
	}
}

/* Configuration space */

static void config_read(const struct pci_function *fn, uint64_t off, void *data, unsigned int len)
{
	/* No extended capabilities: above the first 256 bytes all is zero. */
	memset(data, 0, len);
	if (off < PCI_CONFIG_SIZE)
		memcpy(data, fn->state.config + off, min_size(len, PCI_CONFIG_SIZE - off));
}

static void config_write(struct pci_function *fn, uint64_t off, const uint8_t *data,
			 unsigned int len)
{
	for (unsigned int i = 0; i < len && off + i < PCI_CONFIG_SIZE; i++) {
		uint8_t *at = &fn->state.config[off + i];
		uint8_t mask = fn->writable[off + i];

		*at = (uint8_t)((*at & ~mask) | (data[i] & mask));
	}
	write_bars(fn, off, data, len);
	if (fn->shown)
		memcpy(fn->shown, fn->state.config, PCI_CONFIG_SIZE);
	msix_update(fn);
	if (fn->ops->config_written)
		fn->ops->config_written(fn, off, len);
}

static struct pci_function *to_function(struct device *dev)
{
	return CONTAINER_OF(dev, struct pci_function, dev);
}

static void pci_read(struct device *dev, unsigned int window, uint64_t off, void *data,
		     unsigned int len)
{
	struct pci_function *fn = to_function(dev);

	if (window != PCI_WINDOW_CONFIG) {
		bar_read(fn, window, off, data, len);
		return;
	}
	if (fn->ops->config_reading)
		fn->ops->config_reading(fn, off, len);
	config_read(fn, off, data, len);
}

static void pci_write(struct device *dev, unsigned int window, uint64_t off, const void *data,
		      unsigned int len)
{
	struct pci_function *fn = to_function(dev);

	if (window != PCI_WINDOW_CONFIG)
		bar_write(fn, window, off, data, len);
	else
		config_write(fn, off, data, len);
}

static void pci_destroy(struct device *dev)
{
	struct pci_function *fn = to_function(dev);

	fn->ops->destroy(fn);
}

static void pci_save(struct device *dev, struct state_writer *w)
{
	struct pci_function *fn = to_function(dev);

	state_put_mark(w, STATE_MARK('P', 'C', 'I', 'F'));
	/* A guest that uses the window in configuration space is none of those we know. */
	if (!atomic_load(&fn->bus->is_shown))
		state_refuse(w, -EBUSY);
	state_put(w, fn->state.config, sizeof(fn->state.config));
	state_put_int(w, fn->n_vectors, 4);
	for (unsigned int v = 0; v < fn->n_vectors; v++) {
		state_put_int(w, fn->state.msix[v].addr, 8);
		state_put_int(w, fn->state.msix[v].data, 4);
		state_put_int(w, fn->state.msix[v].control, 4);
	}
	if (fn->ops->save)
		fn->ops->save(fn, w);
}

/* Only what a guest may change can differ from how the function was made. */
static void load_config(struct pci_function *fn, struct state_reader *r)
{
	uint8_t config[PCI_CONFIG_SIZE] = {0};

	state_get(r, config, sizeof(config));
	for (unsigned int i = 0; i < PCI_CONFIG_SIZE; i++)
		if ((config[i] ^ fn->state.config[i]) & (uint8_t)~fn->writable[i])
			state_fail(r, -ESTALE);
	if (r->error < 0)
		return;
	memcpy(fn->state.config, config, sizeof(config));
	if (fn->shown)
		memcpy(fn->shown, config, sizeof(config));
}

static void pci_load(struct device *dev, struct state_reader *r)
{
	struct pci_function *fn = to_function(dev);

	state_get_mark(r, STATE_MARK('P', 'C', 'I', 'F'));
	load_config(fn, r);
	if (state_get_int(r, 4) != fn->n_vectors)
		state_fail(r, -ESTALE);
	for (unsigned int v = 0; r->error == 0 && v < fn->n_vectors; v++)
		fn->state.msix[v] = (struct pci_msix_entry){
			.addr = state_get_int(r, 8) & ~3ull,
			.data = (uint32_t)state_get_int(r, 4),
			.control = (uint32_t)state_get_int(r, 4) & PCI_MSIX_ENTRY_CTRL_MASKBIT,
		};
	if (fn->ops->load)
		fn->ops->load(fn, r);
	if (r->error == 0)
		msix_update(fn);
}

/* What was held back is not in the state: every vector is raised instead, for nothing at worst. */
static void pci_wake(struct device *dev)
{
	struct pci_function *fn = to_function(dev);

	for (unsigned int v = 0; v < fn->n_vectors; v++)
		pci_msix_raise(fn, v);
	if (fn->ops->wake)
		fn->ops->wake(fn);
}

static const struct device_ops pci_device_ops = {
	.name = "pci",
	.read = pci_read,
	.write = pci_write,
	.save = pci_save,
	.load = pci_load,
	.wake = pci_wake,
	.destroy = pci_destroy,
};

/* Building a function */

void pci_function_init(struct pci_function *fn, const struct pci_function_ops *ops,
		       const struct pci_ids *ids)
{
	uint8_t *c = fn->state.config;

	assert(ops->name && ops->destroy);
	memset(fn, 0, sizeof(*fn));
	device_init(&fn->dev, &pci_device_ops);
	fn->ops = ops;
	fn->next_cap = PCI_STD_HEADER_SIZEOF;
	put16(c + PCI_VENDOR_ID, ids->vendor);
	put16(c + PCI_DEVICE_ID, ids->device);
	put32(c + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
	/* Also of one that is alone in its device: there the guest looks for seven more in vain. */
	c[PCI_HEADER_TYPE] = PCI_MULTI_FUNCTION;
	put16(c + PCI_SUBSYSTEM_VENDOR_ID, ids->subsystem_vendor);
	put16(c + PCI_SUBSYSTEM_ID, ids->subsystem);
	put16(fn->writable + PCI_COMMAND,
	      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	/* Without effect, but firmware and kernels expect to find again what they put here. */
	fn->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	fn->writable[PCI_INTERRUPT_LINE] = 0xff;
}

void pci_function_fini(struct pci_function *fn)
{
	for (unsigned int v = 0; v < fn->n_vectors; v++)
		close(fn->vector_fd[v]);
	fn->n_vectors = 0;
	device_fini(&fn->dev);
}

void pci_add_bar(struct pci_function *fn, unsigned int bar, uint64_t size, bool is_64)
{
	assert(bar + is_64 < PCI_MAX_BARS && size >= 4096 && (size & (size - 1)) == 0);
	fn->bars[bar] = (struct pci_bar){.size = size, .is_64 = is_64};
}

unsigned int pci_add_capability(struct pci_function *fn, uint8_t id, const void *body, size_t len)
{
	unsigned int at = fn->next_cap;
	uint8_t *c = fn->state.config;

	assert(len <= PCI_CONFIG_SIZE - PCI_CAP_SIZEOF && at <= PCI_CONFIG_SIZE - 2 - len);
	c[at + PCI_CAP_LIST_ID] = id;
	/* The newest comes first; to a guest the order means nothing. */
	c[at + PCI_CAP_LIST_NEXT] = c[PCI_CAPABILITY_LIST];
	c[PCI_CAPABILITY_LIST] = (uint8_t)at;
	c[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	memcpy(c + at + 2, body, len);
	fn->next_cap = (unsigned int)align_up(at + 2 + len, 4);
	return at;
}

int pci_add_msix(struct pci_function *fn, struct wiring *wiring, unsigned int n_vectors,
		 unsigned int bar, uint32_t table_off, uint32_t pba_off)
{
	uint8_t body[PCI_CAP_MSIX_SIZEOF - 2];

	assert(n_vectors > 0 && n_vectors <= PCI_MAX_VECTORS && fn->n_vectors == 0);
	assert(table_off % 8 == 0 && pba_off % 8 == 0);
	put16(body, (uint16_t)(n_vectors - 1));
	put32(body + 2, table_off | bar);
	put32(body + 6, pba_off | bar);
	fn->msix_cap = pci_add_capability(fn, PCI_CAP_ID_MSIX, body, sizeof(body));
	put16(fn->writable + fn->msix_cap + PCI_MSIX_FLAGS,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	fn->wiring = wiring;
	fn->msix_bar = bar;
	fn->msix_table_off = table_off;
	fn->msix_pba_off = pba_off;
	for (unsigned int v = 0; v < n_vectors; v++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		int r;

		if (fd < 0)
			return -errno;
		fn->vector_fd[fn->n_vectors++] = fd;
		fn->state.msix[v].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
		r = wiring->ops->msi_new(wiring, fd, &fn->vector_route[v]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The bus */

void pci_bus_init(struct pci_bus *pci, struct bus *mmio, const struct pci_windows *windows)
{
	*pci = (struct pci_bus){
		.mmio = mmio,
		.ecam = windows->ecam,
		.next32 = windows->base32,
		.end32 = windows->base32 + windows->len32,
		.next64 = windows->base64,
		.end64 = windows->base64 + windows->len64,
	};
}

/* Takes room for a BAR out of a window's free part. */
static int place_bar(struct pci_bar *bar, gpa_t *next, gpa_t end)
{
	gpa_t at = align_up(*next, bar->size);

	if (bar->size > end || at > end - bar->size)
		return -ENOSPC;
	bar->addr = at;
	*next = at + bar->size;
	return 0;
}

/* What is free of the windows for BARs. */
struct room {
	gpa_t next32, next64;
};

/* Finds room for fn's BARs; *left is what is then left. */
static int place_bars(const struct pci_bus *pci, struct room *left, struct pci_function *fn)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < PCI_MAX_BARS; i++) {
		struct pci_bar *bar = &fn->bars[i];

		if (bar->size == 0)
			continue;
		if (bar->is_64)
			r = place_bar(bar, &left->next64, pci->end64);
		else
			r = place_bar(bar, &left->next32, pci->end32);
	}
	return r;
}

int pci_bus_add(struct pci_bus *pci, struct pci_function *fn)
{
	struct room left = {.next32 = pci->next32, .next64 = pci->next64};
	int r;

	assert(!pci->shown);
	if (pci->n_functions == PCI_MAX_FUNCTIONS)
		return -ENOSPC;
	r = place_bars(pci, &left, fn);
	if (r < 0)
		return r;
	for (unsigned int reg = 0; reg < PCI_MAX_BARS; reg++)
		put32(fn->state.config + PCI_BASE_ADDRESS_0 + 4ull * reg,
		      bar_dword(fn, reg, false));
	r = bus_map(pci->mmio, pci->ecam + (gpa_t)pci->n_functions * PCI_ECAM_FUNCTION_SIZE,
		    PCI_ECAM_FUNCTION_SIZE, &fn->dev, PCI_WINDOW_CONFIG);
	for (unsigned int i = 0; i < PCI_MAX_BARS && r == 0; i++)
		if (fn->bars[i].size > 0)
			r = bus_map(pci->mmio, fn->bars[i].addr, fn->bars[i].size, &fn->dev, i);
	if (r < 0)
		return r;
	pci->next32 = left.next32;
	pci->next64 = left.next64;
	pci->functions[pci->n_functions++] = fn;
	fn->bus = pci;
	return 0;
}

int pci_bus_show(struct pci_bus *pci, struct wiring *wiring)
{
	const size_t len = (size_t)pci->n_functions * PCI_ECAM_FUNCTION_SIZE;
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (at == MAP_FAILED)
		return -errno;
	pci->shown = at;
	pci->wiring = wiring;
	for (unsigned int i = 0; i < pci->n_functions; i++) {
		struct pci_function *fn = pci->functions[i];

		fn->shown = pci->shown + (size_t)i * PCI_ECAM_FUNCTION_SIZE;
		memcpy(fn->shown, fn->state.config, PCI_CONFIG_SIZE);
	}
	r = wiring->ops->memory_add(wiring, pci->ecam, pci->shown, len);
	atomic_store(&pci->is_shown, r == 0);
	return r;
}

void pci_bus_hide(struct pci_bus *pci)
{
	int r;

	if (!atomic_exchange(&pci->is_shown, false))
		return;
	r = pci->wiring->ops->memory_remove(pci->wiring, pci->ecam);
	if (r < 0)
		log_error("configuration space cannot be taken out of the guest's memory: %s",
			  strerror(-r));
}

void pci_bus_fini(struct pci_bus *pci)
{
	if (pci->shown)
		munmap(pci->shown, (size_t)pci->n_functions * PCI_ECAM_FUNCTION_SIZE);
}

/* The host bridge */

static void bridge_destroy(struct pci_function *fn)
{
	pci_function_fini(fn);
	free(fn);
}

static const struct pci_function_ops bridge_ops = {
	.name = "pci-host-bridge",
	.destroy = bridge_destroy,
};

int pci_host_bridge_new(struct pci_function **out)
{
	static const struct pci_ids ids = {
		.vendor = BRIDGE_VENDOR, .device = BRIDGE_DEVICE, .class_code = BRIDGE_CLASS};
	struct pci_function *fn = calloc(1, sizeof(*fn));

	if (!fn)
		return -ENOMEM;
	pci_function_init(fn, &bridge_ops, &ids);
	*out = fn;
	return 0;
}
