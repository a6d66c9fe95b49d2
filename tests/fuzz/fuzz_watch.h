/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_watch.h - a guest that changes memory under a device, and what a kick may cost. */
#ifndef TESTS_FUZZ_FUZZ_WATCH_H
#define TESTS_FUZZ_FUZZ_WATCH_H

#include <stdint.h>

#include "tests/support/fake_guest.h"

/*
 * From here on some of what a device copies out of guest memory is changed there
 * right after the copy, as another CPU of the guest could do: whoever looks a second time
 * sees something else. `seed` chooses what; 0: nothing is changed.
 */
void fuzz_watch_start(uint8_t seed);
void fuzz_watch_stop(void);

/*
 * Kicks the queue, and aborts if the device did more for it than a kick may cost:
 * chains, and bytes copied beside those that are in the chains.
 */
void fuzz_watch_kick(struct fake_guest *g, unsigned int q);

#endif
