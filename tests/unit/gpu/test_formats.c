/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <linux/virtio_gpu.h>
#include <string.h>

#include "common/util.h"
#include "gpu/formats.h"

enum { COLOURS = 8 };

/* Blue, green, red, alpha. */
static const uint8_t colours[COLOURS][4] = {
	{0, 0, 0, 255},	  {255, 255, 255, 255}, {255, 0, 0, 255},  {0, 255, 0, 255},
	{0, 0, 255, 255}, {1, 2, 3, 4},		{250, 20, 130, 0}, {17, 34, 51, 68},
};

/* The name of each, as bytes in memory. */
static const struct {
	uint32_t format;
	const char *bytes;
} formats[] = {
	{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, "BGRA"}, {VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, "BGRX"},
	{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, "ARGB"}, {VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, "XRGB"},
	{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, "RGBA"}, {VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, "XBGR"},
	{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, "ABGR"}, {VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, "RGBX"},
};

static void encode(const char *bytes, const uint8_t colour[4], uint8_t out[4])
{
	static const char order[] = "BGRA";

	for (int i = 0; i < 4; i++)
		out[i] = bytes[i] == 'X' ? 0x5a : colour[strchr(order, bytes[i]) - order];
}

Test(formats, eight_colours_of_each_come_out_as_they_are)
{
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++) {
		const bool opaque = strchr(formats[f].bytes, 'X');
		uint8_t in[COLOURS][4], out[COLOURS][4];

		for (int c = 0; c < COLOURS; c++)
			encode(formats[f].bytes, colours[c], in[c]);
		cr_assert(gpu_format_known(formats[f].format));
		gpu_format_to_bgra(formats[f].format, out[0], in[0], COLOURS);
		for (int c = 0; c < COLOURS; c++) {
			cr_assert_eq(memcmp(out[c], colours[c], 3), 0, "%s", formats[f].bytes);
			cr_assert_eq(out[c][3], opaque ? 255 : colours[c][3]);
		}
		/* In place it is the same. */
		gpu_format_to_bgra(formats[f].format, in[0], in[0], COLOURS);
		cr_assert_eq(memcmp(in, out, sizeof(in)), 0);
	}
}

Test(formats, what_windows_take_as_it_is_is_told_apart)
{
	for (size_t f = 0; f < ARRAY_SIZE(formats); f++)
		cr_assert_eq(gpu_format_is_bgrx(formats[f].format),
			     strncmp(formats[f].bytes, "BGR", 3) == 0);
}

Test(formats, all_other_numbers_are_unknown)
{
	unsigned int known = 0;

	for (uint32_t f = 0; f < 1024; f++)
		known += gpu_format_known(f);
	cr_assert_eq(known, ARRAY_SIZE(formats));
	cr_assert_not(gpu_format_known(UINT32_MAX));
}
