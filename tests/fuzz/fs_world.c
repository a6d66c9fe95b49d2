/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fs_world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "image/base/index_writer.h"

enum { FILE_LIMIT = 4 << 20, BIG = 300000, N_EXPORTS = 4 };

struct fs_world fs_world;

static struct {
	struct index *index; /* of "still", as "d" of a root */
	struct stat outside; /* as it has to stay */
	bool changed; /* the host did something to "still" */
} w;

static const struct {
	const char *name, *path;
	bool writable;
	enum fs_cache cache;
} exports[N_EXPORTS] = {
	{"rw", "tree", true, FS_CACHE_SHORT},
	{"ro", "still", false, FS_CACHE_LONG},
	{"one", "tree/a", true, FS_CACHE_SHORT},
	{"ix", ".", false, FS_CACHE_LONG},
};

/* Files of "still" and their text; "big" is all zeroes. */
static const struct {
	const char *path, *text;
	mode_t mode;
} still[] = {
	{"still/a", "some text\n", 0644},
	{"still/suid", "a program", 04755},
	{"still/e/f", "inner", 0644},
};

static const struct timespec then[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	if (ftw->level == 0)
		return 0;
	REQUIRE(!S_ISCHR(st->st_mode) && !S_ISBLK(st->st_mode));
	REQUIRE(S_ISDIR(st->st_mode) || !(st->st_mode & (S_ISUID | S_ISGID)));
	return remove(path);
}

static int remove_any(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Removes what is in "tree", which has to be free of what no guest may make. */
static void empty_tree(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/tree", fs_world.dir);
	REQUIRE(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0);
}

static void remove_world(void)
{
	(void)nftw(fs_world.dir, remove_any, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void add_file(const char *path, const char *text, mode_t mode)
{
	int fd = openat(fs_world.dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	REQUIRE(fchmod(fd, mode) == 0 && futimens(fd, then) == 0);
	close(fd);
}

static void fill_tree(void)
{
	add_file("tree/a", "some text\n", 0644);
	REQUIRE(mkdirat(fs_world.dirfd, "tree/d", 0755) == 0);
	add_file("tree/d/b", "", 0644);
	REQUIRE(symlinkat("../outside", fs_world.dirfd, "tree/l") == 0);
	REQUIRE(mkfifoat(fs_world.dirfd, "tree/p", 0644) == 0);
}

/* "big" keeps its inode: the index knows it. */
static void fill_big(void)
{
	int fd = openat(fs_world.dirfd, "still/big", O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	REQUIRE(fd >= 0 && ftruncate(fd, 0) == 0 && ftruncate(fd, BIG) == 0);
	REQUIRE(futimens(fd, then) == 0);
	close(fd);
}

static void fill_still(void)
{
	char path[32];

	REQUIRE(mkdirat(fs_world.dirfd, "still", 0755) == 0);
	REQUIRE(mkdirat(fs_world.dirfd, "still/e", 0755) == 0);
	REQUIRE(mkdirat(fs_world.dirfd, "still/many", 0755) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(still); i++)
		add_file(still[i].path, still[i].text, still[i].mode);
	fill_big();
	for (unsigned int i = 0; i < FS_WORLD_MANY; i++) {
		snprintf(path, sizeof(path), "still/many/m%02u", i);
		add_file(path, "one of many", 0644);
	}
	REQUIRE(symlinkat("../outside", fs_world.dirfd, "still/l") == 0);
}

static void index_file(struct index_writer *iw, uint32_t dir, const char *name, const char *path)
{
	struct index_entry e = {.kind = INDEX_SHARED};
	struct stat st;

	REQUIRE(fstatat(fs_world.dirfd, path, &st, 0) == 0);
	e.mode = (uint16_t)st.st_mode;
	e.size = (uint64_t)st.st_size;
	e.where = st.st_ino;
	e.mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	REQUIRE(index_writer_add(iw, dir, name, &e, NULL, 0, NULL) == 0);
}

/* "still" is one that is there, "d" the same tree by another name, which is not. */
static void make_index(void)
{
	const struct index_header head = {.built = 0};
	const struct index_entry dir = {.kind = INDEX_DIR, .mode = S_IFDIR | 0755};
	const struct index_entry a = {.kind = INDEX_PRISTINE, .mode = S_IFREG | 0644};
	const struct index_entry left = {.kind = INDEX_LEFT_OUT, .mode = S_IFREG | 0644};
	const struct index_entry l = {.kind = INDEX_LINK, .mode = S_IFLNK | 0777};
	struct index_writer *iw;
	uint8_t *file;
	uint32_t d, e, gone;
	size_t len;

	REQUIRE(index_writer_new(&iw) == 0);
	REQUIRE(index_writer_add(iw, 0, "still", &dir, NULL, 0, &d) == 0);
	REQUIRE(index_writer_add(iw, d, "a", &a, "text", 4, NULL) == 0);
	REQUIRE(index_writer_add(iw, d, "l", &l, "../outside", 10, NULL) == 0);
	REQUIRE(index_writer_add(iw, d, "b", &left, NULL, 0, NULL) == 0);
	index_file(iw, d, "big", "still/big");
	index_file(iw, d, "suid", "still/suid");
	REQUIRE(index_writer_add(iw, d, "e", &dir, NULL, 0, &e) == 0);
	index_file(iw, e, "f", "still/e/f");
	REQUIRE(index_writer_add(iw, 0, "d", &dir, NULL, 0, &gone) == 0);
	index_file(iw, gone, "f", "still/e/f");
	REQUIRE(index_writer_finish(iw, &head, &file, &len) == 0);
	index_writer_free(iw);
	REQUIRE(index_from_memory(file, len, &w.index) == 0);
}

void fs_world_add_export(unsigned int server, unsigned int which)
{
	const unsigned int i = which % N_EXPORTS;
	const struct fs_export_config cfg = {
		.name = exports[i].name,
		.fd = openat(fs_world.dirfd, exports[i].path, O_PATH | O_CLOEXEC),
		.writable = exports[i].writable,
		.cache = exports[i].cache,
		.index = i == N_EXPORTS - 1 ? w.index : NULL,
	};
	int r;

	/* The guest may have removed the one file. */
	if (cfg.fd < 0)
		return;
	r = fs_server_add_export(fs_world.servers[server], &cfg);
	REQUIRE(r == 0 || r == -EEXIST || r == -ENFILE || r == -EINVAL);
}

void fs_world_remove_export(unsigned int server, unsigned int which)
{
	int r = fs_server_remove_export(fs_world.servers[server], exports[which % N_EXPORTS].name);

	REQUIRE(r == 0 || r == -ENOENT);
}

static void new_server(unsigned int i)
{
	struct virtio_device *vdev;
	struct fs_server *s;

	REQUIRE(fs_server_new(&s) == 0);
	REQUIRE(fs_server_add_window(s, (uint64_t)FS_WORLD_SLOTS * FS_WORLD_SLOT) == 0);
	fs_world.servers[i] = s;
	fs_world.guests[i] = fake_guest_new();
	REQUIRE(virtio_fs_new("fuzz", s, &vdev) == 0);
	fake_guest_start(fs_world.guests[i], vdev, 0);
}

void fs_world_new(void)
{
	/* Few descriptors, so that they run out; small files, so that memory does not. */
	const struct rlimit files = {600, 600}, size = {FILE_LIMIT, FILE_LIMIT};

	REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_FSIZE, &size) == 0);
	umask(0);
	strcpy(fs_world.dir, "/dev/shm/sandcastle-fuzz-fs-XXXXXX");
	REQUIRE(mkdtemp(fs_world.dir) && chmod(fs_world.dir, 0755) == 0);
	fs_world.dirfd = open(fs_world.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fs_world.dirfd >= 0 && mkdirat(fs_world.dirfd, "tree", 0755) == 0);
	atexit(remove_world);
	add_file("outside", "untouched", 0644);
	REQUIRE(fstatat(fs_world.dirfd, "outside", &w.outside, 0) == 0);
	fill_still();
	make_index();
	for (unsigned int i = 0; i < FS_WORLD_SERVERS; i++)
		new_server(i);
}

static void reset(struct fake_guest *g)
{
	fake_guest_reset(g);
	fake_guest_settle(g);
	fake_release(g, FAKE_RAM_BASE);
}

void fs_world_begin(bool frozen)
{
	fill_tree();
	for (unsigned int i = 0; i < FS_WORLD_SERVERS; i++) {
		reset(fs_world.guests[i]);
		fs_world.servers[i]->max_fds = FS_WORLD_FDS;
		/* Anew, as the trees are. */
		for (unsigned int e = 0; e < N_EXPORTS; e++) {
			fs_world_remove_export(i, e);
			fs_world_add_export(i, e);
		}
	}
	fs_world.servers[0]->frozen = frozen;
}

void fs_world_change(uint8_t how)
{
	int fd;

	w.changed = true;
	switch (how >> 5) {
	case 0: /* by name: a guest may have put a link there */
		fd = openat(fs_world.dirfd, "tree/a",
			    O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0) {
			(void)!ftruncate(fd, how);
			close(fd);
		}
		break;
	case 1:
		(void)fchmodat(fs_world.dirfd, "still/big", 0600, 0);
		break;
	case 2:
		(void)renameat(fs_world.dirfd, "still/e", fs_world.dirfd, "elsewhere");
		break;
	case 3:
		(void)fchmodat(fs_world.dirfd, "still", 0700, 0);
		break;
	case 4:
		(void)renameat(fs_world.dirfd, "still/many/m07", fs_world.dirfd, "still/many/m08");
		break;
	default:
		fd = openat(fs_world.dirfd, "still/big", O_WRONLY | O_CLOEXEC);
		(void)!ftruncate(fd, how * 1000);
		close(fd);
		break;
	}
}

/* Undoes what the host did, so that the next input finds what it expects. */
static void restore_still(void)
{
	(void)renameat(fs_world.dirfd, "elsewhere", fs_world.dirfd, "still/e");
	REQUIRE(fchmodat(fs_world.dirfd, "still", 0755, 0) == 0);
	REQUIRE(fchmodat(fs_world.dirfd, "still/big", 0644, 0) == 0);
	fill_big();
	add_file("still/many/m07", "one of many", 0644);
	add_file("still/many/m08", "one of many", 0644);
	w.changed = false;
}

/* Nobody but the host has changed anything in there. */
static void check_still(void)
{
	char text[32];
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(still); i++) {
		int fd = openat(fs_world.dirfd, still[i].path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		REQUIRE(fd >= 0 && fstat(fd, &st) == 0);
		REQUIRE((st.st_mode & 07777) == still[i].mode && st.st_nlink == 1 &&
			st.st_mtim.tv_sec == then[1].tv_sec && st.st_mtim.tv_nsec == 0);
		REQUIRE(read(fd, text, sizeof(text)) == (ssize_t)strlen(still[i].text));
		REQUIRE(memcmp(text, still[i].text, strlen(still[i].text)) == 0);
		close(fd);
	}
	REQUIRE(fstatat(fs_world.dirfd, "still", &st, 0) == 0 && st.st_nlink == 4);
}

static void check_outside(void)
{
	struct stat st;

	REQUIRE(fstatat(fs_world.dirfd, "outside", &st, 0) == 0);
	REQUIRE(st.st_mode == w.outside.st_mode && st.st_size == w.outside.st_size &&
		st.st_nlink == w.outside.st_nlink && st.st_uid == w.outside.st_uid &&
		st.st_mtim.tv_sec == w.outside.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == w.outside.st_mtim.tv_nsec);
}

/* Nothing but zeroes is left in the window, and of nodes what the exports need. */
static void check_server(unsigned int i)
{
	const uint64_t *window = fs_world.guests[i]->vdev->shm;
	const size_t n = (size_t)FS_WORLD_SLOTS * FS_WORLD_SLOT / sizeof(*window);

	for (size_t at = 0; at < n; at += 4096 / sizeof(*window))
		REQUIRE(window[at] == 0);
	REQUIRE(fs_world.servers[i]->n_nodes <= 2 * N_EXPORTS + 1);
	REQUIRE(fs_world.servers[i]->n_ranges == 0 && fs_world.servers[i]->n_waiting == 0);
}

void fs_world_end(void)
{
	for (unsigned int i = 0; i < FS_WORLD_SERVERS; i++) {
		reset(fs_world.guests[i]);
		check_server(i);
	}
	empty_tree();
	REQUIRE(fchmodat(fs_world.dirfd, "tree", 0755, 0) == 0);
	check_outside();
	if (w.changed)
		restore_still();
	check_still();
}
