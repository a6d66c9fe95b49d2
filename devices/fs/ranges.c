/* SPDX-License-Identifier: MIT */
#include "devices/fs/ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* Appends a range, or lengthens the last one. Returns how many there are then. */
static unsigned int put(struct fs_range *out, unsigned int n, struct fs_range range)
{
	if (range.type == F_UNLCK)
		return n;
	if (n > 0 && out[n - 1].type == range.type && range.start <= out[n - 1].end + 1) {
		out[n - 1].end = range.end;
		return n;
	}
	out[n] = range;
	return n + 1;
}

unsigned int fs_ranges_apply(const struct fs_ranges *r, const struct fs_range *range,
			     struct fs_range *out)
{
	unsigned int n = 0, i = 0;

	for (; i < r->n && r->at[i].start < range->start; i++) {
		struct fs_range head = r->at[i];

		head.end = min_u64(head.end, range->start - 1);
		n = put(out, n, head);
		/* One that goes on behind it is looked at again. */
		if (r->at[i].end > range->end)
			break;
	}
	n = put(out, n, *range);
	for (; i < r->n; i++) {
		struct fs_range tail = r->at[i];

		if (tail.end <= range->end)
			continue;
		if (tail.start <= range->end)
			tail.start = range->end + 1;
		n = put(out, n, tail);
	}
	return n;
}

const struct fs_range *fs_ranges_conflict(const struct fs_ranges *r, const struct fs_range *range)
{
	for (unsigned int i = 0; i < r->n; i++) {
		const struct fs_range *have = &r->at[i];

		if (have->start <= range->end && range->start <= have->end &&
		    (have->type == F_WRLCK || range->type == F_WRLCK))
			return have;
	}
	return NULL;
}

int fs_ranges_reserve(struct fs_ranges *r, unsigned int n)
{
	unsigned int room = r->room ? r->room : 1;
	struct fs_range *grown;

	while (room < n)
		room *= 2;
	if (room == r->room)
		return 0;
	grown = realloc(r->at, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	r->at = grown;
	r->room = room;
	return 0;
}
