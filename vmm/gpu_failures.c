/* SPDX-License-Identifier: MIT */
#include "vmm/gpu_failures.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "image/kernel/cache.h"

#define CLASS "sys/class/drm"

static void append(char key[GPU_KEY_MAX], const char *text)
{
	size_t n = strlen(key);

	snprintf(key + n, GPU_KEY_MAX - n, "%s%s", n > 0 ? " " : "", text);
}

/* The names of the kernel's drivers, as the links of sysfs end. */
static void append_drivers(const char *root, char key[GPU_KEY_MAX])
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent **nodes = NULL;
	int n;

	snprintf(path, sizeof(path), "%s/" CLASS, root);
	n = scandir(path, &nodes, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		ssize_t len = -1;

		if (strncmp(nodes[i]->d_name, "renderD", strlen("renderD")) == 0) {
			snprintf(path, sizeof(path), "%s/" CLASS "/%s/device/driver", root,
				 nodes[i]->d_name);
			len = readlink(path, target, sizeof(target) - 1);
		}
		if (len > 0) {
			target[len] = '\0';
			append(key, strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
		}
		free(nodes[i]);
	}
	free(nodes);
}

void gpu_failures_key(const char *root, char key[GPU_KEY_MAX])
{
	char path[PATH_MAX], when[64];
	struct utsname kernel;
	struct stat st;

	key[0] = '\0';
	if (uname(&kernel) == 0)
		append(key, kernel.release);
	/* The dynamic linker's cache is made anew with each package that brings a library. */
	snprintf(path, sizeof(path), "%s/etc/ld.so.cache", root);
	if (stat(path, &st) == 0) {
		snprintf(when, sizeof(when), "%lld.%09ld", (long long)st.st_mtim.tv_sec,
			 st.st_mtim.tv_nsec);
		append(key, when);
	}
	append_drivers(root, key);
}

char *gpu_failures_path(void)
{
	AUTO_FREE char *dir = cache_user_dir("XDG_CACHE_HOME", ".cache", "sandcastle");
	char *path = NULL;

	return dir && asprintf(&path, "%s/gpu-failures", dir) >= 0 ? path : NULL;
}

unsigned int gpu_failures_read(const char *path, const char *key)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char line[GPU_KEY_MAX + 16], *end;
	const ssize_t len = fd >= 0 ? read(fd, line, sizeof(line) - 1) : -1;
	unsigned long n;

	if (len <= 0 || line[len - 1] != '\n')
		return 0;
	line[len - 1] = '\0';
	n = strtoul(line, &end, 10);
	return *end == ' ' && strcmp(end + 1, key) == 0 ? (unsigned int)min_u64(n, GPU_FAILURES_MAX)
							: 0;
}

void gpu_failures_write(const char *path, const char *key, unsigned int n)
{
	AUTO_CLOSE int fd = -1;

	if (n == 0) {
		(void)unlink(path);
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd >= 0)
		dprintf(fd, "%u %s\n", n, key);
}
