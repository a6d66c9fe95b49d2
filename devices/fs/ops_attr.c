/* SPDX-License-Identifier: MIT */
/* Attributes, link texts and file system figures. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statfs.h>

#include "devices/fs/indexed.h"

static int reply_attr(struct fs_server *s, struct fs_request *rq)
{
	struct fuse_attr_out out;
	struct stat st;
	int r = fs_node_stat(s, rq->node, &st);

	if (r < 0)
		return r;
	fs_fill_attr_out(s, rq->node, &st, &out);
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

int fs_op_getattr(struct fs_server *s, struct fs_request *rq)
{
	return reply_attr(s, rq);
}

/* chmod() on an O_PATH descriptor. Not for symbolic links, which it would not follow either. */
static int node_chmod(struct fs_server *s, struct fs_node *node, mode_t mode)
{
	char name[16];
	int fd;

	if (node->type == S_IFLNK)
		return -EOPNOTSUPP;
	fd = fs_node_fd(s, node);
	if (fd < 0)
		return fd;
	snprintf(name, sizeof(name), "%d", fd);
	return fchmodat(s->proc_fd, name, mode, 0) < 0 ? -errno : 0;
}

int fs_strip_setid(struct fs_server *s, struct fs_node *node)
{
	struct stat st;
	int r = fs_node_stat(s, node, &st);

	if (r < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & (S_ISUID | S_ISGID)))
		return r;
	return node_chmod(s, node, st.st_mode & 01777);
}

/*
 * A set-id bit is never put on anything; a directory keeps the group bit that
 * its owner gave it, as programs that set a mode send it back.
 */
static int set_mode(struct fs_server *s, struct fs_node *node, const struct stat *st, uint32_t mode)
{
	mode_t m = mode & 01777;

	if (S_ISDIR(st->st_mode))
		m |= mode & st->st_mode & S_ISGID;
	return node_chmod(s, node, m);
}

/*
 * Everything on a share belongs to the host's user and goes on doing so
 * (docs/decisions/0002-ownership-on-shares.md): a guest's root is told that
 * its chown worked, anyone else that it may not.
 */
static int check_owner(const struct fs_request *rq, const struct stat *st)
{
	const struct fuse_setattr_in *in = rq->arg;

	if (rq->hdr.uid == 0)
		return 0;
	if ((in->valid & FATTR_UID) && in->uid != fs_owner(st->st_uid))
		return -EPERM;
	if ((in->valid & FATTR_GID) && in->gid != fs_owner(st->st_gid))
		return -EPERM;
	return 0;
}

static int set_size(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_setattr_in *in = rq->arg;
	const struct fs_handle *h = NULL;
	AUTO_CLOSE int own = -1;
	int r;

	if (in->size > INT64_MAX)
		return -EFBIG;
	if (rq->node->type != S_IFREG)
		return rq->node->type == S_IFDIR ? -EISDIR : -EINVAL;
	r = fs_strip_setid(s, rq->node);
	if (r < 0)
		return r;
	if (in->valid & FATTR_FH)
		h = fs_handle_find(s, rq->node, in->fh);
	if (!h || !h->may_write) {
		own = fs_reopen(s, rq->node, O_WRONLY);
		if (own < 0)
			return own;
	}
	return ftruncate(own < 0 ? h->fd : own, (off_t)in->size) < 0 ? -errno : 0;
}

static int time_arg(uint32_t valid, uint32_t set, uint32_t now, uint64_t sec, uint32_t nsec,
		    struct timespec *out)
{
	*out = (struct timespec){.tv_nsec = UTIME_OMIT};
	if (valid & now) {
		out->tv_nsec = UTIME_NOW;
	} else if (valid & set) {
		if (nsec > 999999999)
			return -EINVAL;
		*out = (struct timespec){.tv_sec = (time_t)sec, .tv_nsec = nsec};
	}
	return 0;
}

static int set_times(struct fs_server *s, struct fs_node *node, const struct fuse_setattr_in *in)
{
	struct timespec ts[2];
	int fd, r;

	r = time_arg(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec, &ts[0]);
	if (r == 0)
		r = time_arg(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec,
			     &ts[1]);
	fd = r < 0 ? r : fs_node_fd(s, node);
	if (fd < 0)
		return fd;
	return utimensat(fd, "", ts, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int fs_op_setattr(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_setattr_in *in = rq->arg;
	const uint32_t times = FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW;
	struct stat st;
	int r;

	if (rq->node->kind != FS_HOST)
		return -EPERM;
	r = fs_node_stat(s, rq->node, &st);
	if (r == 0)
		r = check_owner(rq, &st);
	if (r == 0 && (in->valid & FATTR_SIZE))
		r = set_size(s, rq);
	if (r == 0 && (in->valid & FATTR_MODE))
		r = set_mode(s, rq->node, &st, in->mode);
	if (r == 0 && (in->valid & times))
		r = set_times(s, rq->node, in);
	return r < 0 ? r : reply_attr(s, rq);
}

int fs_op_readlink(struct fs_server *s, struct fs_request *rq)
{
	ssize_t n;
	int fd;

	if (rq->node->type != S_IFLNK)
		return -EINVAL;
	if (rq->node->kind == FS_INDEXED) {
		fs_indexed_readlink(rq);
		return 0;
	}
	fd = fs_node_fd(s, rq->node);
	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", (char *)s->scratch, PATH_MAX);
	if (n < 0)
		return -errno;
	fs_reply(rq, s->scratch, min_size((size_t)n, rq->room));
	return 0;
}

int fs_op_statfs(struct fs_server *s, struct fs_request *rq)
{
	struct fuse_statfs_out out = {.st = {.bsize = 4096, .frsize = 4096, .namelen = NAME_MAX}};
	struct statfs st;
	int fd;

	if (rq->node->kind == FS_HOST) {
		fd = fs_node_fd(s, rq->node);
		if (fd < 0)
			return fd;
		if (fstatfs(fd, &st) < 0)
			return -errno;
		out.st = (struct fuse_kstatfs){
			.blocks = st.f_blocks,
			.bfree = st.f_bfree,
			.bavail = st.f_bavail,
			.files = st.f_files,
			.ffree = st.f_ffree,
			.bsize = (uint32_t)st.f_bsize,
			.namelen = (uint32_t)st.f_namelen,
			.frsize = (uint32_t)st.f_frsize,
		};
	}
	fs_reply(rq, &out, sizeof(out));
	return 0;
}
