/* SPDX-License-Identifier: MIT */
#include "launcher/config/map.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"

/* A piece of the option's argument. */
struct field {
	const char *at;
	size_t len;
};

static bool field_is(struct field f, const char *word)
{
	return f.len == strlen(word) && memcmp(f.at, word, f.len) == 0;
}

/* Cuts at colons that have no backslash before them; how many fields, or 0 for more than max. */
static size_t split(const char *text, struct field *fields, size_t max)
{
	size_t n = 0;
	const char *start = text;

	for (const char *p = text;; p++) {
		if (*p == '\\' && p[1]) {
			p++;
			continue;
		}
		if (*p != ':' && *p != '\0')
			continue;
		if (n == max)
			return 0;
		fields[n++] = (struct field){start, (size_t)(p - start)};
		if (*p == '\0')
			return n;
		start = p + 1;
	}
}

static int append_map(struct sandbox_config *cfg, struct config_map *map)
{
	struct config_map *maps;

	if (cfg->n_maps == CONFIG_MAX_MAPS) {
		log_error("more than %d maps; map a folder that holds several of them",
			  CONFIG_MAX_MAPS);
		return -E2BIG;
	}
	maps = reallocarray(cfg->maps, cfg->n_maps + 1, sizeof(*maps));
	if (!maps) {
		log_error("out of memory");
		return -ENOMEM;
	}
	cfg->maps = maps;
	maps[cfg->n_maps++] = *map;
	*map = (struct config_map){.fd = -1};
	return 0;
}

static int check_host(const struct config_map *map)
{
	char why[MAP_WHY_MAX];
	struct map_owns owns;
	int r = map_owns_init(&owns);

	if (r < 0) {
		log_error("out of memory");
		return r;
	}
	r = map_check_host(map, &owns, why, sizeof(why));
	map_owns_fini(&owns);
	if (r < 0)
		log_error("%s", why);
	return r;
}

/* Takes the place of `map->host` and checks that its owner lets us have it. */
static int open_host(struct config_map *map)
{
	struct stat st;
	int need, r;

	map->fd = open(map->host, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	if (map->fd < 0 || fstat(map->fd, &st) < 0) {
		r = -errno;
		log_error("cannot map %s: %s", map->host, strerror(-r));
		return r;
	}
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
		log_error(
			"cannot map %s: it is neither a folder nor a file; map the folder it is in",
			map->host);
		return -ENOTSUP;
	}
	map->is_file = S_ISREG(st.st_mode);
	r = check_host(map);
	if (r < 0)
		return r;
	need = R_OK | (map->is_file ? 0 : X_OK) | (map->writable ? W_OK : 0);
	if (access(map->host, need) < 0) {
		log_error("cannot map %s: you may not %s it; change its permissions%s", map->host,
			  access(map->host, need & ~W_OK) == 0 ? "write to" : "read",
			  map->writable ? " or leave out :rw" : "");
		return -EACCES;
	}
	return 0;
}

static int resolve_host(struct config_map *map, const struct map_base *base, struct field host)
{
	AUTO_FREE char *path = NULL;
	int r = path_expand(base, host.at, host.len, &path);

	if (r < 0)
		return r;
	map->host = realpath(path, NULL);
	if (!map->host) {
		r = -errno;
		log_error("cannot map %s: %s%s", path, strerror(-r),
			  r == -ENOENT ? "; create it first or correct the path" : "");
		return r;
	}
	return open_host(map);
}

static int resolve_guest(struct config_map *map, const struct map_base *base, struct field guest)
{
	int r;

	if (!guest.at) {
		map->guest = strdup(map->host);
		if (!map->guest) {
			log_error("out of memory");
			return -ENOMEM;
		}
	} else {
		r = path_expand(base, guest.at, guest.len, &map->guest);
		if (r < 0)
			return r;
		if (!path_normalise(map->guest)) {
			log_error("cannot map to '%.*s': a path in the sandbox may not hold '..'; "
				  "write it out",
				  (int)guest.len, guest.at);
			return -EINVAL;
		}
	}
	if (guest_path_is_reserved(map->guest)) {
		log_error("cannot map to %s: the system in the sandbox needs that place; choose "
			  "another with HOST:GUEST, such as /mnt/data",
			  map->guest);
		return -EPERM;
	}
	return 0;
}

/* guest.at is NULL for the same place as on the host. */
static int add(struct sandbox_config *cfg, const struct map_base *base, struct field host,
	       struct field guest, enum map_mode mode)
{
	struct config_map map = {
		.fd = -1,
		.writable = mode == MAP_WRITABLE,
		.discard = mode == MAP_DISCARD,
	};
	int r = resolve_host(&map, base, host);

	if (r == 0 && map.discard && map.is_file) {
		log_error("cannot map %s: `discard` is for folders; map the folder it is in",
			  map.host);
		r = -ENOTSUP;
	}
	if (r == 0)
		r = resolve_guest(&map, base, guest);
	if (r == 0)
		r = append_map(cfg, &map);
	config_map_fini(&map);
	return r;
}

static bool find_mode(struct field f, enum map_mode *out)
{
	static const char *const words[] = {
		[MAP_READ_ONLY] = "ro",
		[MAP_WRITABLE] = "rw",
		[MAP_DISCARD] = "discard",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (field_is(f, words[i])) {
			*out = (enum map_mode)i;
			return true;
		}
	return false;
}

int map_add(struct sandbox_config *cfg, const struct map_base *base, const char *text)
{
	struct field fields[3] = {{0}}, guest = {0};
	size_t n = split(text, fields, ARRAY_SIZE(fields));
	enum map_mode mode = MAP_READ_ONLY;

	if (n > 1 && find_mode(fields[n - 1], &mode)) {
		n--;
	} else if (n == 3) {
		n = 0;
	}
	if (n == 0) {
		log_error("cannot map '%s': it must be HOST[:GUEST][:ro|rw|discard]; write a "
			  "colon in a name as \\:",
			  text);
		return -EINVAL;
	}
	if (n == 2)
		guest = fields[1];
	return add(cfg, base, fields[0], guest, mode);
}

int map_add_pair(struct sandbox_config *cfg, const struct map_base *base, const char *host,
		 const char *guest, enum map_mode mode)
{
	return add(cfg, base, (struct field){host, strlen(host)},
		   (struct field){guest, guest ? strlen(guest) : 0}, mode);
}

int map_add_exact(struct sandbox_config *cfg, const char *host, const char *guest)
{
	struct config_map map = {.fd = -1, .host = strdup(host), .guest = strdup(guest)};
	int r = -ENOMEM;

	if (!map.host || !map.guest)
		log_error("out of memory");
	else
		r = open_host(&map);
	if (r == 0)
		r = append_map(cfg, &map);
	config_map_fini(&map);
	return r;
}

int map_add_same(struct sandbox_config *cfg, const char *path)
{
	return map_add_exact(cfg, path, path);
}

static int by_guest_path(const void *a, const void *b)
{
	const struct config_map *x = a, *y = b;

	return strcmp(x->guest, y->guest);
}

int map_check_all(struct sandbox_config *cfg)
{
	char why[MAP_WHY_MAX];

	if (cfg->n_maps > 1)
		qsort(cfg->maps, cfg->n_maps, sizeof(cfg->maps[0]), by_guest_path);
	for (size_t i = 0; i < cfg->n_maps; i++)
		for (size_t j = i + 1; j < cfg->n_maps; j++)
			if (path_is_below(cfg->maps[j].guest, cfg->maps[i].guest)) {
				int r = map_check_pair(&cfg->maps[i], &cfg->maps[j], why,
						       sizeof(why));

				if (r == 0)
					continue;
				log_error("%s", why);
				return r;
			}
	return 0;
}
