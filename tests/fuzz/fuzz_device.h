/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_device.h - a driver that does what a fuzzer's bytes say. */
#ifndef TESTS_FUZZ_FUZZ_DEVICE_H
#define TESTS_FUZZ_FUZZ_DEVICE_H

#include "tests/fuzz/fuzz_input.h"
#include "tests/support/fake_guest.h"

/*
 * Starts vdev on g (which takes it over) and drives it until the input ends:
 * chains of all kinds with contents from the input, good and bad descriptors,
 * kicks, resets; some of the drivers change their memory under the device, and each
 * kick has a bound (fuzz_watch.h). `other` is called for operations the device alone knows, with
 * one byte to choose by; NULL: none. Frees nothing.
 */
void fuzz_device(struct fake_guest *g, struct virtio_device *vdev, struct fuzz_input *in,
		 void (*other)(void *arg, uint8_t op, struct fuzz_input *in), void *arg);

/* Descriptors of queue q that are not in flight: for an operation that publishes a chain itself. */
unsigned int fuzz_free_descriptors(const struct fake_guest *g, unsigned int q);

#endif
