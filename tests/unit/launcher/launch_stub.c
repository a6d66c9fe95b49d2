/* SPDX-License-Identifier: MIT */
/* In the place of launcher/launch.c, which needs a machine: a sandbox never starts here. */
#include <errno.h>

#include "launcher/launch.h"

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
