/* SPDX-License-Identifier: MIT */
#include "launcher/copy/tar_create.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"

/* Folders in folders: each that is gone through has a descriptor. */
enum { CHUNK = 256 * 1024, DEPTH_MAX = 200 };

struct tar_create {
	const struct tar_lib *lib;
	struct archive *a;
	struct archive_entry *entry;
	struct copy_tally *tally;
	uint8_t *chunk;
	unsigned int depth;
	char path[PATH_MAX]; /* in the archive, of what is being added */
};

static void skip(struct tar_create *t, const char *why)
{
	copy_tally_skip(t->tally, t->path, why);
}

static int put_header(struct tar_create *t, const struct stat *st, const char *link)
{
	const struct tar_lib *lib = t->lib;

	lib->entry_clear(t->entry);
	lib->entry_set_pathname(t->entry, t->path);
	lib->entry_set_filetype(t->entry, st->st_mode & S_IFMT);
	lib->entry_set_perm(t->entry, st->st_mode & 0777);
	lib->entry_set_size(t->entry, S_ISREG(st->st_mode) ? st->st_size : 0);
	lib->entry_set_mtime(t->entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	if (link)
		lib->entry_set_symlink(t->entry, link);
	if (lib->write_header(t->a, t->entry) < ARCHIVE_WARN)
		return -EPIPE;
	t->tally->files++;
	copy_tally_add(t->tally, 0);
	return 0;
}

/* As long as it was when it was looked at: libarchive fills what is missing with zeroes. */
static int put_content(struct tar_create *t, int fd, off_t left)
{
	while (left > 0) {
		ssize_t n = read(fd, t->chunk, min_size(CHUNK, (size_t)left));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			skip(t, n < 0 ? strerror(errno) : "it became shorter meanwhile");
			return 0;
		}
		if (t->lib->write_data(t->a, t->chunk, (size_t)n) != n)
			return -EPIPE;
		copy_tally_add(t->tally, (uint64_t)n);
		left -= n;
	}
	return 0;
}

static int add_at(struct tar_create *t, int dir, const char *name);

/* Its entries. Takes fd over. */
static int add_content(struct tar_create *t, int fd)
{
	const size_t len = strlen(t->path);
	const struct dirent *d;
	DIR *dir = fdopendir(fd);
	int r = 0;

	if (!dir) {
		close(fd);
		skip(t, strerror(ENOMEM));
		return 0;
	}
	t->depth++;
	while (r == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (snprintf(t->path + len, sizeof(t->path) - len, "/%s", d->d_name) >=
		    (int)(sizeof(t->path) - len))
			skip(t, strerror(ENAMETOOLONG));
		else
			r = add_at(t, dirfd(dir), d->d_name);
		t->path[len] = '\0';
	}
	t->depth--;
	closedir(dir);
	return r;
}

static int add_link(struct tar_create *t, int dir, const char *name, const struct stat *st)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir, name, target, sizeof(target) - 1);

	if (n < 0) {
		skip(t, strerror(errno));
		return 0;
	}
	target[n] = '\0';
	return put_header(t, st, target);
}

/* What can be opened: a regular file or a folder. */
static int add_open(struct tar_create *t, int *fd)
{
	struct stat st;
	int r;

	if (fstat(*fd, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))) {
		skip(t, "it became something else meanwhile");
		return 0;
	}
	/* The folder that takes the content keeps its own mode. */
	r = strcmp(t->path, ".") == 0 ? 0 : put_header(t, &st, NULL);
	if (r < 0 || S_ISREG(st.st_mode))
		return r < 0 ? r : put_content(t, *fd, st.st_size);
	if (t->depth == DEPTH_MAX) {
		skip(t, "folders lie too deep in one another");
		return 0;
	}
	return add_content(t, steal_fd(fd));
}

static int add_at(struct tar_create *t, int dir, const char *name)
{
	AUTO_CLOSE int fd = -1;
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		skip(t, strerror(errno));
		return 0;
	}
	if (S_ISLNK(st.st_mode))
		return add_link(t, dir, name, &st);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		skip(t, "it is neither a file, a folder nor a symbolic link");
		return 0;
	}
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		skip(t, strerror(errno));
		return 0;
	}
	return add_open(t, &fd);
}

int tar_create_new(const struct tar_lib *lib, int fd, struct copy_tally *tally,
		   struct tar_create **out)
{
	struct tar_create *t = calloc(1, sizeof(*t));

	if (t) {
		*t = (struct tar_create){.lib = lib, .tally = tally};
		t->chunk = malloc(CHUNK);
		t->a = lib->write_new();
		t->entry = lib->entry_new();
	}
	if (!t || !t->chunk || !t->a || !t->entry || lib->write_format_gnutar(t->a) != ARCHIVE_OK ||
	    lib->write_open_fd(t->a, fd) != ARCHIVE_OK) {
		log_error("out of memory");
		tar_create_free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

int tar_create_add(struct tar_create *t, const char *path, const char *as)
{
	snprintf(t->path, sizeof(t->path), "%s", as);
	return add_at(t, AT_FDCWD, path);
}

int tar_create_finish(struct tar_create *t)
{
	return t->lib->write_close(t->a) == ARCHIVE_OK ? 0 : -EPIPE;
}

void tar_create_free(struct tar_create *t)
{
	if (!t)
		return;
	if (t->entry)
		t->lib->entry_free(t->entry);
	if (t->a)
		t->lib->write_free(t->a);
	free(t->chunk);
	free(t);
}
