/* SPDX-License-Identifier: MIT */
#include "image/kernel/unpack.h"

#include <errno.h>

#include "image/archive_lib.h"

enum { UNPACK_CHUNK = 256 * 1024 };

/* The window of the file that libarchive may see. */
struct unpack_source {
	const struct archive_lib *lib;
	int fd;
	uint64_t off, left;
	int error; /* -errno of a read, 0 for none */
	uint8_t *chunk;
};

static la_ssize_t source_read(struct archive *a, void *data, const void **buf)
{
	struct unpack_source *src = data;
	ssize_t n;

	do
		n = pread(src->fd, src->chunk, min_u64(src->left, UNPACK_CHUNK), (off_t)src->off);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		src->error = -errno;
		src->lib->set_error(a, errno, "read");
		return -1;
	}
	src->off += (uint64_t)n;
	src->left -= (uint64_t)n;
	*buf = src->chunk;
	return n;
}

/*
 * Only what libarchive does in this process: for some other compressors it
 * would start a program of that name, and the file chooses the compressor.
 */
static int reader_open(struct archive *a, struct unpack_source *src)
{
	const struct archive_lib *lib = src->lib;

	if (lib->filter_gzip(a) != ARCHIVE_OK || lib->filter_bzip2(a) != ARCHIVE_OK ||
	    lib->filter_lzma(a) != ARCHIVE_OK || lib->filter_xz(a) != ARCHIVE_OK ||
	    lib->filter_lz4(a) != ARCHIVE_OK || lib->filter_zstd(a) != ARCHIVE_OK ||
	    lib->format_raw(a) != ARCHIVE_OK)
		return -ENOTSUP;
	if (lib->read_open(a, src, NULL, source_read, NULL) != ARCHIVE_OK)
		return src->error < 0 ? src->error : -EBADMSG;
	return 0;
}

static int copy_out(struct archive *a, const struct unpack_source *src, uint64_t max,
		    struct unpack_sink *sink)
{
	struct archive_entry *entry;
	uint64_t total = 0;

	if (src->lib->read_next_header(a, &entry) != ARCHIVE_OK)
		return src->error < 0 ? src->error : -EBADMSG;
	/* The raw reader always works; only a filter of ours makes it a decompression. */
	if (src->lib->filter_count(a) < 2)
		return -EBADMSG;

	for (;;) {
		const void *data;
		size_t len;
		la_int64_t off;
		int r = src->lib->read_data_block(a, &data, &len, &off);

		if (r == ARCHIVE_EOF)
			return 0;
		if (r != ARCHIVE_OK)
			return src->error < 0 ? src->error : -EBADMSG;
		if (len > max - total)
			return -EFBIG;
		total += len;
		r = sink->write(sink, data, len);
		if (r < 0)
			return r;
	}
}

int unpack_range(int fd, uint64_t off, uint64_t len, uint64_t max, struct unpack_sink *sink)
{
	AUTO_FREE uint8_t *chunk = malloc(UNPACK_CHUNK);
	struct archive_lib lib;
	struct unpack_source src = {.lib = &lib, .fd = fd, .off = off, .left = len, .chunk = chunk};
	struct archive *a;
	int r = archive_lib_open(&lib);

	if (r < 0)
		return r;
	a = lib.read_new();
	r = chunk && a ? reader_open(a, &src) : -ENOMEM;
	if (r == 0)
		r = copy_out(a, &src, max, sink);
	lib.read_free(a);
	return r;
}
