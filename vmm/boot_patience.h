/* SPDX-License-Identifier: MIT */
/* vmm/boot_patience.h - decides how long a guest that has not answered yet is waited for. */
#ifndef VMM_BOOT_PATIENCE_H
#define VMM_BOOT_PATIENCE_H

#include <stdint.h>

/* From start until the agent has answered: 5 s on an emulated host. */
enum { BOOT_LIMIT_MS = 180 * 1000 };

/*
 * Called BOOT_LIMIT_MS after the start, and again after as many milliseconds as it returned; 0: the
 * guest is given up. cpu_ms is the CPU time of this process so far; *last_ms is that of the call
 * before, at first 0. A guest on a host with much more to do than CPUs for it is slow, not stuck: it
 * is waited for as long as it is seen to get CPU time, and has not had the limit of that.
 */
uint64_t boot_patience(uint64_t cpu_ms, uint64_t *last_ms);

#endif
