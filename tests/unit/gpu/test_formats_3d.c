/* SPDX-License-Identifier: MIT */
#include "gpu/formats_3d.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "gpu/resources.h"
#include "gpu/virgl.h"

static struct gpu_3d_size picture(uint32_t width, uint32_t height)
{
	return (struct gpu_3d_size){VIRGL_TARGET_2D, VIRGL_FORMAT_BGRA, width, height, 1, 1, 0, 0};
}

static uint64_t bytes(const struct gpu_3d_size *size)
{
	uint64_t n = 0;

	cr_assert_eq(gpu_3d_bytes(size, &n), 0);
	return n;
}

Test(formats_3d, all_that_makes_it_larger_counts)
{
	struct gpu_3d_size s = picture(64, 32);

	cr_expect_eq(bytes(&s), 64 * 32 * 4);
	s.samples = 4;
	cr_expect_eq(bytes(&s), 64 * 32 * 4 * 4);
	s.samples = 0;
	s.array_size = 6;
	cr_expect_eq(bytes(&s), 64 * 32 * 4 * 6);
	s.array_size = 1;
	s.last_level = 6;
	cr_expect_eq(bytes(&s), (2048 + 512 + 128 + 32 + 8 + 2 + 1) * 4);
	s = picture(8, 8);
	s.target = VIRGL_TARGET_3D;
	s.depth = 8;
	s.last_level = 3;
	cr_expect_eq(bytes(&s), (512 + 64 + 8 + 1) * 4);
}

Test(formats_3d, a_buffer_is_its_width)
{
	struct gpu_3d_size s = {VIRGL_TARGET_BUFFER, 64, 1000, 1, 1, 1, 0, 0};

	cr_expect_eq(bytes(&s), 1000);
	s.width = (uint32_t)GPU_MAX_ONE_3D + 1;
	cr_expect_eq(gpu_3d_bytes(&s, &(uint64_t){0}), -EINVAL);
	s.width = 1;
	s.height = 2;
	cr_expect_eq(gpu_3d_bytes(&s, &(uint64_t){0}), -EINVAL);
}

Test(formats_3d, formats_that_are_none)
{
	struct gpu_3d_size s = picture(1, 1);

	for (uint32_t format = 0; format < 400; format++) {
		uint64_t n = 0;

		s.format = format;
		if (format == 0 || format >= VIRGL_FORMATS)
			cr_expect_eq(gpu_3d_bytes(&s, &n), -EINVAL, "format %u", format);
		else
			cr_expect(gpu_3d_bytes(&s, &n) == 0 && n >= 1 && n <= 32, "%u", format);
	}
}

Test(formats_3d, sizes_that_are_none)
{
	static const struct gpu_3d_size bad[] = {
		{VIRGL_TARGETS, 1, 1, 1, 1, 1, 0, 0},
		{VIRGL_TARGET_2D, 1, 0, 1, 1, 1, 0, 0},
		{VIRGL_TARGET_2D, 1, 1, 0, 1, 1, 0, 0},
		{VIRGL_TARGET_2D, 1, 1, 1, 0, 1, 0, 0},
		{VIRGL_TARGET_2D, 1, 1, 1, 1, 0, 0, 0},
		{VIRGL_TARGET_2D, 1, 16385, 1, 1, 1, 0, 0},
		{VIRGL_TARGET_2D, 1, 1, 16385, 1, 1, 0, 0},
		{VIRGL_TARGET_2D, 1, 1, 1, 2, 1, 0, 0},
		{VIRGL_TARGET_3D, 1, 1, 1, 2049, 1, 0, 0},
		{VIRGL_TARGET_2D, 1, 1, 1, 1, 2049, 0, 0},
		{VIRGL_TARGET_2D, 1, 1, 1, 1, 1, 15, 0},
		{VIRGL_TARGET_2D, 1, 1, 1, 1, 1, 0, 17},
		{VIRGL_TARGET_2D, 1, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, 31, 255},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect_eq(gpu_3d_bytes(&bad[i], &(uint64_t){0}), -EINVAL, "%zu", i);
}

Test(formats_3d, the_largest_does_not_wrap)
{
	const struct gpu_3d_size s = {VIRGL_TARGET_3D, 27, 16384, 16384, 2048, 2048, 14, 16};

	cr_expect_gt(bytes(&s), 1ull << 58);
}
