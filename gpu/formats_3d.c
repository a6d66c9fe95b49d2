/* SPDX-License-Identifier: MIT */
#include "gpu/formats_3d.h"

#include <errno.h>
#include <stdbool.h>

#include "gpu/resources.h"
#include "gpu/virgl.h"

enum { MAX_SIDE = 16384, MAX_LAYERS = 2048, MAX_LEVEL = 14, MAX_SAMPLES = 16 };

/*
 * Bytes of a pixel of formats up to `last`, at most: drivers keep three colours as four, and
 * what is compressed as it was before, where they cannot sample it.
 */
static const struct {
	uint16_t last;
	uint8_t bytes;
} formats[] = {
	{0, 0},	   {4, 4},
	{7, 2},	   {8, 4},
	{11, 1},   {13, 2},
	{15, 4},   {16, 2},
	{22, 4},   {23, 1},
	{27, 32},  {28, 4},
	{29, 8},   {47, 16},
	{48, 2},   {49, 4},
	{63, 8},   {64, 1},
	{65, 2},   {86, 4},
	{90, 16},  {91, 2},
	{92, 4},   {94, 8},
	{95, 1},   {125, 4},
	{126, 8},  {137, 4},
	{138, 8},  {160, 4},
	{161, 8},  {184, 4},
	{192, 8},  {193, 4},
	{194, 8},  {200, 16},
	{216, 4},  {224, 8},
	{233, 4},  {238, 8},
	{241, 16}, {245, 4},
	{246, 8},  {250, 4},
	{252, 8},  {VIRGL_FORMATS - 1, 4},
};

static uint32_t pixel_bytes(uint32_t format)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(formats); i++)
		if (format <= formats[i].last)
			return formats[i].bytes;
	return 0;
}

static bool in(uint32_t v, uint32_t least, uint32_t most)
{
	return v >= least && v <= most;
}

/* A buffer is a row of bytes. */
static int buffer_bytes(const struct gpu_3d_size *s, uint64_t *out)
{
	if (!in(s->width, 1, GPU_MAX_ONE_3D) || s->height != 1 || s->depth != 1 ||
	    s->array_size != 1 || s->last_level != 0 || s->samples > 1)
		return -EINVAL;
	*out = s->width;
	return 0;
}

static bool sides_valid(const struct gpu_3d_size *s)
{
	return in(s->width, 1, MAX_SIDE) && in(s->height, 1, MAX_SIDE) &&
	       in(s->depth, 1, s->target == VIRGL_TARGET_3D ? MAX_LAYERS : 1) &&
	       in(s->array_size, 1, MAX_LAYERS) && s->last_level <= MAX_LEVEL &&
	       s->samples <= MAX_SAMPLES;
}

static uint64_t side(uint32_t v, uint32_t level)
{
	return v >> level ? v >> level : 1;
}

int gpu_3d_bytes(const struct gpu_3d_size *s, uint64_t *out)
{
	const uint32_t pixel = pixel_bytes(s->format);
	uint64_t pixels = 0;

	if (s->target >= VIRGL_TARGETS || pixel == 0)
		return -EINVAL;
	if (s->target == VIRGL_TARGET_BUFFER)
		return buffer_bytes(s, out);
	if (!sides_valid(s))
		return -EINVAL;
	/* No product wraps: 2^28 pixels, 2^22 layers, 2^9 bytes and samples. */
	for (uint32_t l = 0; l <= s->last_level; l++)
		pixels += side(s->width, l) * side(s->height, l) * side(s->depth, l);
	*out = pixels * s->array_size * pixel * (s->samples ? s->samples : 1);
	return 0;
}
