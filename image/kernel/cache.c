/* SPDX-License-Identifier: MIT */
#include "image/kernel/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "common/text.h"

enum {
	HASH_HEX = 2 * SHA256_DIGEST_SIZE,
	ENTRY_NAME = HASH_HEX + 4, /* ".elf" */
	NAME_LEN = ENTRY_NAME + 1, /* no name of a kind that is dropped is longer */
	TEXT_MAX = 256,
	CACHE_SCAN_MAX = 64, /* entries looked at when old ones are dropped */
	PROGRESS_AFTER_MS = 1000,
	HASH_CHUNK = 1 << 20,
	HOLE_STEP = 4096, /* zeroes are left out in pieces of this */
};

struct kernel_cache {
	int dir;
	char key[TEXT_MAX]; /* the link that stands for the bzImage */
};

static void hash_text(struct sha256_ctx *ctx, char *out)
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	sha256_digest(ctx, sizeof(digest), digest);
	hex_write(digest, sizeof(digest), out);
	memcpy(out + HASH_HEX, ".elf", sizeof(".elf"));
}

static bool is_entry_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == HASH_HEX && strcmp(name + HASH_HEX, ".elf") == 0;
}

/* Nobody but the user (or root) may have put a kernel here. */
static int open_entry(int dir, const char *name, struct stat *st)
{
	AUTO_CLOSE int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0)
		return -errno;
	if (!S_ISREG(st->st_mode) || (st->st_uid != geteuid() && st->st_uid != 0))
		return -EPERM;
	return steal_fd(&fd);
}

/* The entry the key's link points to, if both are as they were; -ENOENT for any kind of miss. */
static int lookup(const struct kernel_cache *c, int *out)
{
	char text[TEXT_MAX], now[CACHE_STAT_TEXT];
	AUTO_CLOSE int fd = -1;
	struct stat st = {0};
	ssize_t n = readlinkat(c->dir, c->key, text, sizeof(text) - 1);

	if (n <= ENTRY_NAME || text[ENTRY_NAME] != ':')
		return -ENOENT;
	text[n] = '\0';
	text[ENTRY_NAME] = '\0';
	if (!is_entry_name(text))
		return -ENOENT;
	fd = open_entry(c->dir, text, &st);
	if (fd < 0)
		return -ENOENT;
	cache_stat_text(&st, now);
	if (strcmp(now, text + ENTRY_NAME + 1) != 0 || vmlinux_check(fd) < 0)
		return -ENOENT;
	*out = steal_fd(&fd);
	return 0;
}

/* Where the unpacked bytes go: a file, a hash, and now and then the user's terminal. */
struct file_sink {
	struct unpack_sink base;
	int fd;
	off_t at;
	struct sha256_ctx hash;
	struct timespec start;
	const char *label;
	bool shown;
};

static int64_t ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

static int write_at(int fd, const uint8_t *data, size_t len, off_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, data + done, len - done, at + (off_t)done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

/*
 * A third of a kernel is zeroes (.bss, which a linker wrote out since something
 * follows it). As holes they take no room, and boot_load() does not copy them.
 */
static int write_sparse(struct file_sink *sink, const uint8_t *data, size_t len)
{
	size_t run = 0; /* bytes before `done` that wait to be written */

	for (size_t done = 0; done < len;) {
		size_t in_step = (size_t)((sink->at + (off_t)done) % HOLE_STEP);
		size_t n = min_size(HOLE_STEP - in_step, len - done);
		bool zero = is_zero(data + done, n);
		int r = 0;

		run += zero ? 0 : n;
		done += n;
		if (run > 0 && (zero || done == len)) {
			size_t end = zero ? done - n : done;

			r = write_at(sink->fd, data + end - run, run,
				     sink->at + (off_t)(end - run));
			run = 0;
		}
		if (r < 0)
			return r;
	}
	sink->at += (off_t)len;
	return 0;
}

static int file_sink_write(struct unpack_sink *base, const void *data, size_t len)
{
	struct file_sink *sink = CONTAINER_OF(base, struct file_sink, base);
	int r = write_sparse(sink, data, len);

	if (r < 0)
		return r;
	sha256_update(&sink->hash, len, data);
	if (!sink->shown && ms_since(&sink->start) > PROGRESS_AFTER_MS && isatty(STDERR_FILENO)) {
		sink->shown = true;
		dprintf(STDERR_FILENO, "sandcastle: unpacking %s (once per kernel) ...",
			sink->label);
	}
	return 0;
}

/* Unpacks into fd and names what came out; `name` has ENTRY_NAME + 1 bytes. */
static int unpack_into(int fd, int src, struct bzimage *bz, const char *label, char *name)
{
	struct file_sink sink = {.base = {.write = file_sink_write}, .fd = fd, .label = label};
	int r;

	log_info("unpacking %s", label);
	sha256_init(&sink.hash);
	clock_gettime(CLOCK_MONOTONIC, &sink.start);
	r = bzimage_unpack(bz, src, &sink.base);
	if (sink.shown)
		dprintf(STDERR_FILENO, "\r\033[K");
	/* Holes at its end. */
	if (r == 0 && ftruncate(fd, sink.at) < 0)
		r = -errno;
	if (r == 0)
		r = vmlinux_check(fd) < 0 ? -EBADMSG : 0;
	if (r == 0)
		hash_text(&sink.hash, name);
	return r;
}

static int unpack_to_memory(int src, struct bzimage *bz, const char *label, int *out)
{
	AUTO_CLOSE int fd = memfd_create("sandcastle-kernel", MFD_CLOEXEC);
	char name[ENTRY_NAME + 1];
	int r;

	if (fd < 0)
		return -errno;
	r = unpack_into(fd, src, bz, label, name);
	if (r < 0)
		return r;
	*out = steal_fd(&fd);
	return 0;
}

/* True if there is an entry of this name and its content has this name too. */
static bool entry_is_whole(int dir, const char *name)
{
	AUTO_FREE uint8_t *buf = malloc(HASH_CHUNK);
	char found[ENTRY_NAME + 1];
	struct sha256_ctx hash;
	struct stat st = {0};
	AUTO_CLOSE int fd = open_entry(dir, name, &st);
	ssize_t n;

	if (fd < 0 || !buf)
		return false;
	sha256_init(&hash);
	while ((n = read(fd, buf, HASH_CHUNK)) > 0)
		sha256_update(&hash, (size_t)n, buf);
	hash_text(&hash, found);
	return n == 0 && strcmp(found, name) == 0;
}

/* Makes the key's link name the entry as it is now; a failure costs the next start time only. */
static void link_key(const struct kernel_cache *c, const char *name, const struct stat *st)
{
	char now[CACHE_STAT_TEXT], text[TEXT_MAX];

	cache_stat_text(st, now);
	snprintf(text, sizeof(text), "%s:%s", name, now);
	unlinkat(c->dir, c->key, 0);
	if (symlinkat(text, c->dir, c->key) < 0)
		log_debug("kernel cache: cannot write the index: %s", strerror(errno));
}

static DIR *open_listing(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d && fd >= 0)
		close(fd);
	return d;
}

void cache_drop_oldest(int dir, bool (*is_one)(const char *name))
{
	struct {
		char name[NAME_LEN];
		struct timespec when;
	} kept[CACHE_SCAN_MAX];
	size_t n = 0;
	DIR *d = open_listing(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		struct stat st;

		if (!is_one(e->d_name) || strlen(e->d_name) >= NAME_LEN || n == CACHE_SCAN_MAX ||
		    fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(kept[n].name, e->d_name, strlen(e->d_name) + 1);
		kept[n++].when = st.st_mtim;
	}
	if (d)
		closedir(d);
	while (n >= CACHE_KEPT) {
		size_t oldest = 0;

		for (size_t i = 1; i < n; i++)
			if (kept[i].when.tv_sec < kept[oldest].when.tv_sec)
				oldest = i;
		unlinkat(dir, kept[oldest].name, 0);
		kept[oldest] = kept[--n];
	}
}

/* Drops what nobody will ask for: broken-off files, links to entries that are gone. */
static void drop_leftovers(int dir)
{
	DIR *d = open_listing(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		char text[TEXT_MAX];
		ssize_t len;

		if (strncmp(e->d_name, "tmp-", 4) == 0)
			unlinkat(dir, e->d_name, 0);
		if (strncmp(e->d_name, "file-", 5) != 0)
			continue;
		len = readlinkat(dir, e->d_name, text, sizeof(text));
		if (len > ENTRY_NAME)
			text[ENTRY_NAME] = '\0';
		if (len <= ENTRY_NAME || faccessat(dir, text, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
			unlinkat(dir, e->d_name, 0);
	}
	if (d)
		closedir(d);
}

/* Under the lock: a new entry, or the one that has this content already, linked to the key. */
static int add_entry(const struct kernel_cache *c, int src, struct bzimage *bz, const char *label,
		     int *out)
{
	char tmp[32], name[ENTRY_NAME + 1];
	AUTO_CLOSE int fd = -1;
	struct stat st = {0};
	int r;

	cache_drop_oldest(c->dir, is_entry_name);
	drop_leftovers(c->dir);
	snprintf(tmp, sizeof(tmp), "tmp-%ld", (long)getpid());
	fd = openat(c->dir, tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
	if (fd < 0)
		return -errno;
	r = unpack_into(fd, src, bz, label, name);
	/* Flushed, so that after a power cut the name never stands for a hole. */
	if (r == 0 && !entry_is_whole(c->dir, name) &&
	    (fdatasync(fd) < 0 || renameat(c->dir, tmp, c->dir, name) < 0))
		r = -errno;
	close(steal_fd(&fd));
	unlinkat(c->dir, tmp, 0);
	if (r < 0)
		return r;

	fd = open_entry(c->dir, name, &st);
	if (fd < 0)
		return fd;
	link_key(c, name, &st);
	*out = steal_fd(&fd);
	return 0;
}

char *cache_user_dir(const char *variable, const char *fallback, const char *below)
{
	const char *base = getenv(variable);
	char *dir = NULL;

	/* The base directory specification has relative paths ignored. */
	if (base && base[0] == '/')
		return asprintf(&dir, "%s/%s", base, below) < 0 ? NULL : dir;
	base = getenv("HOME");
	if (!base || base[0] != '/' || asprintf(&dir, "%s/%s/%s", base, fallback, below) < 0)
		return NULL;
	return dir;
}

int cache_dir_open(const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST)
			return -errno;
		*p = c;
		if (c == '\0')
			break;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cache_lock(int dir)
{
	int fd = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
		;
	return fd;
}

int cache_write(int fd, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, p + done, len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			done += (size_t)n;
	}
	return 0;
}

int cache_store(int dir, const char *name, const void *data, size_t len, bool flush)
{
	char tmp[32];
	AUTO_CLOSE int fd = -1;
	int r;

	snprintf(tmp, sizeof(tmp), "tmp-%ld", (long)getpid());
	unlinkat(dir, tmp, 0);
	fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	r = fchmod(fd, 0644) < 0 ? -errno : cache_write(fd, data, len);
	if (r == 0 && ((flush && fdatasync(fd) < 0) || renameat(dir, tmp, dir, name) < 0))
		r = -errno;
	if (r < 0)
		unlinkat(dir, tmp, 0);
	return r;
}

void cache_stat_text(const struct stat *st, char out[CACHE_STAT_TEXT])
{
	snprintf(out, CACHE_STAT_TEXT, "%ju-%jd-%jd.%09ld-%jd.%09ld", (uintmax_t)st->st_ino,
		 (intmax_t)st->st_size, (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
		 (intmax_t)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

/* 0; or -errno where the cache is of no use and the kernel may still be fine. */
static int open_cached(const char *dir, int fd, struct bzimage *bz, const char *label, int *out)
{
	AUTO_CLOSE int dir_fd = cache_dir_open(dir);
	AUTO_CLOSE int lock = -1;
	struct kernel_cache c = {.dir = dir_fd};
	char id[CACHE_STAT_TEXT];
	struct stat st;

	if (dir_fd < 0)
		return dir_fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	cache_stat_text(&st, id);
	snprintf(c.key, sizeof(c.key), "file-%s", id);
	if (lookup(&c, out) == 0)
		return 0;
	lock = cache_lock(dir_fd);
	if (lock < 0)
		return lock;
	if (lookup(&c, out) == 0)
		return 0;
	return add_entry(&c, fd, bz, label, out);
}

int kernel_cache_open(const char *dir, int fd, struct bzimage *bz, const char *label, int *out)
{
	int r = -ENOENT;

	if (dir)
		r = open_cached(dir, fd, bz, label, out);
	/* What is wrong with the kernel is as wrong in memory. */
	if (r == 0 || r == -EBADMSG || r == -EFBIG || r == -ENOMEM || r == -ELIBACC)
		return r;
	if (dir)
		log_warn("cannot keep the unpacked kernel in %s (%s), so each start unpacks it "
			 "again; make that directory writable or set XDG_CACHE_HOME",
			 dir, strerror(-r));
	else
		log_warn(
			"neither XDG_CACHE_HOME nor HOME is set to an absolute path, so each start "
			"unpacks the kernel again");
	return unpack_to_memory(fd, bz, label, out);
}
