/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes: "user." only. The others carry the host's security
 * decisions (capabilities, labels, ACLs), which a guest neither sees nor makes.
 * EOPNOTSUPP is what programs take for "this file system has none" without a
 * word. ENOSYS ends all asking: fs_server_freeze().
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "devices/fs/fs_priv.h"

#define USER_PREFIX "user."

/* The attribute's name, NUL-terminated: the first string of the tail. */
static int take_name(struct fs_request *rq, const char **name)
{
	const uint8_t *end = memchr(rq->tail, '\0', rq->tail_len);

	if (!end)
		return -EINVAL;
	*name = (const char *)rq->tail;
	rq->tail_len -= (size_t)(end + 1 - rq->tail);
	rq->tail = end + 1;
	if (strncmp(*name, USER_PREFIX, strlen(USER_PREFIX)) != 0)
		return -EOPNOTSUPP;
	if (strlen(*name) > XATTR_NAME_MAX)
		return -ERANGE;
	return 0;
}

/*
 * A descriptor that xattr calls accept. Only files and directories have user
 * attributes; the base's files are not asked.
 */
static int open_for_xattr(struct fs_server *s, struct fs_node *node)
{
	int fd;

	if (node->kind != FS_HOST || (node->type != S_IFREG && node->type != S_IFDIR))
		return -EOPNOTSUPP;
	if (node->export->cache == FS_CACHE_LONG)
		return -EOPNOTSUPP;
	fd = fs_reopen(s, node, O_RDONLY);
	/* A file may be ours to write only; setting an attribute needs no more. */
	if (fd == -EACCES && node->type == S_IFREG && node->export->writable)
		fd = fs_reopen(s, node, O_WRONLY);
	return fd;
}

/* Size 0 asks for the size. */
static int reply_sized(struct fs_request *rq, size_t asked, const void *data, size_t len)
{
	struct fuse_getxattr_out out = {.size = (uint32_t)len};

	if (asked == 0) {
		if (rq->room < sizeof(out))
			return -EINVAL;
		fs_reply(rq, &out, sizeof(out));
		return 0;
	}
	if (len > asked || len > rq->room)
		return -ERANGE;
	fs_reply(rq, data, len);
	return 0;
}

int fs_op_getxattr(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_getxattr_in *in = rq->arg;
	AUTO_CLOSE int fd = -1;
	const char *name;
	ssize_t n;
	int r = take_name(rq, &name);

	if (r < 0)
		return r;
	fd = open_for_xattr(s, rq->node);
	if (fd < 0)
		return fd;
	n = fgetxattr(fd, name, s->scratch, FS_SCRATCH);
	if (n < 0)
		return -errno;
	return reply_sized(rq, in->size, s->scratch, (size_t)n);
}

int fs_op_listxattr(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_getxattr_in *in = rq->arg;
	AUTO_CLOSE int fd = -1;
	char *list = (char *)s->scratch;
	size_t kept = 0;
	ssize_t n;

	fd = open_for_xattr(s, rq->node);
	if (fd < 0)
		return fd;
	n = flistxattr(fd, list, FS_SCRATCH);
	if (n < 0)
		return -errno;
	for (size_t off = 0, len; off < (size_t)n; off += len) {
		len = strnlen(list + off, (size_t)n - off) + 1;
		if (strncmp(list + off, USER_PREFIX, strlen(USER_PREFIX)) != 0)
			continue;
		memmove(list + kept, list + off, len);
		kept += len;
	}
	return reply_sized(rq, in->size, list, kept);
}

int fs_op_setxattr(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_setxattr_in *in = rq->arg; /* its first FUSE_COMPAT_SETXATTR_IN_SIZE */
	AUTO_CLOSE int fd = -1;
	const char *name;
	int r = take_name(rq, &name);

	if (r < 0)
		return r;
	if (in->size > rq->tail_len || (in->flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
		return -EINVAL;
	fd = open_for_xattr(s, rq->node);
	if (fd < 0)
		return fd;
	return fsetxattr(fd, name, rq->tail, in->size, (int)in->flags) < 0 ? -errno : 0;
}

int fs_op_removexattr(struct fs_server *s, struct fs_request *rq)
{
	AUTO_CLOSE int fd = -1;
	const char *name;
	int r = take_name(rq, &name);

	if (r < 0)
		return r;
	fd = open_for_xattr(s, rq->node);
	if (fd < 0)
		return fd;
	return fremovexattr(fd, name) < 0 ? -errno : 0;
}
