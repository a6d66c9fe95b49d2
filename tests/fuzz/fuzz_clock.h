/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fuzz_clock.h - a clock that stands still until the input lets time pass. */
#ifndef TESTS_FUZZ_FUZZ_CLOCK_H
#define TESTS_FUZZ_FUZZ_CLOCK_H

#include <stdint.h>

/*
 * A target that is linked with it (CLOCK in its CMake line) has CLOCK_MONOTONIC and the
 * process's CPU time from here. A timerfd fires when its time has passed here: it is readable
 * then, and the loop handles it in its next turn.
 */

/* Before each input: timers of earlier ones are forgotten. */
void fuzz_clock_start(void);
/* The CPU was at work for the part of it that `busy` is of 256. */
void fuzz_clock_pass(uint64_t ms, uint8_t busy);

#endif
