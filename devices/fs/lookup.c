/* SPDX-License-Identifier: MIT */
/* Names to nodes, nodes to attributes, and the two ways a guest gives nodes back. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "devices/fs/dax.h"
#include "devices/fs/indexed.h"

enum {
	LONG_VALID_S = 3600,
	SHORT_VALID_NS = 250 * 1000 * 1000,

	/* Inode numbers: a host file system's index from bit 48 up; this one is ours. */
	INO_BITS = 48,
	INO_SYNTHETIC_DEV = 0x7fff,
};

int fs_check_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0)
		return -ENOENT;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	if (!strcmp(name, ".") || !strcmp(name, "..") || strchr(name, '/'))
		return -EINVAL;
	return 0;
}

int fs_names_fd(struct fs_server *s, struct fs_node *dir)
{
	int r;

	if (dir->kind != FS_HOST)
		return dir->kind == FS_FILE_DIR ? -EPERM : -EROFS;
	r = fs_node_here(s, dir);
	return r < 0 ? r : fs_node_fd(s, dir);
}

/*
 * An O_PATH descriptor of one name in a host directory. A mount point below an
 * export does not exist for the guest.
 */
int fs_open_name(int dir_fd, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

	if (fd >= 0)
		return (int)fd;
	if (errno == EXDEV)
		return -ENOENT;
	return errno == EMFILE ? -ENFILE : -errno;
}

static int lookup_root(struct fs_server *s, const char *name, struct fs_node **out)
{
	/* A free slot's name is empty, which is no name to look up. */
	for (unsigned int i = 0; i < FS_MAX_EXPORTS; i++) {
		if (!strcmp(s->exports[i].name, name)) {
			*out = s->exports[i].top;
			return 0;
		}
	}
	return -ENOENT;
}

int fs_lookup(struct fs_server *s, struct fs_node *dir, const char *name, struct fs_node **out,
	      struct stat *st)
{
	int fd, r;

	if (dir->kind == FS_ROOT) {
		r = lookup_root(s, name, out);
		return r < 0 ? r : fs_node_stat(s, *out, st);
	}
	if (dir->kind == FS_FILE_DIR) {
		if (strcmp(name, FS_FILE_NAME) != 0)
			return -ENOENT;
		*out = dir->export->file;
		return fs_node_stat(s, *out, st);
	}
	if (dir->kind == FS_INDEXED) {
		r = fs_indexed_lookup(s, dir, name, out);
		return r < 0 ? r : fs_node_stat(s, *out, st);
	}
	r = fs_names_fd(s, dir);
	fd = r < 0 ? r : fs_open_name(r, name);
	if (fd < 0)
		return fd;
	if (fstat(fd, st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	r = fs_node_get(s, dir->export, fd, st, out);
	if (r == 0)
		fs_node_found(s, *out, dir, name);
	return r;
}

int fs_reopen_fd(const struct fs_server *s, int fd, int flags, mode_t mode)
{
	char name[16];
	int r;

	snprintf(name, sizeof(name), "%d", fd);
	flags |= O_CLOEXEC | O_NOCTTY;
	/* Reading leaves no trace, where the file is the user's own. */
	r = openat(s->proc_fd, name, flags & O_PATH ? flags : flags | O_NOATIME, mode);
	if (r < 0 && errno == EPERM)
		r = openat(s->proc_fd, name, flags, mode);
	if (r >= 0)
		return r;
	return errno == EMFILE ? -ENFILE : -errno;
}

int fs_reopen(struct fs_server *s, struct fs_node *node, int flags)
{
	int fd, r;

	if (node->kind != FS_HOST)
		return -EISDIR;
	/* Opening a FIFO could block and opening a device could do anything. */
	if (node->type != S_IFREG && node->type != S_IFDIR)
		return -ENXIO;
	r = fs_node_here(s, node);
	fd = r < 0 ? r : fs_node_fd(s, node);
	return fd < 0 ? fd : fs_reopen_fd(s, fd, flags, 0);
}

int fs_readable(struct fs_server *s, struct fs_node *node, int *own)
{
	if (fs_has_host_file(node) && node->kind == FS_INDEXED)
		return fs_node_fd(s, node);
	*own = fs_reopen(s, node, O_RDONLY);
	return *own;
}

int fs_node_stat(struct fs_server *s, struct fs_node *node, struct stat *st)
{
	int fd;

	if (node->kind == FS_HOST) {
		fd = fs_node_fd(s, node);
		if (fd < 0)
			return fd;
		return fstat(fd, st) < 0 ? -errno : 0;
	}
	if (node->kind == FS_INDEXED) {
		fs_indexed_stat(node, st);
		return 0;
	}
	*st = (struct stat){.st_mode = S_IFDIR | 0555, .st_nlink = 2, .st_blksize = 4096};
	st->st_atim.tv_sec = s->born;
	st->st_mtim.tv_sec = s->born;
	st->st_ctim.tv_sec = s->born;
	return 0;
}

/*
 * The guest sees one file system, so files of two host file systems must not
 * share a number: programs take them for hard links, or a directory for its own
 * ancestor. The first file system keeps its numbers, which helps 32-bit programs.
 */
uint64_t fs_guest_ino(struct fs_server *s, dev_t dev, uint64_t ino)
{
	unsigned int i = 0;

	while (i < s->n_devs && s->devs[i] != dev)
		i++;
	if (i == s->n_devs && i < FS_MAX_DEVS)
		s->devs[s->n_devs++] = dev;
	ino = (ino ^ (ino >> INO_BITS)) & ((1ull << INO_BITS) - 1);
	return (uint64_t)i << INO_BITS | ino;
}

/*
 * Whoever the process's user namespace does not know is shown as this one, which is nearly always
 * root (docs/decisions/0010-confinement.md).
 */
uint32_t fs_owner(uint32_t id)
{
	enum { SOMEBODY = 65534 };

	return id == SOMEBODY ? 0 : id;
}

void fs_fill_attr(struct fs_server *s, const struct fs_node *node, const struct stat *st,
		  struct fuse_attr *attr)
{
	mode_t mode = st->st_mode;

	if (node->kind == FS_HOST && !node->export->show_setid && !S_ISDIR(mode))
		mode &= ~(mode_t)(S_ISUID | S_ISGID);
	*attr = (struct fuse_attr){
		.ino = node->kind == FS_HOST || node->kind == FS_INDEXED
			       ? fs_guest_ino(s, st->st_dev, st->st_ino)
			       : (uint64_t)INO_SYNTHETIC_DEV << INO_BITS | node->index,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = fs_owner(st->st_uid),
		.gid = fs_owner(st->st_gid),
		/* A host's device number means nothing, or worse, in the guest. */
		.rdev = 0,
		.blksize = (uint32_t)st->st_blksize,
		.flags = fs_dax_wanted(s, node, st) ? FUSE_ATTR_DAX : 0,
	};
}

static void set_valid(const struct fs_node *node, uint64_t *sec, uint32_t *nsec)
{
	bool lasting = node->export && node->export->cache == FS_CACHE_LONG;

	*sec = lasting ? LONG_VALID_S : 0;
	*nsec = lasting ? 0 : SHORT_VALID_NS;
}

void fs_fill_entry(struct fs_server *s, struct fs_node *node, const struct stat *st,
		   struct fuse_entry_out *out)
{
	*out = (struct fuse_entry_out){.nodeid = fs_node_id(node)};
	set_valid(node, &out->entry_valid, &out->entry_valid_nsec);
	set_valid(node, &out->attr_valid, &out->attr_valid_nsec);
	fs_fill_attr(s, node, st, &out->attr);
	node->lookups++;
}

void fs_fill_attr_out(struct fs_server *s, const struct fs_node *node, const struct stat *st,
		      struct fuse_attr_out *out)
{
	*out = (struct fuse_attr_out){.attr_valid = 0};
	set_valid(node, &out->attr_valid, &out->attr_valid_nsec);
	fs_fill_attr(s, node, st, &out->attr);
}

int fs_op_lookup(struct fs_server *s, struct fs_request *rq)
{
	struct fuse_entry_out out = {.nodeid = 0};
	struct fs_node *node = NULL;
	struct stat st = {0};
	int r = fs_lookup(s, rq->node, rq->name[0], &node, &st);

	if (r == -ENOENT && rq->node->export && rq->node->export->cache == FS_CACHE_LONG) {
		/* Node 0: the name's absence may be remembered. */
		out.entry_valid = LONG_VALID_S;
		fs_reply(rq, &out, sizeof(out));
		return 0;
	}
	if (!node)
		return r;
	fs_fill_entry(s, node, &st, &out);
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

int fs_op_forget(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_forget_in *in = rq->arg;
	struct fs_node *node = fs_node_find(s, rq->hdr.nodeid);

	if (node)
		fs_node_forget(s, node, in->nlookup);
	return FS_NO_REPLY;
}

int fs_op_batch_forget(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_batch_forget_in *in = rq->arg;
	size_t n = min_size(in->count, rq->tail_len / sizeof(struct fuse_forget_one));

	for (size_t i = 0; i < n; i++) {
		struct fuse_forget_one one;
		struct fs_node *node;

		memcpy(&one, rq->tail + i * sizeof(one), sizeof(one));
		node = fs_node_find(s, one.nodeid);
		if (node)
			fs_node_forget(s, node, one.nlookup);
	}
	return FS_NO_REPLY;
}
