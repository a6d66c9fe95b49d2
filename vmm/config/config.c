/* SPDX-License-Identifier: MIT */
#include "vmm/config/config.h"

void sandbox_config_init(struct sandbox_config *cfg)
{
	*cfg = (struct sandbox_config){0};
}

static void strings_free(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

void config_map_fini(struct config_map *map)
{
	free(map->host);
	free(map->guest);
	if (map->fd >= 0)
		close(map->fd);
}

void config_close_maps(struct sandbox_config *cfg)
{
	for (size_t i = 0; i < cfg->n_maps; i++) {
		if (cfg->maps[i].fd >= 0)
			close(cfg->maps[i].fd);
		cfg->maps[i].fd = -1;
	}
}

void sandbox_config_fini(struct sandbox_config *cfg)
{
	for (size_t i = 0; i < cfg->n_maps; i++)
		config_map_fini(&cfg->maps[i]);
	free(cfg->maps);
	strings_free(cfg->argv);
	strings_free(cfg->commands);
	strings_free(cfg->env);
	strings_free(cfg->publish);
	for (size_t i = 0; i < cfg->n_ports; i++)
		if (cfg->ports[i].fd >= 0)
			close(cfg->ports[i].fd);
	free(cfg->ports);
	if (cfg->tap > 0)
		close(cfg->tap);
	free(cfg->name);
	free(cfg->workdir);
	free(cfg->run_as);
	free(cfg->user.name);
	free(cfg->user.home);
	free(cfg->user.shell);
	free(cfg->root);
	free(cfg->kernel);
	free(cfg->battery);
	free(cfg->timeline);
	free(cfg->network);
	free(cfg->gpu);
	free(cfg->session);
	free(cfg->resolv_conf);
	sandbox_config_init(cfg);
}
