/* SPDX-License-Identifier: MIT */
/* gpu/renderer/confine.h - what sandcastle-gpu gives up before a guest's first command. */
#ifndef GPU_RENDERER_CONFINE_H
#define GPU_RENDERER_CONFINE_H

#include <stdint.h>

#include "common/util.h"

/*
 * No paths, no sockets, no programs and no processes from here on, for all threads, and at most
 * `ram` bytes of guest RAM and a fixed room beside it. -errno.
 */
int renderer_confine(uint64_t ram) MUST_CHECK;

#endif
