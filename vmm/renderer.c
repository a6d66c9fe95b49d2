/* SPDX-License-Identifier: MIT */
#include "vmm/renderer.h"

enum {
	/* How long the host's GPU has to be found and tried, and where it has to be had. */
	LIMIT_MS = 5000,
	FORCED_LIMIT_MS = 60 * 1000,
};

void renderer_start(struct gpu *gpu, const struct ram *ram, const struct sandbox_config *cfg)
{
	const bool forced = cfg->gpu_choice == GPU_FORCED;
	const struct gpu_host host = {
		.ram_fd = ram->fd,
		.ram = ram->host,
		.ram_size = ram->size,
		.forced = forced,
	};
	char why[128];

	if (cfg->gpu_choice == GPU_NOT)
		gpu_render_none(gpu, "--gpu off");
	else if (!forced && !gpu_host_has_one(why, sizeof(why)))
		gpu_render_none(gpu, why);
	else
		gpu_render_start(gpu, &host);
}

void renderer_wait(struct gpu *gpu, const struct sandbox_config *cfg)
{
	gpu_render_wait(gpu, cfg->gpu_choice == GPU_FORCED ? FORCED_LIMIT_MS : LIMIT_MS);
}
