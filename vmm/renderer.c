/* SPDX-License-Identifier: MIT */
#include "vmm/renderer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/gpu_failures.h"

enum {
	/* How long the host's GPU has to be found and tried, and where it has to be had. */
	LIMIT_MS = 5000,
	FORCED_LIMIT_MS = 60 * 1000,
};

/* How often this GPU failed before when a start tried it. */
static unsigned int failures(void)
{
	AUTO_FREE char *path = gpu_failures_path();
	char key[GPU_KEY_MAX];

	gpu_failures_key("", key);
	return path ? gpu_failures_read(path, key) : 0;
}

static void note_failures(unsigned int n)
{
	AUTO_FREE char *path = gpu_failures_path();
	char key[GPU_KEY_MAX];

	gpu_failures_key("", key);
	if (path)
		gpu_failures_write(path, key, n);
}

static bool may_try(char *why, size_t size)
{
	if (!gpu_host_has_one(why, size))
		return false;
	if (failures() < GPU_FAILURES_MAX)
		return true;
	snprintf(
		why, size,
		"the host's GPU crashed or hung each time it was tried; it is tried again when its "
		"driver changes, or with --gpu on");
	return false;
}

bool renderer_try(char *says, size_t size)
{
	return may_try(says, size) && gpu_render_try(LIMIT_MS, says, size) == 0;
}

void renderer_start(struct gpu *gpu, const struct ram *ram, const struct sandbox_config *cfg)
{
	const bool forced = cfg->gpu_choice == GPU_FORCED;
	const struct gpu_host host = {
		.ram_fd = ram->fd,
		.ram = ram->host,
		.ram_size = ram->size,
		.forced = forced,
	};
	char why[192];

	if (cfg->gpu_choice == GPU_NOT)
		gpu_render_none(gpu, "--gpu off");
	else if (!forced && !may_try(why, sizeof(why)))
		gpu_render_none(gpu, why);
	else
		gpu_render_start(gpu, &host);
}

void renderer_wait(struct gpu *gpu, const struct sandbox_config *cfg)
{
	const bool forced = cfg->gpu_choice == GPU_FORCED;
	const int r = gpu_render_wait(gpu, forced ? FORCED_LIMIT_MS : LIMIT_MS);
	const unsigned int before = r == 0 || r == -EIO ? failures() : 0;

	if (r == -EIO && !forced)
		note_failures(before + 1);
	else if (r == 0 && before > 0)
		note_failures(0);
}
