/* SPDX-License-Identifier: MIT */
/* devices/board/bus.h - an address space (MMIO or port I/O) and its windows. */
#ifndef DEVICES_BOARD_BUS_H
#define DEVICES_BOARD_BUS_H

#include <stdint.h>

#include "devices/board/device.h"

struct bus;

enum { BUS_MAX_WINDOWS = 64 };

int bus_new(struct bus **out) MUST_CHECK;
void bus_free(struct bus *bus); /* NULL is fine; devices stay their owners' */

/*
 * -EEXIST on overlap, -EINVAL on an empty or wrapping range, -ENOSPC when
 * BUS_MAX_WINDOWS are mapped. Before vCPUs run only: lookups take no lock.
 */
int bus_map(struct bus *bus, uint64_t base, uint64_t len, struct device *dev,
	    unsigned int window) MUST_CHECK;

/*
 * From a vCPU exit, with len 1 to 8. An access that no single window holds
 * reads as all-ones, is dropped when written, and returns -ENXIO.
 */
int bus_read(struct bus *bus, uint64_t addr, void *data, unsigned int len);
int bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned int len);

#endif
