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

int fs_indexed_open(struct fs_server *s, struct fs_node *node)
{
	struct open_how how = {
		.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	const struct index *ix = node->export->index;
	char *path = (char *)s->scratch;
	uint32_t top;
	long fd = -1;
	int r = index_path(ix, (uint32_t)(node->ino - FS_INDEXED_INO), path, PATH_MAX, &top);

	if (r == 0) {
		uint32_t i = top - index_first(&ix->entries[INDEX_ROOT]);

		/* A file in the root itself has no directory to be opened in. */
		if (!strchr(path, '/') || node->export->tops[i] < 0)
			r = -ESTALE;
		else if ((fd = syscall(SYS_openat2, node->export->tops[i], strchr(path, '/') + 1,
				       &how, sizeof(how))) < 0)
			r = path_error(errno);
	}
	if (r == 0)
		r = fs_indexed_check(node, (int)fd);
	if (r == -ESTALE)
		fs_indexed_tell_stale(s, node);
	if (r < 0 && fd >= 0)
		close((int)fd);
	return r < 0 ? r : (int)fd;
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
