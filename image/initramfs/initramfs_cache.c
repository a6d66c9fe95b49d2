/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/log.h"
#include "image/index.h"
#include "image/initramfs/initramfs_priv.h"
#include "image/kernel/cache.h"

/* First line of the text: to be counted up when the same sources lead to another archive. */
#define MAGIC "sandcastle initramfs 1\n"

#define PREFIX "initramfs-"
/* Stands for a file that is not there. */
#define ABSENT "-"

enum { KEY_NAME = 32 };

/* The text at the head, while it is written. */
struct head {
	char *text;
	size_t len;
	bool full;
};

static PRINTF_LIKE(2, 3) void head_print(struct head *h, const char *fmt, ...)
{
	size_t room = INITRAMFS_HEAD - h->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(h->text + h->len, room, fmt, ap);
	va_end(ap);
	/* The last byte stays NUL. */
	if (n < 0 || (size_t)n >= room)
		h->full = true;
	else
		h->len += (size_t)n;
}

/* The file's name in the cache. */
static void key_name(const struct kernel_image *k, const struct agent_image *agent,
		     const char *const *modules, char out[KEY_NAME])
{
	const uint64_t odd = 0x9e3779b97f4a7c15u;
	uint64_t key = index_checksum(agent->id, strlen(agent->id));

	key = key * odd ^ index_checksum(k->modules, strlen(k->modules));
	for (; *modules; modules++)
		key = key * odd ^ index_checksum(*modules, strlen(*modules));
	snprintf(out, KEY_NAME, PREFIX "%016" PRIx64, key);
}

static bool is_kept_name(const char *name)
{
	return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

static void source_text(int dir, const char *path, char out[CACHE_STAT_TEXT])
{
	struct stat st;

	if (fstatat(dir, path, &st, 0) < 0)
		snprintf(out, CACHE_STAT_TEXT, ABSENT);
	else
		cache_stat_text(&st, out);
}

static void add_source(struct head *h, int dir, const char *path)
{
	char text[CACHE_STAT_TEXT];

	source_text(dir, path, text);
	head_print(h, "%s %s\n", text, path);
}

/* Cuts a line off; NULL at an empty one, which is the end. */
static char *cut_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!end || end == line)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

/* Whether all that the text names is as it was. */
static bool sources_are_same(char *text, int dir)
{
	char now[CACHE_STAT_TEXT], *line;
	bool any = false;

	while ((line = cut_line(&text)) != NULL) {
		char *path = strchr(line, ' ');

		if (!path)
			return false;
		*path++ = '\0';
		source_text(dir, path, now);
		if (strcmp(now, line) != 0)
			return false;
		any = true;
	}
	return any;
}

/* -ENOENT for any kind of miss. */
static int lookup(int cache, const char *name, int modules, struct initramfs *out)
{
	AUTO_CLOSE int fd = openat(cache, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char head[INITRAMFS_HEAD], *text = head + strlen(MAGIC), *end;
	struct stat st;
	uint64_t len;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)) ||
	    pread(fd, head, sizeof(head), 0) != (ssize_t)sizeof(head) ||
	    head[sizeof(head) - 1] != '\0' || strncmp(head, MAGIC, strlen(MAGIC)) != 0)
		return -ENOENT;
	len = strtoull(text, &end, 10);
	if (*end != '\n' || len == 0 || len > SIZE_MAX - INITRAMFS_HEAD ||
	    (uint64_t)st.st_size != INITRAMFS_HEAD + len || !sources_are_same(end + 1, modules))
		return -ENOENT;
	*out = (struct initramfs){.fd = steal_fd(&fd), .off = INITRAMFS_HEAD, .len = (size_t)len};
	return 0;
}

/*
 * The file as it is kept. What the sources are is asked before they are read. *full:
 * they are too many to be named, so it cannot be kept.
 */
static int make(const struct kernel_image *k, int dir, const struct agent_image *agent,
		const char *const *modules, uint8_t **file, size_t *len, bool *full)
{
	AUTO_FREE char *text = calloc(1, INITRAMFS_HEAD);
	struct head sources = {.text = text};
	struct module_list list;
	int n, r;

	if (!text)
		return -ENOMEM;
	add_source(&sources, dir, "modules.dep");
	add_source(&sources, dir, "modules.builtin");
	r = initramfs_resolve(k, modules, &list);
	if (r < 0)
		return r;
	for (size_t i = 0; i < list.n; i++)
		add_source(&sources, dir, list.files[i].path);
	r = initramfs_build(k, agent, &list, INITRAMFS_HEAD, file, len);
	module_list_fini(&list);
	if (r < 0)
		return r;
	n = snprintf((char *)*file, INITRAMFS_HEAD, MAGIC "%zu\n%s", *len - INITRAMFS_HEAD, text);
	*full = sources.full || n >= INITRAMFS_HEAD;
	return 0;
}

/* Without a cache. */
static int keep_in_memory(const uint8_t *file, size_t len, struct initramfs *out)
{
	AUTO_CLOSE int fd = memfd_create("sandcastle-initramfs", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : cache_write(fd, file, len);

	if (r < 0) {
		log_error("cannot keep the initramfs in memory: %s", strerror(-r));
		return r;
	}
	*out = (struct initramfs){
		.fd = steal_fd(&fd),
		.off = INITRAMFS_HEAD,
		.len = len - INITRAMFS_HEAD,
	};
	return 0;
}

int initramfs_open_at(const char *cache, const struct kernel_image *k,
		      const struct agent_image *agent, const char *const *modules,
		      struct initramfs *out)
{
	AUTO_CLOSE int dir = open(k->modules, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int kept = cache ? cache_dir_open(cache) : -ENOENT;
	AUTO_CLOSE int lock = -1;
	AUTO_FREE uint8_t *file = NULL;
	char name[KEY_NAME];
	bool full = false;
	size_t len;
	int r;

	key_name(k, agent, modules, name);
	if (kept >= 0 && lookup(kept, name, dir, out) == 0)
		return 0;
	lock = kept >= 0 ? cache_lock(kept) : -1;
	/* Another start may have made it meanwhile. */
	if (lock >= 0 && lookup(kept, name, dir, out) == 0)
		return 0;
	r = make(k, dir, agent, modules, &file, &len, &full);
	if (r < 0)
		return r;
	if (lock >= 0 && !full) {
		cache_drop_oldest(kept, is_kept_name);
		r = cache_store(kept, name, file, len, true);
		if (r == 0)
			r = lookup(kept, name, dir, out);
		if (r == 0)
			return 0;
		log_debug("initramfs: not kept: %s", strerror(-r));
	}
	return keep_in_memory(file, len, out);
}

int initramfs_open(const struct kernel_image *k, const struct agent_image *agent,
		   const char *const *modules, struct initramfs *out)
{
	AUTO_FREE char *cache = kernel_cache_dir();

	return initramfs_open_at(cache, k, agent, modules, out);
}
