/* SPDX-License-Identifier: MIT */
/* vmm/renderer.h - whether the host's GPU is asked to draw for a sandbox, and for how long. */
#ifndef VMM_RENDERER_H
#define VMM_RENDERER_H

#include "devices/board/ram.h"
#include "gpu/gpu.h"
#include "vmm/config/config.h"

/*
 * Tries the host's GPU as a start does, without a sandbox, and remembers nothing. True: guests get
 * it, and says[] is its driver; false: says[] is why they draw in software.
 */
bool renderer_try(char *says, size_t size);

/*
 * As --gpu says: starts the renderer's process, which gets `ram`, or notes in
 * `gpu` why there is none. Whatever comes of it, the guest can draw by itself.
 */
void renderer_start(struct gpu *gpu, const struct ram *ram, const struct sandbox_config *cfg);

/* Waits for what renderer_start() began. It had the time that the kernel took to load. */
void renderer_wait(struct gpu *gpu, const struct sandbox_config *cfg);

#endif
