/* SPDX-License-Identifier: MIT */
#include "devices/fs/indexed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "common/log.h"

/* A directory of the tree's root, which may be a file system of its own (a separate /usr). */
static int open_top(int root, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
}

int fs_indexed_init(struct fs_export *export, const struct index *ix, int root)
{
	const struct index_entry *top = &ix->entries[INDEX_ROOT];
	uint32_t first = index_first(top);

	export->index = ix;
	export->n_tops = index_count(top);
	export->tops = calloc(export->n_tops + 1, sizeof(*export->tops));
	if (!export->tops) {
		close(root);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < export->n_tops; i++) {
		const struct index_entry *e = &ix->entries[first + i];
		char name[INDEX_NAME_MAX + 1];

		memcpy(name, ix->strings + e->name, e->name_len);
		name[e->name_len] = '\0';
		/* One that is gone: what is below it is stale. */
		export->tops[i] = e->kind == INDEX_DIR ? open_top(root, name) : -1;
	}
	close(root);
	return 0;
}

void fs_indexed_fini(struct fs_export *export)
{
	for (uint32_t i = 0; export->tops && i < export->n_tops; i++)
		if (export->tops[i] >= 0)
			close(export->tops[i]);
	free(export->tops);
	export->tops = NULL;
}

int fs_indexed_lookup(struct fs_server *s, struct fs_node *dir, const char *name,
		      struct fs_node **out)
{
	const struct index *ix = dir->export->index;
	uint32_t entry;
	int r = index_lookup(ix, (uint32_t)(dir->ino - FS_INDEXED_INO), name, strlen(name), &entry);

	return r < 0 ? r
		     : fs_node_indexed(s, dir->export, entry + FS_INDEXED_INO,
				       ix->entries[entry].mode & S_IFMT, out);
}

void fs_indexed_stat(const struct fs_node *node, struct stat *st)
{
	const struct index_entry *e = fs_indexed_entry(node);
	const int64_t second = 1000000000;
	struct timespec when = {.tv_sec = e->mtime / second, .tv_nsec = e->mtime % second};

	if (when.tv_nsec < 0) {
		when.tv_nsec += second;
		when.tv_sec--;
	}
	*st = (struct stat){
		.st_ino = node->ino,
		.st_mode = e->mode,
		.st_nlink = e->kind == INDEX_DIR ? 2 : 1,
		.st_uid = e->uid,
		.st_gid = e->gid,
		.st_blksize = 4096,
		.st_atim = when,
		.st_mtim = when,
		.st_ctim = when,
	};
	if (e->kind == INDEX_LINK)
		st->st_size = index_count(e);
	else if (e->kind != INDEX_DIR)
		st->st_size = (off_t)e->size;
	st->st_blocks = (st->st_size + 511) / 512;
}

/* What a host that changed under us makes of a path that was there. */
static int path_error(int error)
{
	switch (error) {
	case EMFILE:
		return -ENFILE;
	case ENFILE:
	case ENOMEM:
	case EACCES:
	case EIO:
		return -error;
	default:
		return -ESTALE;
	}
}

int fs_indexed_check(const struct fs_node *node, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & S_IROTH) ||
	    !index_same_file(node->export->index, fs_indexed_entry(node), st.st_ino,
			     (uint64_t)st.st_size,
			     (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec))
		return -ESTALE;
	return 0;
}

void fs_indexed_tell_stale(struct fs_server *s, const struct fs_node *node)
{
	char *path = (char *)s->scratch;
	uint32_t top;

	if (node->export->told_stale ||
	    index_path(node->export->index, (uint32_t)(node->ino - FS_INDEXED_INO), path, PATH_MAX,
		       &top) < 0)
		return;
	node->export->told_stale = true;
	log_warn("/%s has changed since the base image was made, so the sandbox cannot "
		 "read it; start it again, or run `sandcastle image build`",
		 path);
}

/* True if everyone may see and reach what is in the directory. */
static bool is_open_to_all(int dir)
{
	const mode_t needed = S_IROTH | S_IXOTH;
	struct stat st;

	return fstat(dir, &st) == 0 && (st.st_mode & needed) == needed;
}

/* Goes down the directories of the path `at`, whose last component becomes *name. Takes dir over. */
static int descend(int dir, char *at, const char **name)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};

	for (;;) {
		char *slash = strchr(at, '/');
		int up = dir;

		if (!is_open_to_all(dir)) {
			close(dir);
			return -EPERM;
		}
		*name = at;
		if (!slash)
			return dir;
		*slash = '\0';
		dir = (int)syscall(SYS_openat2, up, at, &how, sizeof(how));
		if (dir < 0)
			dir = -errno;
		close(up);
		if (dir < 0)
			return dir;
		at = slash + 1;
	}
}

/*
 * The directory the node's file is in, O_PATH, found component by component: our own user may
 * be let in where others are not. *name is the file's, in s->scratch. -EPERM: a
 * directory on the way is closed to others; another errno: it is not there.
 */
static int open_parent(struct fs_server *s, const struct fs_node *node, const char **name)
{
	const struct fs_export *export = node->export;
	char *path = (char *)s->scratch;
	uint32_t top;
	int dir, r;

	r = index_path(export->index, (uint32_t)(node->ino - FS_INDEXED_INO), path, PATH_MAX, &top);
	if (r < 0)
		return r;
	top -= index_first(&export->index->entries[INDEX_ROOT]);
	path = strchr(path, '/');
	/* A file in the root itself has no directory to be opened in. */
	if (!path || export->tops[top] < 0)
		return -ENOENT;
	dir = fcntl(export->tops[top], F_DUPFD_CLOEXEC, 3);
	return dir < 0 ? -errno : descend(dir, path + 1, name);
}

int fs_indexed_open(struct fs_server *s, struct fs_node *node)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NOATIME | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	const char *name = NULL;
	int dir = open_parent(s, node, &name);
	int r = dir < 0 ? path_error(-dir) : 0, fd = -1;

	if (r == 0) {
		fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
		if (fd < 0 && errno == EPERM) {
			how.flags &= ~(uint64_t)O_NOATIME;
			fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
		}
		r = fd < 0 ? path_error(errno) : fs_indexed_check(node, fd);
		close(dir);
	}
	if (r == -ESTALE)
		fs_indexed_tell_stale(s, node);
	if (r < 0 && fd >= 0)
		close(fd);
	if (r == 0)
		node->seen_ms = s->now_ms;
	return r < 0 ? r : fd;
}

int fs_indexed_check_again(struct fs_server *s, struct fs_node *node)
{
	const char *name;
	int r = fs_indexed_check(node, node->fd), dir;

	if (r < 0 || s->now_ms - node->seen_ms < FS_TRUST_MS)
		return r;
	dir = open_parent(s, node, &name);
	if (dir == -EPERM)
		return -ESTALE;
	/* One that is not there any more was taken away, with what it held, or replaced. */
	if (dir >= 0)
		close(dir);
	node->seen_ms = s->now_ms;
	return 0;
}

void fs_indexed_read(struct fs_request *rq, uint64_t off, size_t size)
{
	const struct index_entry *e = fs_indexed_entry(rq->node);

	if (off < e->size)
		fs_reply(rq, rq->node->export->index->blob + e->where + off,
			 min_size(min_size(size, rq->room), e->size - off));
}

void fs_indexed_readlink(struct fs_request *rq)
{
	const struct index_entry *e = fs_indexed_entry(rq->node);

	fs_reply(rq, rq->node->export->index->strings + index_first(e),
		 min_size(index_count(e), rq->room));
}
