/* SPDX-License-Identifier: MIT */
#include "launcher/copy/tar_lib.h"

#include "common/lazy_lib.h"

/* The one of the ABI we were compiled for. */
#define LIBRARY "libarchive.so.13"

#define FUNCTION(name, member)                                    \
	{                                                         \
		"archive_" name, offsetof(struct tar_lib, member) \
	}

static const struct lazy_symbol functions[] = {
	FUNCTION("read_new", read_new),
	FUNCTION("read_free", read_free),
	FUNCTION("read_support_format_tar", read_format_tar),
	FUNCTION("read_open", read_open),
	FUNCTION("read_next_header", read_next_header),
	FUNCTION("read_data_block", read_data_block),
	FUNCTION("write_new", write_new),
	FUNCTION("write_free", write_free),
	FUNCTION("write_close", write_close),
	FUNCTION("write_set_format_gnutar", write_format_gnutar),
	FUNCTION("write_open_fd", write_open_fd),
	FUNCTION("write_header", write_header),
	FUNCTION("write_data", write_data),
	FUNCTION("error_string", error_string),
	FUNCTION("entry_new", entry_new),
	FUNCTION("entry_free", entry_free),
	FUNCTION("entry_clear", entry_clear),
	FUNCTION("entry_pathname", entry_pathname),
	FUNCTION("entry_hardlink", entry_hardlink),
	FUNCTION("entry_symlink", entry_symlink),
	FUNCTION("entry_filetype", entry_filetype),
	FUNCTION("entry_perm", entry_perm),
	FUNCTION("entry_size", entry_size),
	FUNCTION("entry_mtime", entry_mtime),
	FUNCTION("entry_mtime_nsec", entry_mtime_nsec),
	FUNCTION("entry_set_pathname", entry_set_pathname),
	FUNCTION("entry_set_symlink", entry_set_symlink),
	FUNCTION("entry_set_filetype", entry_set_filetype),
	FUNCTION("entry_set_perm", entry_set_perm),
	FUNCTION("entry_set_size", entry_set_size),
	FUNCTION("entry_set_mtime", entry_set_mtime),
};

int tar_lib_open(struct tar_lib *lib)
{
	return lazy_lib_open(LIBRARY, functions, ARRAY_SIZE(functions), lib);
}
