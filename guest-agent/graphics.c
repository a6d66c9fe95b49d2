/* SPDX-License-Identifier: MIT */
#include "guest-agent/graphics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_DEVICES = 4 };

typedef char device_name[NAME_MAX + 1];

/* Writes `name` to the driver's file `file`. */
static int tell(int dir, const char *file, const char *name)
{
	AUTO_CLOSE int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, name, strlen(name)) >= 0 ? 0 : -errno;
}

/* The devices are links beside the driver's files: virtio0, virtio1 and so on. */
static size_t list_devices(DIR *dir, device_name *names)
{
	const struct dirent *e;
	size_t n = 0;

	while (n < MAX_DEVICES && (e = readdir(dir)))
		if (strncmp(e->d_name, "virtio", strlen("virtio")) == 0)
			snprintf(names[n++], sizeof(*names), "%s", e->d_name);
	return n;
}

int graphics_rebind(const char *path)
{
	device_name names[MAX_DEVICES];
	DIR *dir = opendir(path);
	int r = dir ? 0 : -errno;
	/* All names first: the listing changes with each that is taken away. */
	const size_t n = dir ? list_devices(dir, names) : 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = tell(dirfd(dir), "unbind", names[i]);
		if (r == 0)
			r = tell(dirfd(dir), "bind", names[i]);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* A device's features are a line of digits, of which the first is VIRTIO_GPU_F_VIRGL. */
bool graphics_is_3d(const char *path)
{
	device_name names[MAX_DEVICES];
	char file[NAME_MAX + sizeof("/features") + 1], digit = '0';
	DIR *dir = opendir(path);
	const size_t n = dir ? list_devices(dir, names) : 0;

	if (n > 0) {
		AUTO_CLOSE int fd = -1;

		snprintf(file, sizeof(file), "%s/features", names[0]);
		fd = openat(dirfd(dir), file, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, &digit, 1) != 1)
			digit = '0';
	}
	if (dir)
		closedir(dir);
	return digit == '1';
}
