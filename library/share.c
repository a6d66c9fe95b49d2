/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mounts.h"
#include "library/library_priv.h"

/* Writes the path of an open file, free of links, to a buffer of `size` bytes. */
static int path_of(int fd, char *out, size_t size)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, out, size - 1);
	if (n < 0)
		return -errno;
	out[n] = '\0';
	return 0;
}

/* Opens the file or folder to show; *host is its path. */
static int open_host(struct sandcastle_sandbox *sb, const struct sandcastle_map *map, char *host,
		     size_t size, int *out)
{
	AUTO_CLOSE int fd = open(map->host, O_PATH | O_CLOEXEC);
	struct stat st = {.st_mode = 0};
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : path_of(fd, host, size);

	if (r < 0)
		return lib_fail(sb, SANDCASTLE_E_SYSTEM, "cannot share %s: %s", map->host,
				strerror(-r));
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return lib_fail(sb, SANDCASTLE_E_INVALID,
				"cannot share %s: it is neither a folder nor a file", map->host);
	*out = steal_fd(&fd);
	return SANDCASTLE_OK;
}

static int share(struct sandcastle_sandbox *sb, const struct sandcastle_map *map)
{
	AUTO_CLOSE int fd = -1, mount = -1;
	char host[PATH_MAX] = "";
	json_t *reply = NULL;
	int r = open_host(sb, map, host, sizeof(host), &fd);

	if (r == SANDCASTLE_OK)
		r = lib_wait_ready(sb);
	/* Where none can be made the sandbox says what that means for it. */
	if (r == SANDCASTLE_OK &&
	    mount_detach_elsewhere(fd, map->mode == SANDCASTLE_MAP_WRITABLE, &mount) < 0)
		mount = -1;
	if (r == SANDCASTLE_OK)
		r = lib_call(sb,
			     json_pack("{s:s, s:o, s:o, s:b}", "op", "share", "host",
				       control_bytes_new(host), "guest",
				       control_bytes_new(map->guest ? map->guest : host), "write",
				       map->mode == SANDCASTLE_MAP_WRITABLE),
			     mount >= 0 ? &mount : &fd, 1, NULL, &reply);
	json_decref(reply);
	return r;
}

int sandcastle_share(struct sandcastle_sandbox *sb, const struct sandcastle_map *map)
{
	int r;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (map && map->mode == SANDCASTLE_MAP_DISCARD)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "what is discarded is mapped at the start");
	else if (map && map->host && map->host[0] == '/' && (!map->guest || map->guest[0] == '/'))
		r = share(sb, map);
	else
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "a share needs absolute paths");
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_unshare(struct sandcastle_sandbox *sb, const char *guest)
{
	json_t *reply = NULL;
	int r = SANDCASTLE_OK;

	if (!sb)
		return SANDCASTLE_E_INVALID;
	(void)pthread_mutex_lock(&sb->lock);
	if (!guest || guest[0] != '/')
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "a share needs an absolute path");
	if (r == SANDCASTLE_OK)
		r = lib_wait_ready(sb);
	if (r == SANDCASTLE_OK)
		r = lib_call(
			sb,
			json_pack("{s:s, s:o}", "op", "unshare", "guest", control_bytes_new(guest)),
			NULL, 0, NULL, &reply);
	json_decref(reply);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}
