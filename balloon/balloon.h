/* SPDX-License-Identifier: MIT */
/* balloon/balloon.h - the virtio-balloon model (VIRTIO 1.2 section 5.5). */
#ifndef BALLOON_BALLOON_H
#define BALLOON_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/board/guest_mem.h"
#include "devices/board/ram.h"
#include "devices/virtio/virtio.h"

/*
 * DOC: the two ways memory comes back
 *
 * Free page reporting: the guest's kernel names large free blocks by itself, a
 * while after they became free, and may take them again at any time without a
 * word. Inflating: we ask for an amount, the guest finds pages (free ones, then
 * page cache), names them and leaves them alone until we ask for less, or until
 * it would have to kill a process otherwise (DEFLATE_ON_OOM).
 *
 * Either way the pages go back to the host at once and read as zeroes when the
 * guest comes upon them again. When that would show (the guest fills free pages
 * with a poison other than zero) reported pages are left alone.
 *
 * The model decides nothing: its observer does.
 */

struct balloon;
struct balloon_observer;

/* What the guest says of itself, in bytes; all its claims, none above its RAM. Zero: it did not say. */
struct balloon_stats {
	uint64_t total, free, available, caches;
};

enum balloon_event {
	BALLOON_STARTED, /* a driver is there, and has taken our features */
	BALLOON_STOPPED, /* device reset: target and size are 0 */
	BALLOON_RESIZED, /* balloon_size() changed; on the loop's or a vCPU's thread */
	BALLOON_REPORTED, /* free pages went back to the host */
	BALLOON_STATS, /* balloon_stats() are new */
};

/* All calls are under the device's lock. */
struct balloon_observer_ops {
	/* Once, when the machine is built: device_watch() the observer's own fds with dev. */
	int (*attach)(struct balloon_observer *obs, struct balloon *b, struct device *dev,
		      struct loop *loop);
	void (*event)(struct balloon_observer *obs, enum balloon_event event);
	/* Called when the balloon is destroyed; accepts one that was never attached. */
	void (*destroy)(struct balloon_observer *obs);
};

struct balloon_observer {
	const struct balloon_observer_ops *ops;
};

/*
 * `mem` and `ram` are borrowed and outlive the device: `mem` says where RAM is
 * in the guest, `ram` is what gives it back. `obs` is taken over, also on
 * failure; NULL: nobody decides, and the guest just reports.
 */
int virtio_balloon_new(const struct guest_mem *mem, const struct ram *ram,
		       struct balloon_observer *obs, struct virtio_device **out) MUST_CHECK;

/*
 * For observers, under the device's lock. Bytes are rounded down to 4 KiB. A
 * target is what the guest should give up in all; it takes its time.
 */
void balloon_set_target(struct balloon *b, uint64_t bytes);
uint64_t balloon_target(const struct balloon *b);
/* What the guest says it has given up; never more than its RAM. */
uint64_t balloon_size(const struct balloon *b);
/*
 * Gives back the pages that were named but whose huge page is not complete: until
 * then they are the host's in name only. Much at once is done in several calls. Not
 * while the host is short: it allocates, and may sleep for that.
 */
void balloon_settle(struct balloon *b);
/* Asks for statistics; BALLOON_STATS follows. False: the driver has none, or is still at it. */
bool balloon_ask_stats(struct balloon *b);
const struct balloon_stats *balloon_stats(const struct balloon *b);
/* Bytes that the guest gave up by reporting, and by inflating, since the machine started. */
uint64_t balloon_reported(const struct balloon *b);
uint64_t balloon_inflated(const struct balloon *b);

#endif
