/* SPDX-License-Identifier: MIT */
#include "common/own_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

int own_fd_folder(void)
{
	static int folder = -1;

	if (folder < 0)
		folder = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return folder < 0 ? -errno : folder;
}

int own_fd_reopen(int fd, int flags)
{
	const int folder = own_fd_folder();
	char name[16];
	int r;

	if (folder < 0)
		return folder;
	snprintf(name, sizeof(name), "%d", fd);
	r = openat(folder, name, flags | O_CLOEXEC);
	return r < 0 ? -errno : r;
}
