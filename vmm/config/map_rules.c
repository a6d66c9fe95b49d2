/* SPDX-License-Identifier: MIT */
#include "vmm/config/map_rules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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
