/* SPDX-License-Identifier: MIT */
/* devices/fs/ranges.h - the byte ranges that one owner has locked in one file. */
#ifndef DEVICES_FS_RANGES_H
#define DEVICES_FS_RANGES_H

#include <stdint.h>

#include "common/util.h"

/* Bytes from start to end, both included; type is F_RDLCK, F_WRLCK or F_UNLCK. */
struct fs_range {
	uint64_t start, end;
	uint32_t type;
};

/* In order, none touches the next of its type, none is F_UNLCK. Zeroed: none. */
struct fs_ranges {
	struct fs_range *at; /* allocated; the owner frees it */
	unsigned int n, room;
};

/*
 * Writes to out what there is when the range has its type: F_UNLCK takes it out. At most
 * r->n + 2 entries; returns how many.
 */
unsigned int fs_ranges_apply(const struct fs_ranges *r, const struct fs_range *range,
			     struct fs_range *out);
/* The first one that another owner's range, not F_UNLCK, cannot be beside; NULL: none. */
const struct fs_range *fs_ranges_conflict(const struct fs_ranges *r, const struct fs_range *range);
/* Room for n. -ENOMEM. */
int fs_ranges_reserve(struct fs_ranges *r, unsigned int n) MUST_CHECK;

#endif
