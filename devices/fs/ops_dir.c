/* SPDX-License-Identifier: MIT */
/*
 * What changes a directory. Each call of the host's kernel gets a pinned
 * directory and one component, and none of them follows a link there.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>

#include "devices/fs/fs_priv.h"

/* The guest's own kernel applied its umask; the process's is 0 (fs.h). */
static mode_t creation_mode(uint32_t mode, uint32_t umask)
{
	return mode & 01777 & ~umask;
}

/* Looks up what was just made and replies with it. */
static int reply_entry(struct fs_server *s, struct fs_request *rq)
{
	struct fuse_entry_out out;
	struct fs_node *node;
	struct stat st;
	int r = fs_lookup(s, rq->node, rq->name[0], &node, &st);

	if (r < 0)
		return r;
	fs_fill_entry(s, node, &st, &out);
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

int fs_op_mknod(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_mknod_in *in = rq->arg;
	mode_t type = in->mode & S_IFMT;
	int fd = fs_names_fd(s, rq->node);

	if (fd < 0)
		return fd;
	/* A device node on the host is root's business, whoever we run as. */
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EPERM;
	if (mknodat(fd, rq->name[0], type | creation_mode(in->mode, in->umask), 0) < 0)
		return -errno;
	return reply_entry(s, rq);
}

int fs_op_mkdir(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_mkdir_in *in = rq->arg;
	int fd = fs_names_fd(s, rq->node);

	if (fd < 0)
		return fd;
	if (mkdirat(fd, rq->name[0], creation_mode(in->mode, in->umask)) < 0)
		return -errno;
	return reply_entry(s, rq);
}

int fs_op_symlink(struct fs_server *s, struct fs_request *rq)
{
	const char *target = (const char *)rq->tail;
	int fd = fs_names_fd(s, rq->node);

	if (fd < 0)
		return fd;
	if (!memchr(rq->tail, '\0', rq->tail_len))
		return -EINVAL;
	if (symlinkat(target, fd, rq->name[0]) < 0)
		return -errno;
	return reply_entry(s, rq);
}

static int remove_name(struct fs_server *s, struct fs_request *rq, int flags)
{
	int fd = fs_names_fd(s, rq->node);

	/* The one name there stays, as a mount point would. */
	if (rq->node->kind == FS_FILE_DIR)
		return strcmp(rq->name[0], FS_FILE_NAME) != 0 ? -ENOENT : -EBUSY;
	if (fd < 0)
		return fd;
	return unlinkat(fd, rq->name[0], flags) < 0 ? -errno : 0;
}

int fs_op_unlink(struct fs_server *s, struct fs_request *rq)
{
	return remove_name(s, rq, 0);
}

int fs_op_rmdir(struct fs_server *s, struct fs_request *rq)
{
	return remove_name(s, rq, AT_REMOVEDIR);
}

/* What is there now is found under this name from now on. */
static void note_place(struct fs_server *s, struct fs_node *dir, const char *name)
{
	struct fs_node *node;
	struct stat st;

	if (fs_lookup(s, dir, name, &node, &st) == 0)
		fs_node_forget(s, node, 0);
}

static int do_rename(struct fs_server *s, struct fs_request *rq, uint64_t newdir,
		     unsigned int flags)
{
	struct fs_node *to = fs_node_find(s, newdir);
	int from_fd, to_fd;

	if (!to)
		return -ESTALE;
	if (to->type != S_IFDIR)
		return -ENOTDIR;
	/* A whiteout is a device node. */
	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if (!to->export || !to->export->writable)
		return -EROFS;
	if (to->export != rq->node->export)
		return -EXDEV;
	if (rq->node->kind == FS_FILE_DIR)
		return -EBUSY;
	from_fd = fs_names_fd(s, rq->node);
	to_fd = from_fd < 0 ? from_fd : fs_names_fd(s, to);
	if (to_fd < 0)
		return to_fd;
	if (renameat2(from_fd, rq->name[0], to_fd, rq->name[1], flags) < 0)
		return -errno;
	note_place(s, to, rq->name[1]);
	if (flags & RENAME_EXCHANGE)
		note_place(s, rq->node, rq->name[0]);
	return 0;
}

int fs_op_rename(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_rename_in *in = rq->arg;

	return do_rename(s, rq, in->newdir, 0);
}

int fs_op_rename2(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_rename2_in *in = rq->arg;

	return do_rename(s, rq, in->newdir, in->flags);
}

int fs_op_link(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_link_in *in = rq->arg;
	struct fs_node *old = fs_node_find(s, in->oldnodeid);
	int dir_fd, old_fd, r;
	char name[16];

	if (!old)
		return -ESTALE;
	if (old->type == S_IFDIR)
		return -EPERM;
	if (old->export != rq->node->export)
		return -EXDEV;
	r = fs_node_here(s, old);
	dir_fd = r < 0 ? r : fs_names_fd(s, rq->node);
	old_fd = dir_fd < 0 ? dir_fd : fs_node_fd(s, old);
	if (old_fd < 0)
		return old_fd;
	snprintf(name, sizeof(name), "%d", old_fd);
	if (linkat(s->proc_fd, name, dir_fd, rq->name[0], AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return reply_entry(s, rq);
}
