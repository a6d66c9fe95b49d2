/* SPDX-License-Identifier: MIT */
/* common/clock.h - measures spans of time. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include "common/util.h"

/* Milliseconds since some start; nobody sets this clock back. */
static inline uint64_t now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

#endif
