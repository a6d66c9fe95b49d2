/* SPDX-License-Identifier: MIT */
#include "vmm/net/slirp_lib.h"

#include "common/lazy_lib.h"

#define LIBRARY "libslirp.so.0"

static const struct lazy_symbol functions[] = {
	{"slirp_new", offsetof(struct slirp_lib, new)},
	{"slirp_cleanup", offsetof(struct slirp_lib, cleanup)},
	{"slirp_input", offsetof(struct slirp_lib, input)},
	{"slirp_pollfds_fill", offsetof(struct slirp_lib, pollfds_fill)},
	{"slirp_pollfds_poll", offsetof(struct slirp_lib, pollfds_poll)},
};

int slirp_lib_open(struct slirp_lib *lib)
{
	return lazy_lib_open(LIBRARY, functions, ARRAY_SIZE(functions), lib);
}
