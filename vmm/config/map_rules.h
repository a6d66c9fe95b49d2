/* SPDX-License-Identifier: MIT */
/* vmm/config/map_rules.h - what of a host may be a map, and where in a sandbox. */
#ifndef VMM_CONFIG_MAP_RULES_H
#define VMM_CONFIG_MAP_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/util.h"

struct config_map;

/* Room for any reason; it may name four paths. */
enum { MAP_WHY_MAX = 1024 };

/* Removes "//", "/./" and a final "/" in place; false if a ".." is among the components. */
bool path_normalise(char *path);

/* True if `path` is `dir` or below it; both absolute and normalised. */
bool path_is_below(const char *path, const char *dir);

enum { MAP_OWNS = 3 };

/* Our own cache, configuration and runtime directory, links resolved; NULL: there is no place for it. */
struct map_owns {
	char *path[MAP_OWNS];
};

/* As they are now, which a confined process finds out beforehand. -ENOMEM. */
int map_owns_init(struct map_owns *owns) MUST_CHECK;
void map_owns_fini(struct map_owns *owns); /* zeroed is fine */

/*
 * 0 if map->host, opened as map->fd, may be shown to a guest, and if map->writable, written by
 * it. Else why, in one line: -EOPNOTSUPP a kernel's file system; -EPERM a guest that writes there
 * would write our own cache, configuration or runtime directory, which decide
 * what later sandboxes see.
 */
int map_check_host(const struct config_map *map, const struct map_owns *owns, char *why,
		   size_t size) MUST_CHECK;

/* True for places a map may not take: /, /proc, /usr, ... and below /proc, /sys and /dev. */
bool guest_path_is_reserved(const char *path);

/*
 * Two maps of which `inner` is at or below `outer` in the guest, and was or will be
 * mounted after it: -EEXIST if one would hide something of the other, and why in
 * one line (vmm/config/config.h has the rule).
 */
int map_check_pair(const struct config_map *outer, const struct config_map *inner, char *why,
		   size_t size) MUST_CHECK;

#endif
