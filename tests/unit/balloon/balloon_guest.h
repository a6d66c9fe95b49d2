/* SPDX-License-Identifier: MIT */
/* tests/unit/balloon/balloon_guest.h - a fake guest with RAM that can be given back. */
#ifndef TESTS_UNIT_BALLOON_BALLOON_GUEST_H
#define TESTS_UNIT_BALLOON_BALLOON_GUEST_H

#include "balloon/balloon.h"
#include "tests/support/fake_guest.h"

/*
 * The balloon's RAM is a third region. The two of the fake guest itself are
 * memory that is not RAM, as a device's window is.
 */
#define BALLOON_RAM_BASE 0x200000000ull

enum {
	BALLOON_RAM_SIZE = 8 << 20,
	BALLOON_PAGE = 4096,
	/* The numbers a driver uses that took all features and counts as Linux does. */
	BQ_INFLATE = 0,
	BQ_DEFLATE,
	BQ_STATS,
	BQ_REPORTING,
	BQ_REPORTING_SPEC,
};

struct balloon_guest {
	struct fake_guest *g;
	struct ram ram;
	struct virtio_device *vdev;
};

/* Takes obs over. */
void balloon_guest_start(struct balloon_guest *bg, struct balloon_observer *obs, uint64_t features);
void balloon_guest_stop(struct balloon_guest *bg);

uint64_t balloon_guest_resident(const struct balloon_guest *bg);
/* Writes to every page of RAM. */
void balloon_guest_touch(struct balloon_guest *bg);
/* Sends page numbers (relative to RAM) and reaps; false if the device did not answer. */
bool balloon_guest_send_pfns(struct balloon_guest *bg, unsigned int q, const uint32_t *pages,
			     size_t n);
/* Publishes a report of one range of guest addresses, and kicks. */
void balloon_guest_report(struct balloon_guest *bg, unsigned int q, gpa_t addr, uint32_t len);
/* Publishes a statistics buffer, and kicks. */
void balloon_guest_stats(struct balloon_guest *bg, const void *stats, size_t len);

#endif
