/* SPDX-License-Identifier: MIT */
/* image/kernel/unpack.h - decompression of one stream, whatever the compressor was. */
#ifndef IMAGE_KERNEL_UNPACK_H
#define IMAGE_KERNEL_UNPACK_H

#include <stdint.h>

#include "common/util.h"

/* Takes the bytes as they come; 0 or -errno, which ends the unpacking. Embed it. */
struct unpack_sink {
	int (*write)(struct unpack_sink *sink, const void *data, size_t len);
};

/*
 * Decompresses `len` bytes at `off` of fd (gzip, bzip2, lzma, xz, lz4 or zstd,
 * found by their magic) into sink, never more than `max` bytes. fd's position
 * is not used. -EBADMSG: damaged or not compressed by any of these; -EFBIG:
 * more than max; -ELIBACC: libarchive is not installed; else what reading or the sink returned.
 */
int unpack_range(int fd, uint64_t off, uint64_t len, uint64_t max,
		 struct unpack_sink *sink) MUST_CHECK;

#endif
