/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "image/kernel/unpack.h"
#include "tests/unit/image/image_files.h"

struct memory_sink {
	struct unpack_sink base;
	uint8_t data[200000];
	size_t len;
	int refuse; /* -errno to answer with */
};

static int memory_write(struct unpack_sink *base, const void *data, size_t len)
{
	struct memory_sink *sink = CONTAINER_OF(base, struct memory_sink, base);

	if (sink->refuse)
		return sink->refuse;
	cr_assert_leq(len, sizeof(sink->data) - sink->len);
	memcpy(sink->data + sink->len, data, len);
	sink->len += len;
	return 0;
}

static struct memory_sink sink;
static uint8_t text[100000];

static void setup(void)
{
	sink = (struct memory_sink){.base = {.write = memory_write}};
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i % 251 + i / 4000);
}

TestSuite(unpack, .init = setup);

Test(unpack, every_compressor_a_kernel_or_a_module_uses)
{
	for (enum compressor how = COMPRESS_GZIP; how <= COMPRESS_LZMA; how++) {
		size_t len;
		uint8_t *packed = compress_bytes(how, text, sizeof(text), &len);
		int fd = fd_of(packed, len);

		sink.len = 0;
		cr_assert_eq(unpack_range(fd, 0, len, sizeof(text), &sink.base), 0, "%d", how);
		cr_assert_eq(sink.len, sizeof(text));
		cr_assert_eq(memcmp(sink.data, text, sizeof(text)), 0);
		close(fd);
		free(packed);
	}
}

Test(unpack, sees_its_range_of_the_file_only)
{
	size_t len;
	uint8_t *packed = compress_bytes(COMPRESS_XZ, text, sizeof(text), &len);
	uint8_t *file = calloc(1, len + 200);
	int fd;

	memset(file, 0x5a, len + 200);
	memcpy(file + 100, packed, len);
	fd = fd_of(file, len + 200);
	cr_assert_eq(unpack_range(fd, 100, len, sizeof(text), &sink.base), 0);
	cr_assert_eq(sink.len, sizeof(text));
	close(fd);
	free(file);
	free(packed);
}

Test(unpack, stops_above_the_limit)
{
	size_t len;
	uint8_t *packed = compress_bytes(COMPRESS_ZSTD, text, sizeof(text), &len);
	int fd = fd_of(packed, len);

	cr_assert_eq(unpack_range(fd, 0, len, sizeof(text) - 1, &sink.base), -EFBIG);
	cr_assert_lt(sink.len, sizeof(text));
	close(fd);
	free(packed);
}

Test(unpack, damage_is_noticed)
{
	size_t len;
	uint8_t *packed = compress_bytes(COMPRESS_XZ, text, sizeof(text), &len);
	int cut = fd_of(packed, len / 2), flipped;

	cr_assert_eq(unpack_range(cut, 0, len / 2, sizeof(text), &sink.base), -EBADMSG);
	packed[len / 2] ^= 0x10;
	flipped = fd_of(packed, len);
	cr_assert_eq(unpack_range(flipped, 0, len, sizeof(text), &sink.base), -EBADMSG);
	close(cut);
	close(flipped);
	free(packed);
}

Test(unpack, what_is_not_compressed_is_refused)
{
	int fd = fd_of(text, sizeof(text)), empty = fd_of("", 0);

	cr_assert_eq(unpack_range(fd, 0, sizeof(text), sizeof(text), &sink.base), -EBADMSG);
	cr_assert_eq(unpack_range(empty, 0, 0, sizeof(text), &sink.base), -EBADMSG);
	cr_assert_eq(sink.len, 0);
	close(fd);
	close(empty);
}

Test(unpack, the_sinks_error_comes_back)
{
	size_t len;
	uint8_t *packed = compress_bytes(COMPRESS_GZIP, text, sizeof(text), &len);
	int fd = fd_of(packed, len);

	sink.refuse = -ENOSPC;
	cr_assert_eq(unpack_range(fd, 0, len, sizeof(text), &sink.base), -ENOSPC);
	cr_assert_eq(unpack_range(-1, 0, len, sizeof(text), &sink.base), -EBADF);
	close(fd);
	free(packed);
}
