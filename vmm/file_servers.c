/* SPDX-License-Identifier: MIT */
#include "vmm/file_servers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/agent_protocol.h"
#include "devices/board/device.h"
#include "devices/fs/fs.h"
#include "image/base/base.h"
#include "vmm/machine.h"

#define DAX_WINDOW_MAX (512ull << 20)

/*
 * The guest pays 64 bytes of memory for each 4 KiB of the window, and time at its
 * start (docs/decisions/0004-dax-window.md).
 */
uint64_t file_server_window(uint64_t memory)
{
	uint64_t window = DAX_WINDOW_MAX;

	while (window > memory / 4)
		window /= 2;
	return window;
}

static int add_map(struct fs_server *server, const struct sandbox_config *cfg, size_t index)
{
	const struct config_map *map = &cfg->maps[index];
	char name[24];
	struct fs_export_config export = {
		.name = name,
		.fd = fcntl(map->fd, F_DUPFD_CLOEXEC, 3),
		.writable = map->writable,
		.cache = FS_CACHE_SHORT,
	};

	if (export.fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "map%zu", index);
	return fs_server_add_export(server, &export);
}

static int add_maps(struct fs_server *server, const struct machine_setup *setup)
{
	const struct sandbox_config *cfg = setup->config;
	int r = 0;

	for (size_t i = 0; r == 0 && i < cfg->n_maps; i++)
		r = add_map(server, cfg, i);
	return r;
}

static int add_base(struct fs_server *server, const struct machine_setup *setup)
{
	struct fs_export_config base = {
		.name = SC_FS_BASE,
		.fd = fcntl(setup->base->root, F_DUPFD_CLOEXEC, 3),
		.cache = FS_CACHE_LONG,
		.index = setup->base->index,
	};
	/* The kernel is not always the host's own, so its modules are not in the image. */
	struct fs_export_config modules = {
		.name = SC_FS_MODULES,
		.fd = open(setup->kernel->modules, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.cache = FS_CACHE_LONG,
	};
	int r = base.fd < 0 || modules.fd < 0 ? -errno : 0;

	if (r == 0)
		r = fs_server_add_export(server, &base);
	else if (base.fd >= 0)
		close(base.fd);
	if (r == 0)
		r = fs_server_add_export(server, &modules);
	else if (modules.fd >= 0)
		close(modules.fd);
	fs_server_freeze(server);
	return r;
}

typedef int (*exports_fn)(struct fs_server *server, const struct machine_setup *setup);

static int new_server(const struct machine_setup *setup, exports_fn add_exports, uint64_t window,
		      struct fs_server **out)
{
	struct fs_server *server = NULL;
	int r = fs_server_new(&server);

	if (r < 0)
		return r;
	fs_server_limit(server, setup->config->memory);
	r = add_exports(server, setup);
	if (r == 0 && !setup->config->no_dax)
		r = fs_server_add_window(server, window);
	if (r < 0)
		fs_server_free(server);
	else
		*out = server;
	return r;
}

int file_server_new_base(const struct machine_setup *setup, struct fs_server **out)
{
	return new_server(setup, add_base, file_server_window(setup->config->memory), out);
}

int file_server_new_maps(const struct machine_setup *setup, struct fs_server **out)
{
	return new_server(setup, add_maps, file_server_window(setup->config->memory) / 4, out);
}

bool file_server_mend_window(const struct file_server *files)
{
	bool mended;

	pthread_mutex_lock(&files->device->lock);
	mended = fs_server_mend_window(files->server);
	pthread_mutex_unlock(&files->device->lock);
	return mended;
}

void file_server_forget(const struct file_server *files)
{
	pthread_mutex_lock(&files->device->lock);
	fs_server_reset(files->server);
	pthread_mutex_unlock(&files->device->lock);
}
