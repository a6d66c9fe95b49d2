/* SPDX-License-Identifier: MIT */
/* vmm/gpu_failures.h - remembers a host's GPU that fails, so that not every start waits for it. */
#ifndef VMM_GPU_FAILURES_H
#define VMM_GPU_FAILURES_H

#include <stddef.h>

#include "common/util.h"

enum {
	GPU_FAILURES_MAX = 2, /* as often it is tried */
	GPU_KEY_MAX = 256,
};

/*
 * DOC: what is remembered
 *
 * $XDG_CACHE_HOME/sandcastle/gpu-failures is one line: how often the GPU crashed or hung when a
 * start tried it, and a key: the kernel's version, the kernel's drivers of the GPUs, and when the
 * host's libraries were last changed. With another key the line does not count. What a guest brings
 * the GPU to later is not noted: it would take it from the user's other sandboxes. Without
 * the file, or a place for it, nothing is remembered, and nothing is wrong.
 */

/* The key of the host whose file system begins at `root` ("" for the host's own). */
void gpu_failures_key(const char *root, char key[GPU_KEY_MAX]);
/* The user's file; malloc'ed, NULL: there is no place for it. */
char *gpu_failures_path(void) MUST_CHECK;
/* How often the GPU failed with this key; 0 also if that cannot be told. */
unsigned int gpu_failures_read(const char *path, const char *key);
/* Notes that number, or with 0 forgets it. What cannot be written is not remembered. */
void gpu_failures_write(const char *path, const char *key, unsigned int n);

#endif
