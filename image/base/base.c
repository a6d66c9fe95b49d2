/* SPDX-License-Identifier: MIT */
#include "image/base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "image/base/build.h"
#include "image/base/packages.h"
#include "image/base/tree_file.h"
#include "image/kernel/cache.h"

enum {
	PROGRESS_AFTER_MS = 500,
	RULES_FILE_MAX = 1 << 20,
	/* Part of the stamp: to be counted up when the same rules lead to another image. */
	BUILD_VERSION = 4,
	HALF_STAMP = INDEX_STAMP / 2,
	NOTE_NAME = 128,
	YOUNG_SECONDS = 2,
};

#define SYSTEM_CACHE "/var/cache/sandcastle/base"

/* What one call works with. */
struct base {
	const char *tree;
	int root;
	struct rules rules;
	uint8_t stamp[INDEX_STAMP];
	char name[80]; /* of the index's file */
	enum base_want want;
};

/* --- what an image is made from ------------------------------------------------------------ */

static int read_rules(struct base *b)
{
	AUTO_FREE char *dir =
		cache_user_dir("XDG_CONFIG_HOME", ".config", "sandcastle/image.rules");
	size_t builtin = (size_t)(rules_builtin_end - rules_builtin);
	struct buffer text = {NULL, 0, 0};
	struct sha256_ctx hash;
	uint32_t version = BUILD_VERSION;
	unsigned int line = 0;
	AUTO_CLOSE int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = dir ? packages_slurp(top, dir + 1, RULES_FILE_MAX, &text) : -ENOENT;

	if (r == -ENOENT || r == -ENOTDIR)
		text.len = 0;
	else if (r < 0)
		log_error("cannot read %s: %s", dir, strerror(-r));
	if (r == 0) {
		r = rules_parse(&b->rules, text.data, text.len, &line);
		b->rules.n_own = b->rules.n;
		if (r == -E2BIG)
			log_error("%s has too many rules, from line %u on; \"**\" counts for "
				  "several",
				  dir, line);
		else if (r < 0)
			log_error("%s, line %u, is no rule; write VERB PATTERN # REASON, see "
				  "docs/base-image.md",
				  dir, line);
	} else if (r == -ENOENT || r == -ENOTDIR) {
		r = 0;
	}
	if (r == 0) {
		r = rules_parse(&b->rules, rules_builtin, builtin, &line);
		if (r == -E2BIG)
			log_error("%s has too many rules: there is no room for the built-in ones",
				  dir);
	}
	sha256_init(&hash);
	sha256_update(&hash, sizeof(version), (const uint8_t *)&version);
	sha256_update(&hash, builtin, (const uint8_t *)rules_builtin);
	sha256_update(&hash, text.len, (const uint8_t *)text.data);
	sha256_digest(&hash, HALF_STAMP, b->stamp);
	free(text.data);
	return r;
}

static int stamp_packages(struct base *b)
{
	const struct package_kind *kind = packages_kind(b->root);
	struct buffer text = {NULL, 0, 0};
	struct sha256_ctx hash;
	int r = kind ? kind->stamp(b->root, &text) : -ENOENT;

	if (r == -ENOENT)
		log_error("%s has no package database that is known here (dpkg); a base image is "
			  "made of what packages own",
			  b->tree ? b->tree : "this host");
	else if (r < 0)
		log_error("cannot read the package database: %s", strerror(-r));
	sha256_init(&hash);
	sha256_update(&hash, text.len, (const uint8_t *)text.data);
	sha256_digest(&hash, HALF_STAMP, b->stamp + HALF_STAMP);
	free(text.data);
	/* -ENOENT is kept for an index that is not there. */
	return r == -ENOENT ? -ENODATA : r;
}

static uint64_t probe_inode(int root)
{
	const struct package_kind *kind = packages_kind(root);
	struct stat st;

	return kind && tree_look(root, kind->probe, TREE_INSIDE, &st) == 0 ? st.st_ino : 0;
}

static int base_init(struct base *b, const char *tree, enum base_want want)
{
	AUTO_FREE char *real = tree ? realpath(tree, NULL) : strdup("/");
	uint8_t digest[8];
	struct sha256_ctx hash;

	*b = (struct base){.tree = tree, .root = -1, .name = "host.index", .want = want};
	b->root = real ? open(real, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (b->root < 0) {
		log_error("cannot open %s: %s; --root wants the root directory of a system",
			  tree ? tree : "/", strerror(errno));
		return -EINVAL;
	}
	if (tree && strcmp(real, "/") != 0) {
		sha256_init(&hash);
		sha256_update(&hash, strlen(real), (const uint8_t *)real);
		sha256_digest(&hash, sizeof(digest), digest);
		for (size_t i = 0; i < sizeof(digest); i++)
			snprintf(b->name + 2 * i, 3, "%02x", digest[i]);
		memcpy(b->name + 2 * sizeof(digest), ".index", sizeof(".index"));
	}
	return 0;
}

static void base_fini(struct base *b)
{
	if (b->root >= 0)
		close(b->root);
	rules_fini(&b->rules);
}

/* --- finding one --------------------------------------------------------------------------- */

static char *user_cache(void)
{
	return cache_user_dir("XDG_CACHE_HOME", ".cache", "sandcastle/base");
}

/* The name of the note of an index, in the user's cache: that of `dir` or the system's. */
static void note_name(const struct base *b, bool system, char out[NOTE_NAME])
{
	snprintf(out, NOTE_NAME, "%s%s.sound", system ? "system-" : "", b->name);
}

/* Whether an index that is as stat() says was checked before. */
static bool is_known_sound(const struct base *b, bool system, const struct stat *st)
{
	AUTO_FREE char *dir = user_cache(), *path = NULL;
	char name[NOTE_NAME], text[CACHE_STAT_TEXT], now[CACHE_STAT_TEXT];
	ssize_t n;

	note_name(b, system, name);
	if (!dir || asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return false;
	}
	n = readlink(path, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	cache_stat_text(st, now);
	return strcmp(text, now) == 0;
}

/*
 * Without a note the next start checks again. A file written to within a tick of the
 * clock has the same time of change, so a young one is not noted yet.
 */
static void note_sound(const struct base *b, bool system, const struct stat *st)
{
	AUTO_FREE char *path = user_cache();
	AUTO_CLOSE int dir = -1;
	char name[NOTE_NAME], text[CACHE_STAT_TEXT];

	if (time(NULL) - st->st_ctim.tv_sec < YOUNG_SECONDS)
		return;
	dir = path ? cache_dir_open(path) : -1;
	if (dir < 0)
		return;
	note_name(b, system, name);
	cache_stat_text(st, text);
	unlinkat(dir, name, 0);
	if (symlinkat(text, dir, name) < 0)
		log_debug("base image: cannot note that it is sound: %s", strerror(errno));
}

/* The index of that name in a directory, if nobody but the user or root may have put it there. */
static int open_in(const struct base *b, const char *dir, struct index **out, char **path)
{
	const bool system = strcmp(dir, SYSTEM_CACHE) == 0;
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *file = NULL;
	struct stat st;
	bool sound;
	int r;

	if (asprintf(&file, "%s/%s", dir, b->name) < 0) {
		file = NULL;
		return -ENOMEM;
	}
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & (S_IWGRP | S_IWOTH)))
		return -EPERM;
	sound = is_known_sound(b, system, &st);
	r = index_open(fd, sound, out);
	if (r < 0)
		return r;
	if (!sound && b->want != BASE_EXISTING)
		note_sound(b, system, &st);
	(*out)->use_inodes = (*out)->head->probe_ino == probe_inode(b->root);
	*path = file;
	file = NULL;
	return 0;
}

static bool is_current(const struct base *b, const struct index *ix)
{
	return ix && memcmp(ix->head->stamp, b->stamp, sizeof(b->stamp)) == 0;
}

/* The user's own index, else the system's. A damaged one is said once: it is replaced. */
static int find_index(const struct base *b, struct index **out, char **path)
{
	AUTO_FREE char *dir = user_cache(), *system_path = NULL;
	struct index *system_index = NULL;
	int r = dir ? open_in(b, dir, out, path) : -ENOENT;

	if (r == -EBADMSG)
		log_info("the index of the base image in %s is damaged or of another version", dir);
	if (r == 0 && is_current(b, *out))
		return 0;
	if (open_in(b, SYSTEM_CACHE, &system_index, &system_path) < 0)
		return r;
	if (r == 0 && !is_current(b, system_index)) {
		index_free(system_index);
		return 0;
	}
	if (r == 0) {
		index_free(*out);
		free(*path);
	}
	*out = system_index;
	*path = system_path;
	system_path = NULL;
	return 0;
}

/* --- making one ---------------------------------------------------------------------------- */

struct progress {
	struct build_progress base;
	struct timespec start;
	bool shown;
};

static void show_progress(struct build_progress *base, size_t files)
{
	struct progress *p = CONTAINER_OF(base, struct progress, base);
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((now.tv_sec - p->start.tv_sec) * 1000 + (now.tv_nsec - p->start.tv_nsec) / 1000000 <
		    PROGRESS_AFTER_MS ||
	    !isatty(STDERR_FILENO))
		return;
	p->shown = true;
	dprintf(STDERR_FILENO, "\rsandcastle: making the base image, %zu files ...", files);
}

static int make(const struct base *b, const struct index *old, uint8_t **file, size_t *len)
{
	struct progress progress = {.base = {.step = show_progress}};
	struct index_header head = {.probe_ino = probe_inode(b->root), .built = time(NULL)};
	struct packages *packages = NULL;
	struct build_input in = {
		.root = b->root,
		.rules = &b->rules,
		.old = old,
		.head = &head,
		.progress = &progress.base,
	};
	AUTO_CLOSE int root = openat(b->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = root < 0 ? -errno : 0;

	/* Inode numbers taken over from an index where they mean nothing mean nothing here. */
	if (old && !old->use_inodes)
		head.probe_ino = 0;
	memcpy(head.stamp, b->stamp, sizeof(head.stamp));
	log_info("%s the index of the base image", old ? "bringing up to date" : "making");
	clock_gettime(CLOCK_MONOTONIC, &progress.start);
	in.root = root;
	if (r == 0)
		r = packages_read(root, &packages);
	in.packages = packages;
	if (r == 0)
		r = image_build(&in, file, len);
	packages_free(packages);
	if (progress.shown)
		dprintf(STDERR_FILENO, "\r\033[K");
	if (r < 0)
		log_error("cannot make the base image: %s", strerror(-r));
	return r;
}

static int open_in_memory(const uint8_t *file, size_t len, struct index **out)
{
	AUTO_CLOSE int fd = memfd_create("sandcastle-base", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : cache_write(fd, file, len);

	return r < 0 ? r : index_open(fd, false, out);
}

/* Under the lock, if there is one: what another process made meanwhile counts. */
static int make_and_store(const struct base *b, int dir, const char *path, struct index **ix,
			  char **index_path)
{
	AUTO_FREE uint8_t *file = NULL;
	const struct index *old = NULL;
	size_t len = 0;
	int r;

	if (b->want == BASE_CURRENT && dir >= 0) {
		struct index *newer = NULL;
		char *newer_path = NULL;

		if (open_in(b, path, &newer, &newer_path) == 0 && is_current(b, newer)) {
			*ix = newer;
			*index_path = newer_path;
			return 0;
		}
		index_free(newer);
		free(newer_path);
	}
	/* Made with the same rules: its unchanged directories can be taken over. */
	if (b->want == BASE_CURRENT && *ix && memcmp((*ix)->head->stamp, b->stamp, HALF_STAMP) == 0)
		old = *ix;
	r = make(b, old, &file, &len);
	index_free(*ix);
	free(*index_path);
	*ix = NULL;
	*index_path = NULL;
	if (r < 0)
		return r;
	/* Not flushed, as a damaged one is noticed. */
	r = dir < 0 ? dir : cache_store(dir, b->name, file, len, false);
	if (r == 0)
		return open_in(b, path, ix, index_path);
	log_warn("cannot keep the base image in %s (%s), so each start makes it again; make that "
		 "directory writable or set XDG_CACHE_HOME",
		 path ? path : "a cache", strerror(-r));
	r = open_in_memory(file, len, ix);
	if (r < 0)
		log_error("cannot keep the base image in memory: %s", strerror(-r));
	return r;
}

/* The user's cache is nobody else's business; the one for everybody is read by everybody. */
static int open_cache(const char *path)
{
	bool system = strcmp(path, SYSTEM_CACHE) == 0;
	AUTO_CLOSE int dir = cache_dir_open(path), above = -1;

	if (dir < 0 || !system)
		return steal_fd(&dir);
	/* It may have been made private before, for kernels. */
	above = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fchmod(dir, 0755) < 0 || above < 0 || fchmod(above, 0755) < 0)
		log_debug("base image: %s stays private: %s", path, strerror(errno));
	return steal_fd(&dir);
}

/* Everything is in *b; *ix and *path are what was found, or NULL. */
static int update(const struct base *b, struct index **ix, char **path)
{
	AUTO_FREE char *dir_path = user_cache();
	AUTO_CLOSE int dir = -1, lock = -1;

	if (b->want == BASE_EXISTING)
		return *ix ? 0 : -ENOENT;
	if (b->want == BASE_CURRENT && is_current(b, *ix))
		return 0;
	dir = dir_path ? open_cache(dir_path) : -ENOENT;
	if (dir >= 0)
		lock = cache_lock(dir);
	if (dir >= 0 && lock < 0)
		log_debug("base image: no lock: %s", strerror(-lock));
	return make_and_store(b, dir, dir_path, ix, path);
}

int base_image_open(const char *tree, enum base_want want, struct base_image *out)
{
	struct index *ix = NULL;
	char *path = NULL;
	struct base b;
	int r = base_init(&b, tree, want);

	if (r < 0)
		return r;
	r = read_rules(&b);
	if (r == 0)
		r = stamp_packages(&b);
	if (r == 0) {
		if (find_index(&b, &ix, &path) < 0)
			ix = NULL;
		r = update(&b, &ix, &path);
	}
	if (r < 0) {
		base_fini(&b);
		return r;
	}
	*out = (struct base_image){
		.index = ix,
		.rules = b.rules,
		.root = b.root,
		.path = path,
		.current = is_current(&b, ix),
	};
	return 0;
}

void base_image_fini(struct base_image *image)
{
	if (!image->index)
		return;
	index_free(image->index);
	rules_fini(&image->rules);
	if (image->root >= 0)
		close(image->root);
	free(image->path);
	*image = (struct base_image){.root = -1};
}

int base_image_clean(const char *tree)
{
	AUTO_FREE char *dir = user_cache(), *path = NULL, *note = NULL;
	char name[NOTE_NAME];
	struct base b;
	int r = base_init(&b, tree, BASE_EXISTING);

	if (r < 0)
		return r;
	base_fini(&b);
	if (!dir || asprintf(&path, "%s/%s", dir, b.name) < 0) {
		path = NULL;
		return -ENOENT;
	}
	note_name(&b, false, name);
	if (asprintf(&note, "%s/%s", dir, name) < 0)
		note = NULL;
	else
		unlink(note);
	if (unlink(path) == 0)
		return 0;
	r = -errno;
	if (r != -ENOENT)
		log_error("cannot remove %s: %s", path, strerror(-r));
	return r;
}
