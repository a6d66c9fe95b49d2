/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>

#include "launcher/commands.h"
#include "vmm/net/keeper.h"

/* A file opened as number 0, 1 or 2 would be taken for the command's stdio. */
static void fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	/* How a sandbox starts its network; nothing a person types. */
	if (argc == 2 && strcmp(argv[1], NET_KEEPER_WORD) == 0)
		return net_keeper_main(NET_KEEPER_LINE);
	fill_stdio();
	return commands_main(argc, argv);
}
