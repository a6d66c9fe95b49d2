/* SPDX-License-Identifier: MIT */
#include "launcher/left_out.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"
#include "image/base/base.h"
#include "image/index.h"
#include "vmm/config/config.h"
#include "vmm/config/map_rules.h"

/* Where programs are looked for in the sandbox, root's places last. */
static const char *const guest_path[] = {"/usr/local/bin", "/usr/bin", "/usr/local/games",
					 "/usr/games", "/usr/sbin"};

/* True if there is a program of that path in the image; a link has to lead to something there. */
static bool is_in_image(const struct index *ix, const char *path)
{
	AUTO_FREE char *real = NULL;
	uint32_t entry;

	if (index_lookup_path(ix, path + 1, &entry) < 0)
		return false;
	if (ix->entries[entry].kind != INDEX_LINK)
		return true;
	real = realpath(path, NULL);
	/* What the host lacks as well is not ours to speak of. */
	return !real || index_lookup_path(ix, real + 1, &entry) == 0;
}

static bool sandbox_has(const struct index *ix, const char *name)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(guest_path); i++) {
		snprintf(path, sizeof(path), "%s/%s", guest_path[i], name);
		if (is_in_image(ix, path))
			return true;
	}
	return false;
}

/* The host's program of that name, by its true path; NULL: there is none. */
static char *find_here(const char *name)
{
	const char *dirs = getenv("PATH");
	char path[PATH_MAX];
	struct stat st;

	while (dirs && *dirs) {
		const size_t n = strcspn(dirs, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)n, dirs, name);
		if (path[0] == '/' && access(path, X_OK) == 0 && stat(path, &st) == 0 &&
		    S_ISREG(st.st_mode))
			return realpath(path, NULL);
		dirs += n + (dirs[n] == ':');
	}
	return NULL;
}

static bool is_mapped(const struct sandbox_config *cfg, const char *path)
{
	for (size_t i = 0; i < cfg->n_maps; i++)
		if (path_is_below(path, cfg->maps[i].host))
			return true;
	return false;
}

void left_out_warn(const struct base_image *base, const struct sandbox_config *cfg)
{
	const char *home = getenv("HOME");
	AUTO_FREE char *here = NULL;

	if (!cfg->argv || cfg->root || strchr(cfg->argv[0], '/') ||
	    sandbox_has(base->index, cfg->argv[0]))
		return;
	here = find_here(cfg->argv[0]);
	if (!here || is_mapped(cfg, here) ||
	    index_lookup_path(base->index, here + 1, &(uint32_t){0}) == 0)
		return;
	if (home && home[0] == '/' && home[1] && path_is_below(here, home))
		log_warn(
			"%s is in your home, of which a sandbox shows only what is mapped: map its "
			"folder by --map, and name the program by its path",
			here);
	else
		log_warn(
			"%s of this host is not in the sandbox: `sandcastle image info --left-out` "
			"says why, --map shows its folder",
			here);
}
