/* SPDX-License-Identifier: MIT */
/* The boot header, the ELF check and the unpacking on arbitrary files. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/kernel/bzimage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct null_sink {
	struct unpack_sink base;
	uint64_t total;
};

static int null_write(struct unpack_sink *base, const void *data, size_t len)
{
	struct null_sink *sink = CONTAINER_OF(base, struct null_sink, base);

	(void)data;
	sink->total += len;
	/* A small file may unpack to the limit; that is tested elsewhere and slow. */
	return sink->total > (4 << 20) ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct null_sink sink = {.base = {.write = null_write}};
	char release[BZIMAGE_RELEASE_MAX + 1];
	struct bzimage bz;

	if (fd < 0 && (fd = memfd_create("kernel", MFD_CLOEXEC)) < 0)
		abort();
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	if (bzimage_parse(data, min_size(size, BZIMAGE_HEAD), size, &bz) == 0) {
		if (strchr(bz.release, '/') || bz.release[0] == '.' || !bz.release[0] ||
		    bz.payload_off + bz.payload_len + 4 > size)
			abort();
		if (bzimage_unpack(&bz, fd, &sink.base) == 0 && sink.total != bz.unpacked_len)
			abort();
	}
	if (vmlinux_check(fd) == 0 && vmlinux_release(fd, release) == 0 && strchr(release, '/'))
		abort();
	return 0;
}
