/* SPDX-License-Identifier: MIT */
/* devices/board/pci.h - PCI functions behind ECAM, on one bus, with fixed BARs and MSI-X. */
#ifndef DEVICES_BOARD_PCI_H
#define DEVICES_BOARD_PCI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/board/bus.h"
#include "devices/board/device.h"
#include "devices/board/wiring.h"

/*
 * DOC: what is modelled
 *
 * Bus 0 only, no hot-plug, no INTx, no I/O BARs. Function n is the machine's
 * 00:(n/8).(n%8), so that the configuration spaces, 4 KiB each, lie side by side from
 * the ECAM's base on. Each is a window PCI_WINDOW_CONFIG of its device on the MMIO bus;
 * BAR n is window n. Where there is no function all is ones, as on the bus.
 *
 * A kernel that starts reads configuration space some 200 times for each function, and
 * each read would leave the guest. pci_bus_show() has the guest read a copy of it in
 * memory, which every write, still an exit, brings up to date. Where a read does
 * something, pci_bus_hide() takes the copy from the guest, for good.
 *
 * BARs are placed by the machine and stay there: a write of all-ones is
 * answered with the size as PCI 3.0 section 6.2.5.1 wants, any other write
 * reads back the address it had. Doorbells and memory slots therefore never move.
 */

struct state_reader;
struct state_writer;

enum {
	PCI_MAX_BARS = 6,
	PCI_WINDOW_CONFIG = 16, /* window number of configuration space */
	PCI_MAX_VECTORS = 32,
	PCI_CONFIG_SIZE = 256,
	PCI_ECAM_FUNCTION_SIZE = 0x1000,
	PCI_MAX_FUNCTIONS = 32,
	/* Of PCI_HEADER_TYPE; older linux/pci_regs.h have no name for it. */
	PCI_MULTI_FUNCTION = 0x80,
};

struct pci_function;

struct pci_function_ops {
	const char *name;
	/*
	 * BAR registers, MSI-X table and PBA excepted: pci.c serves those. Optional;
	 * a read finds data filled with ones.
	 */
	void (*bar_read)(struct pci_function *fn, unsigned int bar, uint64_t off, void *data,
			 unsigned int len);
	void (*bar_write)(struct pci_function *fn, unsigned int bar, uint64_t off, const void *data,
			  unsigned int len);
	/*
	 * Optional, for registers in configuration space that do something: called
	 * before a read of state.config[off, off+len), and after a write. Reads come
	 * only once the function called pci_bus_hide().
	 */
	void (*config_reading)(struct pci_function *fn, uint64_t off, unsigned int len);
	void (*config_written)(struct pci_function *fn, uint64_t off, unsigned int len);
	/*
	 * Optional, all three or none: what device_ops has under these names, beside
	 * pci_state. In load, vectors do not arrive yet.
	 */
	void (*save)(struct pci_function *fn, struct state_writer *w);
	void (*load)(struct pci_function *fn, struct state_reader *r);
	void (*wake)(struct pci_function *fn);
	void (*destroy)(struct pci_function *fn);
};

struct pci_msix_entry {
	uint64_t addr;
	uint32_t data;
	uint32_t control; /* bit 0: masked */
};

/* All that the guest can see or change; plain data. */
struct pci_state {
	uint8_t config[PCI_CONFIG_SIZE];
	struct pci_msix_entry msix[PCI_MAX_VECTORS];
	uint32_t msix_pending;
};

struct pci_bar {
	uint64_t size; /* power of two >= 4096; 0: no such BAR */
	bool is_64; /* and prefetchable: reading it has no effect */
	gpa_t addr; /* set by pci_bus_add() */
};

/* Embed in a device and pci_function_init() it there. */
struct pci_function {
	struct device dev;
	struct pci_bus *bus; /* set by pci_bus_add() */
	uint8_t *shown; /* copy of state.config the guest reads; NULL: there is none */
	const struct pci_function_ops *ops;
	struct pci_state state;
	uint8_t writable[PCI_CONFIG_SIZE]; /* bits of config the guest may change */
	struct pci_bar bars[PCI_MAX_BARS];
	unsigned int next_cap;

	/* MSI-X; n_vectors 0 when the function has none. */
	unsigned int n_vectors;
	unsigned int msix_bar;
	unsigned int msix_cap;
	uint32_t msix_table_off, msix_pba_off;
	struct wiring *wiring;
	int vector_fd[PCI_MAX_VECTORS];
	unsigned int vector_route[PCI_MAX_VECTORS];
	struct pci_msix_entry routed[PCI_MAX_VECTORS]; /* what the wiring was last told */
};

struct pci_ids {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code; /* 24 bits: base class, subclass, interface */
};

void pci_function_init(struct pci_function *fn, const struct pci_function_ops *ops,
		       const struct pci_ids *ids);
/* Closes vector fds, ends the lock. A zeroed one is fine. */
void pci_function_fini(struct pci_function *fn);

/*
 * Memory BAR; size is rounded up by the caller to a power of two >= 4096. One of
 * 64 bits is prefetchable and goes into the window above 4 GiB.
 */
void pci_add_bar(struct pci_function *fn, unsigned int bar, uint64_t size, bool is_64);

/*
 * Appends a capability: `body` follows the two header bytes (id, next) and is
 * `len` bytes. Returns its offset in configuration space.
 */
unsigned int pci_add_capability(struct pci_function *fn, uint8_t id, const void *body, size_t len);

/* Table and PBA inside `bar` at table_off; creates one eventfd a vector. */
int pci_add_msix(struct pci_function *fn, struct wiring *wiring, unsigned int n_vectors,
		 unsigned int bar, uint32_t table_off, uint32_t pba_off) MUST_CHECK;

/*
 * Raises vector v, or marks it pending while it or the function is masked
 * (PCI 3.0 section 6.8.3.5). Out of range is ignored. Under dev.lock.
 */
void pci_msix_raise(struct pci_function *fn, unsigned int v);

/* True once the guest set Memory Space / Bus Master in the command register. */
bool pci_memory_enabled(const struct pci_function *fn);
bool pci_bus_master(const struct pci_function *fn);

struct pci_bus {
	struct bus *mmio;
	gpa_t ecam;
	/* What is left of the windows for BARs below and above 4 GiB. */
	gpa_t next32, end32;
	gpa_t next64, end64;
	struct pci_function *functions[PCI_MAX_FUNCTIONS];
	unsigned int n_functions;

	/* The copy of all configuration spaces; NULL until pci_bus_show(). */
	uint8_t *shown;
	struct wiring *wiring;
	atomic_bool is_shown;
};

/* A place for configuration space and BARs: guest addresses and bytes. */
struct pci_windows {
	gpa_t ecam;
	gpa_t base32;
	uint64_t len32;
	gpa_t base64;
	uint64_t len64;
};

void pci_bus_init(struct pci_bus *pci, struct bus *mmio, const struct pci_windows *windows);
/* The functions are gone by then. A zeroed one is fine. */
void pci_bus_fini(struct pci_bus *pci);
/*
 * Gives fn the next number, places its BARs, maps its windows. -ENOSPC when numbers
 * or a window are used up. fn stays the caller's. Before vCPUs run and pci_bus_show().
 */
int pci_bus_add(struct pci_bus *pci, struct pci_function *fn) MUST_CHECK;
/*
 * From here on the guest reads configuration space from memory. Once, before vCPUs
 * run, when all functions were added.
 */
int pci_bus_show(struct pci_bus *pci, struct wiring *wiring) MUST_CHECK;
/*
 * Reads of configuration space are exits again, of all functions: for one that has to
 * see them. The next read of the guest is one already. Any thread, any number of times.
 */
void pci_bus_hide(struct pci_bus *pci);

/* The host bridge (00:00.0): identity only. */
int pci_host_bridge_new(struct pci_function **out) MUST_CHECK;

#endif
