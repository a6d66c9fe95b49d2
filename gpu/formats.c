/* SPDX-License-Identifier: MIT */
#include "gpu/formats.h"

#include <linux/virtio_gpu.h>

#include "common/util.h"

enum { OPAQUE = 4 };

/* Which byte of a pixel in memory is which colour. */
struct format {
	uint32_t id;
	uint8_t blue, green, red, alpha; /* alpha OPAQUE: none */
};

/* The names list the bytes in the order in which they lie in memory. */
static const struct format formats[] = {
	{VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, 0, 1, 2, 3},
	{VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, 0, 1, 2, OPAQUE},
	{VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 3, 2, 1, 0},
	{VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM, 3, 2, 1, OPAQUE},
	{VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM, 2, 1, 0, 3},
	{VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM, 1, 2, 3, OPAQUE},
	{VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM, 1, 2, 3, 0},
	{VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM, 2, 1, 0, OPAQUE},
};

static const struct format *find(uint32_t id)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (formats[i].id == id)
			return &formats[i];
	return NULL;
}

bool gpu_format_known(uint32_t format)
{
	return find(format);
}

bool gpu_format_is_bgrx(uint32_t format)
{
	return format == VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM ||
	       format == VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM;
}

void gpu_format_to_bgra(uint32_t format, uint8_t *dst, const uint8_t *src, size_t n)
{
	const struct format *f = find(format);

	for (size_t i = 0; i < n * GPU_PIXEL; i += GPU_PIXEL) {
		/* The fifth is what is read where there is no alpha. */
		const uint8_t p[OPAQUE + 1] = {src[i], src[i + 1], src[i + 2], src[i + 3], 255};

		dst[i] = p[f->blue];
		dst[i + 1] = p[f->green];
		dst[i + 2] = p[f->red];
		dst[i + 3] = p[f->alpha];
	}
}
