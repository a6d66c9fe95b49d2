/* SPDX-License-Identifier: MIT */
#include "vmm/config/map_rules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/kernel_fs.h"
#include "vmm/config/config.h"

bool path_normalise(char *path)
{
	char *to = path;
	const char *from = path;
	bool clean = true;

	while (*from) {
		size_t n;

		while (*from == '/')
			from++;
		n = strcspn(from, "/");
		if (n == 2 && from[0] == '.' && from[1] == '.')
			clean = false;
		if (n > 0 && !(n == 1 && from[0] == '.')) {
			*to++ = '/';
			memmove(to, from, n);
			to += n;
		}
		from += n;
	}
	if (to == path)
		*to++ = '/';
	*to = '\0';
	return clean;
}

bool path_is_below(const char *path, const char *dir)
{
	const size_t n = strlen(dir);

	return strcmp(dir, "/") == 0 ||
	       (strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

/* What is kept for us below the directory of an XDG variable, resolved as far as it is there. */
static bool own_dir(const char *variable, const char *in_home, char own[PATH_MAX])
{
	const char *base = getenv(variable), *home = getenv("HOME");
	char path[PATH_MAX];
	size_t n;

	if (base && base[0] == '/')
		in_home = "";
	else
		base = in_home ? home : NULL;
	if (!base || base[0] != '/' ||
	    (size_t)snprintf(path, sizeof(path), "%s%s", base, in_home) >= sizeof(path))
		return false;
	/* A folder that does not exist yet could be made by the guest. */
	if (!realpath(path, own))
		memcpy(own, path, sizeof(path));
	n = path_normalise(own) ? strlen(own) : PATH_MAX;
	if (n + sizeof("/sandcastle") > PATH_MAX)
		return false;
	memcpy(own + n, "/sandcastle", sizeof("/sandcastle"));
	return true;
}

/* True if a guest that may write below `host` may write what is at `own`. */
static bool reaches(const char *host, const char *own)
{
	return path_is_below(own, host) || path_is_below(host, own);
}

static const struct {
	const char *variable, *in_home, *what;
} our_own[MAP_OWNS] = {
	{"XDG_CACHE_HOME", "/.cache", "cache"},
	{"XDG_CONFIG_HOME", "/.config", "configuration"},
	{"XDG_RUNTIME_DIR", NULL, "runtime directory"},
};

int map_owns_init(struct map_owns *owns)
{
	char path[PATH_MAX];

	*owns = (struct map_owns){.path = {NULL}};
	for (size_t i = 0; i < MAP_OWNS; i++) {
		if (!own_dir(our_own[i].variable, our_own[i].in_home, path))
			continue;
		owns->path[i] = strdup(path);
		if (!owns->path[i]) {
			map_owns_fini(owns);
			return -ENOMEM;
		}
	}
	return 0;
}

void map_owns_fini(struct map_owns *owns)
{
	for (size_t i = 0; i < MAP_OWNS; i++)
		free(owns->path[i]);
	*owns = (struct map_owns){.path = {NULL}};
}

int map_check_host(const struct config_map *map, const struct map_owns *owns, char *why,
		   size_t size)
{
	const char *fs = kernel_fs_name(map->fd);

	if (fs) {
		snprintf(why, size,
			 "cannot map %s: it is on a file system of the kernel's (%s), whose files "
			 "show and change the host itself",
			 map->host, fs);
		return -EOPNOTSUPP;
	}
	for (size_t i = 0; map->writable && i < MAP_OWNS; i++) {
		if (!owns->path[i] || !reaches(map->host, owns->path[i]))
			continue;
		snprintf(
			why, size,
			"cannot map %s writable: sandcastle's %s is there (%s), which decides what "
			"later sandboxes see; map a folder beside it, or leave out :rw",
			map->host, our_own[i].what, owns->path[i]);
		return -EPERM;
	}
	return 0;
}

bool guest_path_is_reserved(const char *path)
{
	static const char *const kernel_made[] = {"/proc", "/sys", "/dev"};
	static const char *const exactly[] = {
		"/",	   "/bin", "/etc",  "/lib", "/lib32", "/lib64",
		"/libx32", "/run", "/sbin", "/usr", "/var",
	};

	for (size_t i = 0; i < ARRAY_SIZE(kernel_made); i++)
		if (path_is_below(path, kernel_made[i]))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(exactly); i++)
		if (strcmp(path, exactly[i]) == 0)
			return true;
	return false;
}

int map_check_pair(const struct config_map *outer, const struct config_map *inner, char *why,
		   size_t size)
{
	const char *rest = inner->guest + strlen(outer->guest);
	char same[PATH_MAX];

	if (!*rest) {
		snprintf(why, size,
			 "%s is mapped twice (from %s and %s); leave one out or give it another "
			 "place with HOST:GUEST",
			 inner->guest, outer->host, inner->host);
		return -EEXIST;
	}
	if (snprintf(same, sizeof(same), "%s%s", outer->host, rest) >= PATH_MAX ||
	    strcmp(same, inner->host) != 0) {
		snprintf(why, size,
			 "the map of %s at %s would hide part of the one of %s at %s; give it "
			 "another place with HOST:GUEST",
			 inner->host, inner->guest, outer->host, outer->guest);
		return -EEXIST;
	}
	if (outer->writable) {
		snprintf(why, size,
			 "%s is inside %s, which is mapped writable as a whole; leave the inner "
			 "map out",
			 inner->host, outer->host);
		return -EEXIST;
	}
	return 0;
}
