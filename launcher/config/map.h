/* SPDX-License-Identifier: MIT */
/* launcher/config/map.h - host folders and files that a sandbox sees. */
#ifndef LAUNCHER_CONFIG_MAP_H
#define LAUNCHER_CONFIG_MAP_H

#include <stdbool.h>

#include "vmm/config/config.h"
#include "vmm/config/map_rules.h"

/* What paths are resolved against. */
struct map_base {
	const char *cwd; /* absolute */
	const char *home; /* the invoking user's, absolute */
};

/*
 * DOC: HOST[:GUEST][:ro|rw|discard]
 *
 * In both paths a leading ~ is the home directory, $NAME and ${NAME} are
 * environment variables, a relative path starts at the current directory, and
 * a backslash takes the meaning from the character behind it (\: is a colon).
 * HOST has its symbolic links resolved and GUEST is the result of that if left
 * out. Read-only unless rw; discard is read-only as well, and the guest keeps its changes in
 * its memory.
 *
 * All functions log one line with cause and cure when they fail:
 *   -EINVAL        not of that form; a ".." in GUEST; an unset variable
 *   -EACCES        HOST may not be read, or not written for rw
 *   -EPERM         GUEST is a place the system itself needs
 *   -ENOTSUP       HOST is neither a folder nor a file
 *   -EEXIST        GUEST is taken by another map, or by part of one
 *   -E2BIG         more than CONFIG_MAX_MAPS
 *   anything else  what opening HOST gave (-ENOENT, ...)
 */

enum map_mode { MAP_READ_ONLY, MAP_WRITABLE, MAP_DISCARD };

/* Parses and opens one and adds it to cfg. */
int map_add(struct sandbox_config *cfg, const struct map_base *base, const char *text) MUST_CHECK;

/* The same from its parts, which hold no colons to cut at. `guest` NULL: the same place. */
int map_add_pair(struct sandbox_config *cfg, const struct map_base *base, const char *host,
		 const char *guest, enum map_mode mode) MUST_CHECK;

/* Adds the host folder `path` (resolved, absolute) read-only at the same path. */
int map_add_same(struct sandbox_config *cfg, const char *path) MUST_CHECK;

/* Adds the host file or folder `host` (as above) read-only at `guest` (absolute, normalised). */
int map_add_exact(struct sandbox_config *cfg, const char *host, const char *guest) MUST_CHECK;

/* Sorts cfg's maps, parents first, and refuses what overlaps (vmm/config/config.h). */
int map_check_all(struct sandbox_config *cfg) MUST_CHECK;

/* A path as the user wrote it, expanded and absolute but otherwise as it is; malloc'ed. */
int path_expand(const struct map_base *base, const char *text, size_t len, char **out) MUST_CHECK;

#endif
