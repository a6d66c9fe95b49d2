/* SPDX-License-Identifier: MIT */
/* devices/board/wiring.h - eventfds that the hypervisor itself reads and writes, memory it shows. */
#ifndef DEVICES_BOARD_WIRING_H
#define DEVICES_BOARD_WIRING_H

#include "common/util.h"
#include "devices/board/guest_mem.h"

/*
 * DOC: why a table
 *
 * An interrupt is raised by writing an eventfd (irqfd), a doorbell arrives as
 * one (ioeventfd). vm.c connects them through KVM; unit tests and fuzz targets
 * put a table of their own here and need no /dev/kvm. All calls from any
 * thread; fds stay the caller's.
 */
struct wiring;

struct wiring_ops {
	/* Reserves a message-signalled interrupt that `eventfd` will raise; quiet until set. */
	int (*msi_new)(struct wiring *w, int eventfd, unsigned int *route);
	/* (Re)programs it with the address and data the guest chose. */
	int (*msi_set)(struct wiring *w, unsigned int route, uint64_t addr, uint32_t data);
	/* An edge on interrupt line `gsi` (I/O APIC pin) for each write to eventfd. */
	int (*line_add)(struct wiring *w, unsigned int gsi, int eventfd);
	/* A guest write of any width to addr signals eventfd instead of leaving KVM. */
	int (*doorbell_add)(struct wiring *w, gpa_t addr, int eventfd);
	/*
	 * The guest reads [addr, addr+len) straight from host memory; a write of
	 * its comes as an access to the bus. Both are multiples of 4 KiB. What is
	 * mapped at `host` may change later.
	 */
	int (*memory_add)(struct wiring *w, gpa_t addr, const void *host, uint64_t len);
	/* What was added at addr; reads of it too come as accesses to the bus from then on. */
	int (*memory_remove)(struct wiring *w, gpa_t addr);
};

struct wiring {
	const struct wiring_ops *ops;
};

#endif
