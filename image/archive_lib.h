/* SPDX-License-Identifier: MIT */
/* image/archive_lib.h - libarchive, loaded when there is something to unpack. */
#ifndef IMAGE_ARCHIVE_LIB_H
#define IMAGE_ARCHIVE_LIB_H

#include <archive.h>
#include <archive_entry.h>

#include "common/util.h"

/*
 * A kernel is unpacked once and then started a thousand times (common/lazy_lib.h). A
 * distribution that compresses its modules needs it for each initramfs it makes.
 */
struct archive_lib {
	/* Named as the functions of libarchive are, without "archive_" and "support_". */
	__typeof__(archive_read_new) *read_new;
	__typeof__(archive_read_free) *read_free;
	__typeof__(archive_read_open) *read_open;
	__typeof__(archive_read_open_fd) *read_open_fd;
	__typeof__(archive_read_data) *read_data;
	__typeof__(archive_read_next_header) *read_next_header;
	__typeof__(archive_read_data_block) *read_data_block;
	__typeof__(archive_read_support_filter_gzip) *filter_gzip;
	__typeof__(archive_read_support_filter_bzip2) *filter_bzip2;
	__typeof__(archive_read_support_filter_lzma) *filter_lzma;
	__typeof__(archive_read_support_filter_xz) *filter_xz;
	__typeof__(archive_read_support_filter_lz4) *filter_lz4;
	__typeof__(archive_read_support_filter_zstd) *filter_zstd;
	__typeof__(archive_read_support_format_raw) *format_raw;
	__typeof__(archive_read_support_format_ar) *format_ar;
	__typeof__(archive_read_support_format_tar) *format_tar;
	__typeof__(archive_filter_count) *filter_count;
	__typeof__(archive_set_error) *set_error;
	__typeof__(archive_entry_pathname) *entry_pathname;
	__typeof__(archive_entry_hardlink) *entry_hardlink;
	__typeof__(archive_entry_filetype) *entry_filetype;
};

/* -ELIBACC: it is not installed, or not one of version 3. Before the machine starts. */
int archive_lib_open(struct archive_lib *lib) MUST_CHECK;

#endif
