/* SPDX-License-Identifier: MIT */
#include "image/archive_lib.h"

#include "common/lazy_lib.h"

/* The one of the ABI we were compiled for. */
#define LIBRARY "libarchive.so.13"

static const struct lazy_symbol functions[] = {
	{"archive_read_new", offsetof(struct archive_lib, read_new)},
	{"archive_read_free", offsetof(struct archive_lib, read_free)},
	{"archive_read_open", offsetof(struct archive_lib, read_open)},
	{"archive_read_next_header", offsetof(struct archive_lib, read_next_header)},
	{"archive_read_data_block", offsetof(struct archive_lib, read_data_block)},
	{"archive_read_support_filter_gzip", offsetof(struct archive_lib, filter_gzip)},
	{"archive_read_support_filter_bzip2", offsetof(struct archive_lib, filter_bzip2)},
	{"archive_read_support_filter_lzma", offsetof(struct archive_lib, filter_lzma)},
	{"archive_read_support_filter_xz", offsetof(struct archive_lib, filter_xz)},
	{"archive_read_support_filter_lz4", offsetof(struct archive_lib, filter_lz4)},
	{"archive_read_support_filter_zstd", offsetof(struct archive_lib, filter_zstd)},
	{"archive_read_support_format_raw", offsetof(struct archive_lib, format_raw)},
	{"archive_read_open_fd", offsetof(struct archive_lib, read_open_fd)},
	{"archive_read_data", offsetof(struct archive_lib, read_data)},
	{"archive_read_support_format_ar", offsetof(struct archive_lib, format_ar)},
	{"archive_read_support_format_tar", offsetof(struct archive_lib, format_tar)},
	{"archive_entry_pathname", offsetof(struct archive_lib, entry_pathname)},
	{"archive_entry_hardlink", offsetof(struct archive_lib, entry_hardlink)},
	{"archive_entry_filetype", offsetof(struct archive_lib, entry_filetype)},
	{"archive_filter_count", offsetof(struct archive_lib, filter_count)},
	{"archive_set_error", offsetof(struct archive_lib, set_error)},
};

int archive_lib_open(struct archive_lib *lib)
{
	return lazy_lib_open(LIBRARY, functions, ARRAY_SIZE(functions), lib);
}
