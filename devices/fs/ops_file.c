/* SPDX-License-Identifier: MIT */
/* Open files: their data goes between the host's page cache and the guest's pages directly. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/uio.h>

#include "devices/fs/indexed.h"

/* Of a file's open flags only these reach the host; the guest's kernel acts on the others. */
enum { HOST_OPEN_FLAGS = O_ACCMODE | O_TRUNC };

/* 0 if a file of this node may be opened with these flags. */
static int check_open(struct fs_server *s, struct fs_node *node, uint32_t flags)
{
	if (node->type == S_IFDIR)
		return -EISDIR;
	if (node->type != S_IFREG)
		return node->type == S_IFLNK ? -ELOOP : -ENXIO;
	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC))
		return 0;
	if (!node->export->writable)
		return -EROFS;
	return fs_strip_setid(s, node);
}

int fs_op_open(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_open_in *in = rq->arg;
	struct fuse_open_out out = {.fh = 0};
	int fd, r;

	r = check_open(s, rq->node, in->flags);
	if (r < 0)
		return r;
	fd = fs_reopen(s, rq->node, (int)(in->flags & HOST_OPEN_FLAGS));
	if (fd < 0)
		return fd;
	r = fs_handle_new(s, rq->node, fd, (int)(in->flags & O_ACCMODE), &out.fh);
	if (r < 0)
		return r;
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

/* The node of a file we just opened ourselves, and a handle for it. Takes fd over. */
static int adopt_file(struct fs_server *s, struct fs_request *rq, int fd, int accmode)
{
	struct fuse_open_out open_out = {.fh = 0};
	struct fuse_entry_out entry;
	struct fs_node *node;
	struct stat st;
	int path_fd, r;

	path_fd = fs_reopen_fd(s, fd, O_PATH, 0);
	r = path_fd;
	if (r >= 0 && fstat(path_fd, &st) < 0) {
		r = -errno;
		close(path_fd);
	}
	if (r >= 0)
		r = fs_node_get(s, rq->node->export, path_fd, &st, &node);
	if (r < 0) {
		close(fd);
		return r;
	}
	r = fs_handle_new(s, node, fd, accmode, &open_out.fh);
	if (r < 0) {
		fs_node_forget(s, node, 0);
		return r;
	}
	/* A file without a name (TMPFILE) keeps its descriptor. */
	if (rq->name[0])
		fs_node_found(s, node, rq->node, rq->name[0]);
	fs_fill_entry(s, node, &st, &entry);
	fs_reply(rq, &entry, sizeof(entry));
	fs_reply(rq, &open_out, sizeof(open_out));
	return 0;
}

/* The file came into being after the guest looked: open what is there now. */
static int open_existing(struct fs_server *s, struct fs_request *rq, uint32_t flags)
{
	struct fs_node *node;
	struct stat st;
	int fd, r;

	r = fs_lookup(s, rq->node, rq->name[0], &node, &st);
	if (r < 0)
		return r;
	/* Not a file: ESTALE makes the guest look again. */
	r = node->type == S_IFREG ? check_open(s, node, flags) : -ESTALE;
	fd = r < 0 ? r : fs_reopen(s, node, (int)(flags & HOST_OPEN_FLAGS));
	if (fd < 0) {
		fs_node_forget(s, node, 0);
		return fd;
	}
	return adopt_file(s, rq, fd, (int)(flags & O_ACCMODE));
}

int fs_op_create(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_create_in *in = rq->arg;
	uint32_t flags = in->flags;
	int dir_fd, fd;

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	dir_fd = fs_names_fd(s, rq->node);
	if (dir_fd < 0)
		return dir_fd;
	/* O_EXCL: nothing that exists, link, device or FIFO, is opened by its name. */
	fd = openat(dir_fd, rq->name[0],
		    (int)(flags & O_ACCMODE) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    in->mode & 01777 & ~in->umask);
	if (fd < 0 && errno == EEXIST && !(flags & O_EXCL))
		return open_existing(s, rq, flags);
	if (fd < 0)
		return errno == EMFILE ? -ENFILE : -errno;
	return adopt_file(s, rq, fd, (int)(flags & O_ACCMODE));
}

int fs_op_tmpfile(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_create_in *in = rq->arg;
	int accmode = (int)(in->flags & O_ACCMODE);
	int fd;

	if (rq->node->kind != FS_HOST)
		return -EPERM;
	if (accmode == O_RDONLY || accmode == O_ACCMODE)
		return -EINVAL;
	fd = fs_node_fd(s, rq->node);
	if (fd < 0)
		return fd;
	fd = fs_reopen_fd(s, fd, O_TMPFILE | accmode | (int)(in->flags & O_EXCL),
			  in->mode & 01777 & ~in->umask);
	return fd < 0 ? fd : adopt_file(s, rq, fd, accmode);
}

int fs_op_release(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_release_in *in = rq->arg;

	if (!fs_handle_find(s, rq->node, in->fh))
		return -EBADF;
	/* flock() locks go with the descriptor. */
	fs_locks_drop_handle(s, in->fh);
	fs_handle_free(s, in->fh);
	return 0;
}

int fs_op_flush(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_flush_in *in = rq->arg;

	if (!fs_handle_find(s, rq->node, in->fh))
		return -EBADF;
	fs_locks_drop_owner(s, rq->node, in->lock_owner);
	return 0;
}

int fs_op_fsync(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_fsync_in *in = rq->arg;
	const struct fs_handle *h = fs_handle_find(s, rq->node, in->fh);
	int r;

	if (!h || h->fd < 0)
		return -EBADF;
	if (!rq->node->export->writable)
		return 0;
	r = in->fsync_flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd);
	return r < 0 ? -errno : 0;
}

/* The request's open file, or NULL if it is none of the node's or not a regular file. */
static const struct fs_handle *file_handle(struct fs_server *s, const struct fs_node *node,
					   uint64_t fh)
{
	return node->type == S_IFREG ? fs_handle_find(s, node, fh) : NULL;
}

/* What to read from. *own is to be closed. -EBADF: no handle of that file, or not for reading. */
static int read_from(struct fs_server *s, struct fs_node *node, uint64_t fh, int *own)
{
	const struct fs_handle *h;

	if (s->frozen)
		return node->type == S_IFREG ? fs_readable(s, node, own) : -EBADF;
	h = file_handle(s, node, fh);
	return h && h->may_read ? h->fd : -EBADF;
}

int fs_op_read(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_read_in *in = rq->arg;
	AUTO_CLOSE int own = -1;
	unsigned int n_iov;
	size_t size;
	ssize_t n;
	int fd;

	if (in->offset > INT64_MAX)
		return -EINVAL;
	size = min_u64(in->size, FS_MAX_WRITE);
	if (fs_is_pristine(rq->node)) {
		fs_indexed_read(rq, in->offset, size);
		return 0;
	}
	fd = read_from(s, rq->node, in->fh, &own);
	if (fd < 0)
		return fd;
	n_iov = chain_iov_wr(rq->chain, sizeof(struct fuse_out_header), min_size(size, rq->room),
			     s->iov, ARRAY_SIZE(s->iov));
	n = preadv(fd, s->iov, (int)n_iov, (off_t)in->offset);
	if (n < 0)
		return -errno;
	rq->out_len = (size_t)n;
	return 0;
}

int fs_op_write(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_write_in *in = rq->arg;
	const struct fs_handle *h = file_handle(s, rq->node, in->fh);
	const size_t data = sizeof(rq->hdr) + sizeof(*in);
	struct fuse_write_out out = {.size = 0};
	unsigned int n_iov;
	ssize_t n;
	int flags = 0;

	if (!h || !h->may_write)
		return -EBADF;
	if (in->offset > INT64_MAX || in->size > rq->hdr.len - data || in->size > FS_MAX_WRITE)
		return -EINVAL;
	/*
	 * The host knows where the file ends now, the guest where it ended when
	 * it last looked. Pages that were written through a mapping have their place.
	 */
	if ((in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE))
		flags = RWF_APPEND;
	n_iov = chain_iov_rd(rq->chain, data, in->size, s->iov, ARRAY_SIZE(s->iov));
	n = pwritev2(h->fd, s->iov, (int)n_iov, (off_t)in->offset, flags);
	if (n < 0)
		return -errno;
	out.size = (uint32_t)n;
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

int fs_op_fallocate(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_fallocate_in *in = rq->arg;
	const struct fs_handle *h = file_handle(s, rq->node, in->fh);

	if (!h || !h->may_write)
		return -EBADF;
	if (in->mode &
	    ~(uint32_t)(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	if (in->offset > INT64_MAX || in->length > INT64_MAX - in->offset)
		return -EFBIG;
	if (fallocate(h->fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0)
		return -errno;
	return 0;
}

int fs_op_lseek(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_lseek_in *in = rq->arg;
	const struct fs_handle *h = file_handle(s, rq->node, in->fh);
	struct fuse_lseek_out out;
	off_t off;

	if (!h)
		return -EBADF;
	/* The guest keeps file positions; only the host knows where holes are. */
	if ((in->whence != SEEK_DATA && in->whence != SEEK_HOLE) || in->offset > INT64_MAX)
		return -EINVAL;
	off = lseek(h->fd, (off_t)in->offset, (int)in->whence);
	if (off < 0)
		return -errno;
	out.offset = (uint64_t)off;
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

int fs_op_copy_file_range(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_copy_file_range_in *in = rq->arg;
	const struct fs_node *node_out = fs_node_find(s, in->nodeid_out);
	const struct fs_handle *from = file_handle(s, rq->node, in->fh_in), *to;
	struct fuse_write_out out = {.size = 0};
	off64_t off_in = (off64_t)in->off_in, off_out = (off64_t)in->off_out;
	ssize_t n;

	if (!node_out)
		return -ESTALE;
	if (!node_out->export || !node_out->export->writable)
		return -EROFS;
	to = file_handle(s, node_out, in->fh_out);
	if (!from || !from->may_read || !to || !to->may_write)
		return -EBADF;
	if (in->flags || off_in < 0 || off_out < 0)
		return -EINVAL;
	n = copy_file_range(from->fd, &off_in, to->fd, &off_out, min_u64(in->len, FS_MAX_WRITE), 0);
	if (n < 0)
		return -errno;
	out.size = (uint32_t)n;
	fs_reply(rq, &out, sizeof(out));
	return 0;
}
