/* SPDX-License-Identifier: MIT */
#include <fcntl.h>

#include "launcher/commands.h"

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
	fill_stdio();
	return commands_main(argc, argv);
}
