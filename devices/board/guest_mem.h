/* SPDX-License-Identifier: MIT */
/* devices/board/guest_mem.h - guest RAM, and the only way to reach it. */
#ifndef DEVICES_BOARD_GUEST_MEM_H
#define DEVICES_BOARD_GUEST_MEM_H

#include <stdint.h>

#include "common/util.h"

/* A guest physical address. */
typedef uint64_t gpa_t;

enum { GUEST_MEM_MAX_REGIONS = 4 };

struct guest_region {
	gpa_t base;
	uint64_t size; /* bytes */
	uint8_t *host; /* borrowed */
};

/* Filled once when the machine is built, read by every thread after that. */
struct guest_mem {
	struct guest_region regions[GUEST_MEM_MAX_REGIONS];
	unsigned int n_regions;
};

/*
 * Host pointer to [gpa, gpa+len) if it lies whole in one region, else NULL.
 * The guest may write there at any time: load once, check, use the copy.
 */
void *guest_ptr(const struct guest_mem *mem, gpa_t gpa, uint64_t len);

/* Copies; -EFAULT if the range is not whole in one region, and nothing is copied then. */
int guest_read(const struct guest_mem *mem, gpa_t gpa, void *dst, size_t len) MUST_CHECK;
int guest_write(const struct guest_mem *mem, gpa_t gpa, const void *src, size_t len) MUST_CHECK;

#endif
