/* SPDX-License-Identifier: MIT */
#include "vmm/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/own_fd.h"
#include "common/text.h"
#include "image/base/base.h"
#include "image/kernel/cache.h"
#include "image/kernel/kernel.h"
#include "vmm/guest_kernel.h"
#include "vmm/sandbox.h"

enum {
	KEY_FORMAT = 1, /* of the lines below */
	MAX_AGE_S = 7 * 24 * 3600,
	/* So long none is made of what made one that was of no use. */
	BAD_S = 24 * 3600,
	SEEN_MAX = 16,
	SEEN_LINE = TEMPLATE_NAME + 20, /* "NAME TIME\n", the time in 19 places */
};

#define KEPT_BYTES (1ull << 30)
#define FREE_BYTES (1ull << 30) /* so much is left on the disk */

#define SEEN	       "seen"
#define TEMPORARY      "tmp"
#define TEMPORARY_SEEN "seen.tmp"

char *template_dir(void)
{
	return cache_user_dir("XDG_CACHE_HOME", ".cache", "sandcastle/templates");
}

/* The key */

static PRINTF_LIKE(2, 3) void add_line(struct sha256_ctx *key, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	sha256_update(key, min_size((size_t)n, sizeof(line) - 1), (const uint8_t *)line);
	sha256_update(key, 1, (const uint8_t *)"\n");
}

/* Identity and time of change: another file, or one that was written to, has another. */
static int add_file(struct sha256_ctx *key, const char *what, int fd)
{
	char text[CACHE_STAT_TEXT];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	cache_stat_text(&st, text);
	add_line(key, "%s %llu:%s", what, (unsigned long long)st.st_dev, text);
	return 0;
}

static int add_kernel(struct sha256_ctx *key, const struct sandbox_setup *setup)
{
	const char *modules[GUEST_KERNEL_MODULES_MAX];
	char cmdline[GUEST_KERNEL_CMDLINE_MAX];
	int r = guest_kernel_cmdline(setup->config->debug_console, cmdline);

	if (r < 0)
		return r;
	add_line(key, "cmdline %s", cmdline);
	add_line(key, "kernel %s %s", setup->kernel->release, setup->kernel->modules);
	guest_kernel_modules(setup->config, modules);
	for (size_t i = 0; modules[i]; i++)
		add_line(key, "module %s", modules[i]);
	return add_file(key, "elf", setup->kernel->elf_fd);
}

/* The host's boot: what its page cache has not written to the disk yet ends with it. */
static int add_boot(struct sha256_ctx *key)
{
	AUTO_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char id[64];
	const ssize_t n = fd < 0 ? -1 : read(fd, id, sizeof(id));

	if (n < 0)
		return -errno;
	sha256_update(key, (size_t)n, (const uint8_t *)id);
	return 0;
}

static void name_of(struct sha256_ctx *key, uint8_t digest[SNAPSHOT_KEY], char name[TEMPLATE_NAME])
{
	sha256_digest(key, SNAPSHOT_KEY, digest);
	hex_write(digest, (TEMPLATE_NAME - 1) / 2, name);
}

static int make_key(const struct sandbox_setup *setup, struct template_store *out)
{
	AUTO_CLOSE int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const struct sandbox_config *cfg = setup->config;
	const struct index_header *index = setup->base->index->head;
	char stamp[2 * INDEX_STAMP + 1];
	struct sha256_ctx key, any_boot;
	uint8_t digest[SNAPSHOT_KEY];
	struct utsname host;
	int r;

	if (exe < 0 || uname(&host) < 0)
		return -errno;
	sha256_init(&key);
	add_line(&key, "format %d", KEY_FORMAT);
	add_line(&key, "agent %s", setup->agent->id);
	hex_write(index->stamp, INDEX_STAMP, stamp);
	add_line(&key, "index %llx %s %s", (unsigned long long)index->checksum, stamp,
		 cfg->root ? cfg->root : "");
	add_line(&key, "machine %u %llu %d %d", cfg->cpus, (unsigned long long)cfg->memory,
		 cfg->no_dax, cfg->battery && strcmp(cfg->battery, "none") == 0);
	add_line(&key, "host %s %s", host.release, host.version);
	r = add_file(&key, "program", exe);
	if (r == 0)
		r = add_kernel(&key, setup);
	any_boot = key;
	name_of(&any_boot, digest, out->kind);
	if (r == 0)
		r = add_boot(&key);
	name_of(&key, out->key, out->name);
	return r;
}

/* The folder */

/* A disk of another machine answers when it likes: a guest whose memory that is would stop. */
static bool is_far_away(int dir)
{
	static const uint32_t kinds[] = {
		0x6969, /* nfs */
		0xff534d42, /* cifs */
		0xfe534d42, /* smb2 */
		0x65735546, /* fuse */
		0x01021997, /* 9p */
		0x00c36400, /* ceph */
	};
	struct statfs st;

	if (fstatfs(dir, &st) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((uint32_t)st.f_type == kinds[i])
			return true;
	return false;
}

/* Ours, and nobody else may write there. */
static bool is_private(const struct stat *st)
{
	return st->st_uid == geteuid() && (st->st_mode & 077) == 0;
}

static int open_folder(void)
{
	AUTO_FREE char *path = template_dir();
	AUTO_CLOSE int dir = path ? cache_dir_open(path) : -ENOMEM;
	struct stat st;

	if (dir < 0)
		return dir;
	if (fstat(dir, &st) < 0 || !is_private(&st))
		return -EPERM;
	return is_far_away(dir) ? -EOPNOTSUPP : steal_fd(&dir);
}

/*
 * Not where a guest finds out before it is parked what is another one's each time (the address of a
 * network card), nor where its start is what is asked about.
 */
static bool can_be_cloned(const struct sandbox_config *cfg)
{
	return !cfg->no_template && !cfg->debug_console && !cfg->timeline &&
	       !cfg->display.enabled && cfg->network_mode == NETWORK_NONE;
}

void template_store_init(struct template_store *store, const struct sandbox_setup *setup)
{
	*store = (struct template_store){.dir = -1};
	if (!can_be_cloned(setup->config) || make_key(setup, store) < 0)
		return;
	store->dir = open_folder();
	if (store->dir < 0)
		log_debug("no templates: %s", strerror(-store->dir));
}

void template_store_fini(struct template_store *store)
{
	if (store->dir >= 0)
		close(store->dir);
	store->dir = -1;
}

void template_remove(const struct template_store *store)
{
	(void)unlinkat(store->dir, store->name, 0);
}

static int open_whole(const struct template_store *store, int fd, uint64_t ram_size,
		      struct snapshot *out)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || !is_private(&st))
		return -EPERM;
	r = snapshot_open(fd, store->key, ram_size, out);
	if (r == 0 && (time(NULL) - out->created > MAX_AGE_S || time(NULL) < out->created)) {
		snapshot_fini(out);
		r = -ESTALE;
	}
	return r;
}

int template_open(const struct template_store *store, uint64_t ram_size, struct snapshot *out,
		  int *fd)
{
	AUTO_CLOSE int file = store->dir < 0
				      ? -1
				      : openat(store->dir, store->name,
					       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r;

	if (file < 0)
		return -ENOENT;
	r = open_whole(store, file, ram_size, out);
	if (r < 0) {
		log_info("the template of this machine is of no use (%s): it is made anew",
			 strerror(-r));
		template_remove(store);
		return r;
	}
	/* For whoever looks which one was not used for longest. */
	(void)futimens(file, NULL);
	*fd = steal_fd(&file);
	return 0;
}

static int create_file(const struct template_store *store)
{
	struct statvfs st;
	int fd;

	if (fstatvfs(store->dir, &st) < 0)
		return -errno;
	if ((uint64_t)st.f_bavail * st.f_frsize < FREE_BYTES)
		return -ENOSPC;
	fd = openat(store->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* One at a time is made, as each is much to write. */
int template_create(const struct template_store *store)
{
	int fd;

	if (flock(store->dir, LOCK_EX | LOCK_NB) < 0)
		return -EBUSY;
	fd = create_file(store);
	if (fd < 0)
		template_leave(store);
	return fd;
}

void template_leave(const struct template_store *store)
{
	(void)flock(store->dir, LOCK_UN);
}

/* Room for one more */

static bool is_name(const char *name)
{
	return strlen(name) == TEMPLATE_NAME - 1 &&
	       strspn(name, "0123456789abcdef") == TEMPLATE_NAME - 1;
}

static DIR *open_listing(int dir)
{
	const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d && fd >= 0)
		close(fd);
	return d;
}

static size_t list_in(int dir, struct template_info out[TEMPLATE_LIST_MAX])
{
	DIR *d = open_listing(dir);
	const struct dirent *e;
	size_t n = 0;

	while (d && n < TEMPLATE_LIST_MAX && (e = readdir(d)) != NULL) {
		struct stat st;

		if (!is_name(e->d_name) || fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		memcpy(out[n].name, e->d_name, TEMPLATE_NAME);
		out[n].used = st.st_mtim.tv_sec;
		out[n++].bytes = (uint64_t)st.st_blocks * 512;
	}
	if (d)
		closedir(d);
	return n;
}

size_t template_list(struct template_info out[TEMPLATE_LIST_MAX])
{
	AUTO_CLOSE int dir = open_folder();

	return dir < 0 ? 0 : list_in(dir, out);
}

int template_clean(void)
{
	AUTO_CLOSE int dir = open_folder();
	DIR *d = dir < 0 ? NULL : open_listing(dir);
	const struct dirent *e;
	int r = dir < 0 ? dir : 0;

	while (d && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && unlinkat(dir, e->d_name, 0) < 0)
			r = -errno;
	if (d)
		closedir(d);
	return r;
}

static void make_room(const struct template_store *store)
{
	struct template_info kept[TEMPLATE_LIST_MAX];
	size_t n = list_in(store->dir, kept);
	struct timespec up;
	uint64_t bytes = 0;
	int64_t booted;

	clock_gettime(CLOCK_BOOTTIME, &up);
	booted = time(NULL) - up.tv_sec;
	for (size_t i = 0; i < n; i++)
		bytes += kept[i].bytes;
	for (;;) {
		size_t oldest = 0;

		for (size_t i = 1; i < n; i++)
			if (kept[i].used < kept[oldest].used)
				oldest = i;
		if (n == 0 ||
		    (n <= TEMPLATES_KEPT && bytes <= KEPT_BYTES && kept[oldest].used >= booted))
			break;
		/* Who has it mapped keeps it. */
		(void)unlinkat(store->dir, kept[oldest].name, 0);
		bytes -= kept[oldest].bytes;
		kept[oldest] = kept[--n];
	}
}

/* A link does not take the place of a file that is there, but renaming one does. */
static int give_name(const struct template_store *store, int fd)
{
	const int folder = own_fd_folder();
	char name[16];
	struct stat st;
	int r;

	if (folder < 0)
		return folder;
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_blocks * 512 > KEPT_BYTES)
		return -EFBIG;
	snprintf(name, sizeof(name), "%d", fd);
	/* Of one who was killed: the lock is ours. */
	(void)unlinkat(store->dir, TEMPORARY, 0);
	if (linkat(folder, name, store->dir, TEMPORARY, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	if (renameat(store->dir, TEMPORARY, store->dir, store->name) == 0)
		return 0;
	r = -errno;
	(void)unlinkat(store->dir, TEMPORARY, 0);
	return r;
}

int template_keep(const struct template_store *store, int fd)
{
	const int r = give_name(store, fd);

	if (r == 0)
		make_room(store);
	template_leave(store);
	return r;
}

/* What was started */

/* The lines of the file, which are all whole; how many. */
static size_t read_seen(const struct template_store *store, char lines[SEEN_MAX][SEEN_LINE])
{
	AUTO_CLOSE int fd =
		openat(store->dir, SEEN, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	const ssize_t n = fd < 0 ? 0 : read(fd, lines, SEEN_MAX * SEEN_LINE);

	return n < 0 ? 0 : (size_t)n / SEEN_LINE;
}

/* That of this kind of machine comes first from now on. What cannot be written is seen next time. */
static void write_seen(const struct template_store *store, int64_t bad)
{
	char lines[SEEN_MAX + 1][SEEN_LINE], kept[SEEN_MAX][SEEN_LINE];
	const size_t n = read_seen(store, kept);
	AUTO_CLOSE int fd = -1;
	size_t out = 1;

	(void)unlinkat(store->dir, TEMPORARY_SEEN, 0);
	fd = openat(store->dir, TEMPORARY_SEEN, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	snprintf(lines[0], SEEN_LINE, "%s %019" PRId64, store->kind, bad);
	lines[0][SEEN_LINE - 1] = '\n';
	for (size_t i = 0; i < n && out < SEEN_MAX; i++)
		if (memcmp(kept[i], store->kind, TEMPLATE_NAME - 1) != 0)
			memcpy(lines[out++], kept[i], SEEN_LINE);
	if (write(fd, lines, out * SEEN_LINE) == (ssize_t)(out * SEEN_LINE))
		(void)renameat(store->dir, TEMPORARY_SEEN, store->dir, SEEN);
}

bool template_is_due(const struct template_store *store)
{
	char lines[SEEN_MAX][SEEN_LINE];
	const size_t n = read_seen(store, lines);

	for (size_t i = 0; i < n; i++) {
		lines[i][SEEN_LINE - 1] = '\0';
		if (memcmp(lines[i], store->kind, TEMPLATE_NAME - 1) == 0)
			return time(NULL) - strtoll(lines[i] + TEMPLATE_NAME, NULL, 10) > BAD_S;
	}
	write_seen(store, 0);
	return false;
}

void template_failed(const struct template_store *store)
{
	template_remove(store);
	write_seen(store, time(NULL));
}
