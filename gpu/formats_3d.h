/* SPDX-License-Identifier: MIT */
/* gpu/formats_3d.h - how much of a GPU's memory a resource may take. */
#ifndef GPU_FORMATS_3D_H
#define GPU_FORMATS_3D_H

#include <stdint.h>

#include "common/util.h"

struct gpu_3d_size {
	uint32_t target, format, width, height, depth, array_size, last_level, samples;
};

/*
 * At most so many bytes, all levels, layers and samples together. -EINVAL: no such resource
 * exists, whatever the GPU.
 */
int gpu_3d_bytes(const struct gpu_3d_size *size, uint64_t *out) MUST_CHECK;

#endif
