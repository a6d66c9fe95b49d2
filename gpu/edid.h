/* SPDX-License-Identifier: MIT */
/* gpu/edid.h - describes a monitor to the guest: EDID 1.4, with DisplayID 1.3 where that is too small. */
#ifndef GPU_EDID_H
#define GPU_EDID_H

#include <stddef.h>
#include <stdint.h>

enum {
	EDID_BLOCK = 128,
	EDID_MAX = 2 * EDID_BLOCK,
	EDID_MAX_SIDE = 8192, /* pixels */
	EDID_MAX_REFRESH = 240, /* Hz */
};

/* A monitor with one mode. */
struct edid_monitor {
	uint32_t width, height; /* pixels, 1 to EDID_MAX_SIDE */
	uint32_t refresh; /* Hz, 1 to EDID_MAX_REFRESH */
	uint32_t mm_width, mm_height; /* of the picture; 0: as 96 pixels an inch make it */
};

/*
 * Writes the monitor's EDID and returns its length, one block or two. The mode is a
 * detailed timing of the base block; where that has no room for it (above 4095
 * pixels or 655 MHz) it is one of a DisplayID extension instead.
 */
size_t edid_make(const struct edid_monitor *monitor, uint8_t out[EDID_MAX]);

#endif
