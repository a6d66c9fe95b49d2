/* SPDX-License-Identifier: MIT */
#include "common/lazy_lib.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

int lazy_lib_open(const char *soname, const struct lazy_symbol *symbols, size_t n, void *table)
{
	void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	bool whole = handle != NULL;

	for (size_t i = 0; whole && i < n; i++)
		whole = dlsym(handle, symbols[i].name) != NULL;
	for (size_t i = 0; whole && i < n; i++) {
		void *function = dlsym(handle, symbols[i].name);

		/* ISO C has no conversion from an object's address to a function's. */
		memcpy((char *)table + symbols[i].member, &function, sizeof(function));
	}
	/* The library stays loaded all the same: it was opened with RTLD_NODELETE. */
	if (handle)
		dlclose(handle);
	return whole ? 0 : -ELIBACC;
}
