/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "common/units.h"
#include "library/library_priv.h"

enum { MAX_CPUS = 64 };
#define MIN_MEMORY (128ull << 20)

static int invalid(struct sandcastle_sandbox *sb, const char *what, const char *must)
{
	return lib_fail(sb, SANDCASTLE_E_INVALID, "%s has to be %s", what, must);
}

/* What follows starts in /, which is not where the caller is. */
static int check_paths(struct sandcastle_sandbox *sb, const struct sandcastle_options *o)
{
	const struct {
		const char *name, *path;
	} paths[] = {{"program", o->program},
		     {"runtime_dir", o->runtime_dir},
		     {"kernel", o->kernel},
		     {"root", o->root}};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (paths[i].path && paths[i].path[0] != '/')
			return invalid(sb, paths[i].name, "an absolute path");
	return SANDCASTLE_OK;
}

static int check_maps(struct sandcastle_sandbox *sb, const struct sandcastle_options *o)
{
	if (o->n_maps > 0 && !o->maps)
		return invalid(sb, "maps", "there where n_maps is not 0");
	for (size_t i = 0; i < o->n_maps; i++) {
		const struct sandcastle_map *map = &o->maps[i];

		if (!map->host || map->host[0] != '/' || (map->guest && map->guest[0] != '/'))
			return invalid(sb, "each path of a map", "absolute");
		if (map->mode > SANDCASTLE_MAP_DISCARD || map->reserved[0] || map->reserved[1] ||
		    map->reserved[2])
			return invalid(sb, "a map's mode", "one of enum sandcastle_map_mode");
	}
	return SANDCASTLE_OK;
}

int lib_check_options(struct sandcastle_sandbox *sb, const struct sandcastle_options *o)
{
	int r;

	if (o->reserved)
		return invalid(sb, "the reserved member", "0");
	if (o->name && !is_host_name(o->name))
		return invalid(sb, "name", "1 to 63 letters, digits and inner dashes");
	if (o->memory && o->memory < MIN_MEMORY)
		return invalid(sb, "memory", "0, or 128 MiB at least, in bytes");
	if (o->cpus > MAX_CPUS)
		return invalid(sb, "cpus", "0 to 64");
	if (o->user && !o->user[0])
		return invalid(sb, "user", "a name or a number, or NULL");
	if (o->call_timeout_ms < -1)
		return invalid(sb, "call_timeout_ms", "-1 or more");
	/* `--env NAME` alone would take the value from our environment. */
	for (const char *const *e = o->env; e && *e; e++)
		if (!strchr(*e, '='))
			return lib_fail(sb, SANDCASTLE_E_INVALID, "env '%.100s' is not NAME=VALUE",
					*e);
	r = check_paths(sb, o);
	return r == SANDCASTLE_OK ? check_maps(sb, o) : r;
}
