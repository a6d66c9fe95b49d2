/* SPDX-License-Identifier: MIT */
/* gpu/formats.h - turns the pixel formats of virtio-gpu into the one that windows and screenshots have. */
#ifndef GPU_FORMATS_H
#define GPU_FORMATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every format of enum virtio_gpu_formats has four bytes a pixel. */
enum { GPU_PIXEL = 4 };

bool gpu_format_known(uint32_t format);

/* Whether pixels of a known format are blue, green, red and a byte that nobody looks at, as they are. */
bool gpu_format_is_bgrx(uint32_t format);

/*
 * Writes n pixels of a known format as blue, green, red, alpha; alpha is 255
 * where the format has none. The two may be the same memory, but not overlap
 * otherwise.
 */
void gpu_format_to_bgra(uint32_t format, uint8_t *dst, const uint8_t *src, size_t n);

#endif
