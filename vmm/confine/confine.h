/* SPDX-License-Identifier: MIT */
/* vmm/confine/confine.h - what the process of a sandbox gives up before its guest runs. */
#ifndef VMM_CONFINE_CONFINE_H
#define VMM_CONFINE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/util.h"

/*
 * DOC: by what is held
 *
 * The process has opened all it will need. Each descriptor of a folder, and each O_PATH one of a
 * file, becomes a detached mount under the same number (common/mounts.h), read-only unless it is listed
 * as writable: none is forgotten, as the kernel's list of descriptors is what is gone through. The
 * root becomes empty. Where namespaces cannot be had, Landlock allows what is below those
 * descriptors and nothing else. docs/confinement.md says what each leaves open.
 */

struct confine_setup {
	const int *writable; /* descriptors of folders and files that are written to */
	size_t n_writable;
	int locked; /* a folder with a flock(), to be kept; -1: none */
	int guard; /* locked meanwhile, as whoever looks for the lock of that one does; -1 */
	bool weak; /* go on also with nothing in force */
};

/* What is in force. */
struct confinement {
	bool mounts; /* everything held is a detached mount below an empty root */
	bool network; /* a network namespace of its own, without a network */
	int landlock; /* its ABI; 0: it is not in force */
	char why[160]; /* why there are no mounts; "" if there are */
};

/*
 * Confines the process, which has one thread, for good. -EOPNOTSUPP: the host can do neither,
 * which with `weak` is no error. Another -errno: privileges cannot be given up. Logs on failure.
 */
int confine(const struct confine_setup *setup, struct confinement *out) MUST_CHECK;

/* One line for people: "mounts and Landlock", .... */
const char *confinement_text(const struct confinement *c);

#endif
