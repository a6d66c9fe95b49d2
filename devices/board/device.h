/* SPDX-License-Identifier: MIT */
/* devices/board/device.h - what the machine knows of any device. */
#ifndef DEVICES_BOARD_DEVICE_H
#define DEVICES_BOARD_DEVICE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/loop.h"
#include "common/util.h"

struct device;
struct state_reader;
struct state_writer;

/*
 * DOC: threads
 *
 * A device is single-threaded by construction: the bus (on a vCPU thread) and
 * the loop (struct device_event) take dev->lock around every call. Device code
 * takes no lock of its own and calls no other device; it speaks to the rest of
 * the machine through eventfds.
 */
struct device_ops {
	const char *name; /* "virtio-rng": traces and messages */

	/*
	 * Register access. `window` is the number the window was mapped with,
	 * `off` is relative to it, `len` is 1 to 8 and inside the window. Both
	 * required. A read fills all of data.
	 */
	void (*read)(struct device *dev, unsigned int window, uint64_t off, void *data,
		     unsigned int len);
	void (*write)(struct device *dev, unsigned int window, uint64_t off, const void *data,
		      unsigned int len);

	/*
	 * What the guest set and sees, and back into a device that was made alike and that no
	 * guest has used yet (common/state.h). Both or neither: then there can be no template of
	 * a machine with this device. vCPUs are stopped. What is loaded is checked as the
	 * guest's own writes are, and acts once device_wake() was called.
	 */
	void (*save)(struct device *dev, struct state_writer *w);
	void (*load)(struct device *dev, struct state_reader *r);
	/* Optional. After load, once interrupts arrive: has the device look at everything anew. */
	void (*wake)(struct device *dev);

	/* Frees the device; accepts a half-built one. Required. vCPUs and loops are stopped. */
	void (*destroy)(struct device *dev);
};

struct device {
	const struct device_ops *ops;
	pthread_mutex_t lock;
};

/* init/fini pair: the caller owns the memory (the device is embedded). */
void device_init(struct device *dev, const struct device_ops *ops);
void device_fini(struct device *dev);

/* Those of ops, under the lock. One without is refused with -EOPNOTSUPP. */
void device_save(struct device *dev, struct state_writer *w);
void device_load(struct device *dev, struct state_reader *r);
void device_wake(struct device *dev);

struct device_event;
typedef void (*device_event_fn)(struct device *dev, struct device_event *ev, uint32_t events);

/*
 * A loop source that belongs to a device. Watched from device_watch() to
 * device_unwatch(), never in between: a reset arrives on a vCPU thread, and
 * only the loop's thread may change what it watches. A device that is not
 * active ignores the event.
 */
struct device_event {
	struct loop_source src;
	struct device *dev;
	device_event_fn fn; /* called with dev->lock held */
};

/* The fd stays the caller's. Before the loop runs, or on its thread. */
int device_watch(struct device *dev, struct loop *loop, struct device_event *ev, int fd,
		 uint32_t events, device_event_fn fn, const char *name) MUST_CHECK;
void device_unwatch(struct device_event *ev); /* zeroed or not watched is fine */

#endif
