/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "battery/supply.h"

/* A driver may fail any attribute at any time (EIO, ENODEV, ENODATA): it is then just not known. */
static void read_attr(int dir_fd, struct supply *s, enum supply_attr attr)
{
	/* O_NONBLOCK: a name that is a FIFO or a device, not an attribute, must not block us. */
	AUTO_CLOSE int fd = openat(dir_fd, supply_attr_name(attr),
				   O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	char *value = s->attrs[attr];
	ssize_t n = fd < 0 ? 0 : read(fd, value, SUPPLY_VALUE_MAX - 1);

	value[n > 0 ? n : 0] = '\0';
	value[strcspn(value, "\n")] = '\0';
}

static int open_supply(int class_fd, int devices_fd, const char *name)
{
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	static const char devices[] = "../../devices/";
	const size_t prefix = sizeof(devices) - 1;
	char link[1024];
	const ssize_t n = readlinkat(class_fd, name, link, sizeof(link) - 1);

	if (n <= (ssize_t)prefix || memcmp(link, devices, prefix) != 0)
		return openat(class_fd, name, flags);
	link[n] = '\0';
	return openat(devices_fd, link + prefix, flags);
}

static int read_supply(int class_fd, int devices_fd, const char *name, struct supply *s)
{
	AUTO_CLOSE int dir_fd = open_supply(class_fd, devices_fd, name);

	if (dir_fd < 0)
		return -errno;
	memset(s, 0, sizeof(*s));
	memcpy(s->name, name, strlen(name) + 1);
	read_attr(dir_fd, s, SUPPLY_TYPE);
	read_attr(dir_fd, s, SUPPLY_SCOPE);
	read_attr(dir_fd, s, SUPPLY_ONLINE);
	/* Reading the rest of a mouse would ask it by radio, for nothing. */
	if (!supply_is_battery(s))
		return 0;
	for (unsigned int a = SUPPLY_ONLINE + 1; a < SUPPLY_N_ATTRS; a++)
		read_attr(dir_fd, s, (enum supply_attr)a);
	return 0;
}

/* There are a few. qsort() would ask for the host's memory, a call that the thread has given up. */
static void sort_by_name(struct supply_set *set)
{
	for (unsigned int i = 1; i < set->n; i++)
		for (unsigned int j = i;
		     j > 0 && strcmp(set->supplies[j - 1].name, set->supplies[j].name) > 0; j--) {
			const struct supply s = set->supplies[j];

			set->supplies[j] = set->supplies[j - 1];
			set->supplies[j - 1] = s;
		}
}

int supply_read_sysfs(int class_fd, int devices_fd, struct supply_set *out)
{
	/* A description of its own: the offset of class_fd is not ours to move. */
	int fd = openat(class_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *entry;
	DIR *dir;

	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		int r = -errno;

		close(fd);
		return r;
	}
	out->n = 0;
	while (out->n < SUPPLY_MAX && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && strlen(entry->d_name) < SUPPLY_NAME_MAX &&
		    read_supply(fd, devices_fd, entry->d_name, &out->supplies[out->n]) == 0)
			out->n++;
	closedir(dir);
	sort_by_name(out);
	return 0;
}
