/* SPDX-License-Identifier: MIT */
#include "image/archive_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

/* The one of the ABI we were compiled for. */
#define LIBRARY "libarchive.so.13"

static const struct {
	const char *name;
	size_t member;
} functions[] = {
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
	struct archive_lib found = {.handle =
					    dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)};

	for (size_t i = 0; found.handle && i < ARRAY_SIZE(functions); i++) {
		void *function = dlsym(found.handle, functions[i].name);

		if (!function)
			archive_lib_close(&found);
		else
			/* ISO C has no conversion from an object's address to a function's. */
			memcpy((char *)&found + functions[i].member, &function, sizeof(function));
	}
	if (!found.handle)
		return -ELIBACC;
	*lib = found;
	return 0;
}

void archive_lib_close(struct archive_lib *lib)
{
	if (lib->handle)
		dlclose(lib->handle);
	*lib = (struct archive_lib){.handle = NULL};
}
