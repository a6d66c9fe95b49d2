/* SPDX-License-Identifier: MIT */
/* In the place of launcher/launch.c and vmm/template.c, which need a machine: a sandbox never starts here. */
#include <errno.h>

#include "launcher/launch.h"
#include "vmm/template.h"

void launch_prepare(void)
{
}

int launch_parse(const struct call *call, struct sandbox_config *cfg)
{
	(void)call;
	sandbox_config_init(cfg);
	return -ENOSYS;
}

int launch(struct sandbox_config *cfg, int tie_fd, struct timeline *tl, launch_ready_fn ready,
	   void *owner)
{
	(void)cfg;
	(void)tie_fd;
	(void)tl;
	(void)ready;
	(void)owner;
	return 1;
}

int launch_tie(const struct sandbox_config *cfg, int *fd)
{
	(void)cfg;
	*fd = -1;
	return 0;
}

size_t template_list(struct template_info out[TEMPLATE_LIST_MAX])
{
	(void)out;
	return 0;
}

int template_clean(void)
{
	return -ENOENT;
}
