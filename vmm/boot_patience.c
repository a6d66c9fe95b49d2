/* SPDX-License-Identifier: MIT */
#include "vmm/boot_patience.h"

enum { LOOK_MS = 60 * 1000, ALIVE_MS = 1000 };

uint64_t boot_patience(uint64_t cpu_ms, uint64_t *last_ms)
{
	const uint64_t got = cpu_ms - *last_ms;

	*last_ms = cpu_ms;
	return cpu_ms < BOOT_LIMIT_MS && got >= ALIVE_MS ? LOOK_MS : 0;
}
