/* SPDX-License-Identifier: MIT */
/* vmm/net/slirp_lib.h - libslirp, loaded in the network process alone. */
#ifndef VMM_NET_SLIRP_LIB_H
#define VMM_NET_SLIRP_LIB_H

#include <libslirp.h>

#include "common/util.h"

struct slirp_lib {
	/* Named as the functions of libslirp are, without "slirp_". */
	__typeof__(slirp_new) *new;
	__typeof__(slirp_cleanup) *cleanup;
	__typeof__(slirp_input) *input;
	__typeof__(slirp_pollfds_fill) *pollfds_fill;
	__typeof__(slirp_pollfds_poll) *pollfds_poll;
};

/* -ELIBACC: it is not installed, or not one of version 4.7 or later. */
int slirp_lib_open(struct slirp_lib *lib) MUST_CHECK;

#endif
