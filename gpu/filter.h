/* SPDX-License-Identifier: MIT */
/* gpu/filter.h - looks through a stream of virgl commands before a renderer gets it. */
#ifndef GPU_FILTER_H
#define GPU_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

enum { GPU_STREAM_MAX = 1 << 20 }; /* bytes of one stream */

/*
 * 0 if the n dwords are whole commands, each one that Mesa sends and that we can answer
 * for; else -EINVAL. Not let through: commands that allocate behind our accounting, that
 * are for debugging, that virglrenderer 0.10 dies of, or that are not known.
 */
int gpu_filter(const uint32_t *dwords, size_t n) MUST_CHECK;

#endif
