/* SPDX-License-Identifier: MIT */
#include "image/base/tree_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_as(int dir, const char *path, enum tree_links links, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC | (links == TREE_INSIDE ? 0 : O_NOFOLLOW),
		.resolve = links == TREE_NONE
				   ? RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
				   : RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

/* The thing itself, not opened. */
static int find(int dir, const char *path, enum tree_links links, struct stat *st)
{
	AUTO_CLOSE int fd = open_as(dir, path, links, O_PATH);

	if (fd >= 0 && fstat(fd, st) < 0)
		return -errno;
	return steal_fd(&fd);
}

int tree_look(int dir, const char *path, enum tree_links links, struct stat *st)
{
	struct stat seen;
	AUTO_CLOSE int fd = find(dir, path, links, &seen);

	if (fd < 0)
		return fd;
	*st = seen;
	return 0;
}

int tree_open_dir(int dir, const char *path, enum tree_links links)
{
	return open_as(dir, path, links, O_RDONLY | O_DIRECTORY);
}

int tree_open(int dir, const char *path, enum tree_links links, struct stat *st)
{
	struct stat seen;
	AUTO_CLOSE int thing = find(dir, path, links, &seen);
	char self[32];
	int fd;

	if (thing < 0)
		return thing;
	if (!S_ISREG(seen.st_mode))
		return -EINVAL;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", thing);
	fd = open(self, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (st)
		*st = seen;
	return fd;
}
