/* SPDX-License-Identifier: MIT */
/*
 * DOC: more files than descriptors
 *
 * A guest that walks /usr knows more files than a process may have descriptors,
 * and its kernel forgets none of them until memory is short. So a node's
 * descriptor is a cache: when the budget is used up, the one that was not used
 * for longest (by a clock that sweeps over the table) is closed, and opened
 * again when the node is next used, by the name it was last found under, in the
 * directory it was found in.
 *
 * While it is closed nothing pins the inode, so it is the same file only if
 * device, inode number, type and time of birth are the same; else the node is
 * dead, the guest gets ESTALE, and its kernel looks the path up anew. What is
 * open, locked or a top of an export keeps its descriptor.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

#include "devices/fs/dax.h"
#include "devices/fs/indexed.h"

/* A path of more components is not found again. */
enum { MAX_DEPTH = 128 };

uint32_t fs_fd_budget(void)
{
	struct rlimit lim;
	rlim_t n;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return FS_SPARE_FDS;
	n = lim.rlim_cur;
	n = (n > 2 * (rlim_t)FS_SPARE_FDS ? n - FS_SPARE_FDS : n / 2) / FS_SERVERS;
	return n < FS_MAX_FDS ? (uint32_t)n : FS_MAX_FDS;
}

/* All zero where the file system does not know it: then the other marks have to do. */
static int birth_time(int fd, struct statx_timestamp *out)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BTIME, &stx) < 0)
		return -errno;
	*out = (struct statx_timestamp){0};
	if (stx.stx_mask & STATX_BTIME)
		*out = stx.stx_btime;
	return 0;
}

static bool may_evict(const struct fs_server *s, const struct fs_node *node)
{
	return node->fd >= 0 && !node->pinned && !node->refs &&
	       (node->name || node->kind == FS_INDEXED) && node->last_request != s->n_requests;
}

/* Closes one node's descriptor; -ENFILE if none can be spared. */
static int evict(struct fs_server *s)
{
	/* Two rounds: the first may find every node used since the last sweep. */
	for (uint64_t steps = 2ull * s->top_node; steps; steps--) {
		struct fs_node *node;

		s->clock_hand = s->clock_hand + 1 < s->top_node ? s->clock_hand + 1 : 1;
		node = &s->nodes[s->clock_hand];
		if (!may_evict(s, node))
			continue;
		if (node->recent) {
			node->recent = false;
			continue;
		}
		if (node->kind == FS_HOST && birth_time(node->fd, &node->born) < 0)
			continue;
		fs_fd_close(s, node->fd);
		node->fd = -1;
		return 0;
	}
	return -ENFILE;
}

int fs_fd_take(struct fs_server *s)
{
	if (s->n_fds >= s->max_fds && evict(s) < 0)
		return -ENFILE;
	s->n_fds++;
	return 0;
}

void fs_fd_close(struct fs_server *s, int fd)
{
	if (fd < 0)
		return;
	assert(s->n_fds > 0);
	s->n_fds--;
	close(fd);
}

void fs_node_found(const struct fs_server *s, struct fs_node *node, const struct fs_node *dir,
		   const char *name)
{
	if (node->kind != FS_HOST || node->pinned)
		return;
	node->parent = fs_node_id(dir);
	node->seen_ms = s->now_ms;
	if (node->name && !strcmp(node->name, name))
		return;
	free(node->name);
	/* Without a name it keeps its descriptor. */
	node->name = strdup(name);
}

bool fs_node_is(const struct fs_node *node, int fd, const struct stat *st)
{
	struct statx_timestamp born = {0};

	if (node->ino != st->st_ino || node->dev != st->st_dev)
		return false;
	/* An open descriptor pins the inode, so that its number is its own. */
	if (node->fd >= 0)
		return true;
	return node->type == (st->st_mode & S_IFMT) && birth_time(fd, &born) == 0 &&
	       born.tv_sec == node->born.tv_sec && born.tv_nsec == node->born.tv_nsec;
}

static int node_fd(struct fs_server *s, struct fs_node *node, unsigned int depth)
{
	struct fs_node *dir;
	struct stat st;
	int fd, r;

	node->last_request = s->n_requests;
	node->recent = true;
	if (node->fd >= 0)
		return node->fd;
	dir = node->dead ? NULL : fs_node_find(s, node->parent);
	if (!dir || dir->kind != FS_HOST || dir->type != S_IFDIR || depth == MAX_DEPTH)
		return -ESTALE;
	r = node_fd(s, dir, depth + 1);
	if (r < 0)
		return r;
	fd = fs_open_name(r, node->name);
	if (fd < 0)
		return fd == -ENFILE ? fd : -ESTALE;
	r = fstat(fd, &st) < 0 || !fs_node_is(node, fd, &st) ? -ESTALE : fs_fd_take(s);
	if (r < 0) {
		close(fd);
		return r;
	}
	node->fd = fd;
	return fd;
}

/* True if where the node is has to be looked at again. The top of an export is where it is. */
static bool is_doubtful(const struct fs_server *s, const struct fs_node *node)
{
	return !node->pinned && node->name && s->now_ms - node->seen_ms >= FS_TRUST_MS;
}

/* 0 if the directory has the node under its name. */
static int check_name_of(struct fs_server *s, struct fs_node *node, struct fs_node *dir)
{
	struct stat st;
	int fd, r;

	if (!dir || dir->kind != FS_HOST || dir->type != S_IFDIR)
		return -ESTALE;
	r = fs_node_fd(s, dir);
	fd = r < 0 ? r : fs_open_name(r, node->name);
	if (fd < 0)
		return fd == -ENFILE ? fd : -ESTALE;
	r = fstat(fd, &st) == 0 && fs_node_is(node, fd, &st) ? 0 : -ESTALE;
	close(fd);
	return r;
}

int fs_node_here(struct fs_server *s, struct fs_node *node)
{
	struct fs_node *at = node;

	if (node->kind != FS_HOST)
		return 0;
	/* From the bottom up: the order does not matter, each has to be in the one above. */
	for (unsigned int depth = 0; is_doubtful(s, at); depth++) {
		struct fs_node *dir = fs_node_find(s, at->parent);
		int r = depth < FS_MAX_DEPTH ? check_name_of(s, at, dir) : -ESTALE;

		if (r < 0)
			return r;
		at = dir;
	}
	for (at = node; is_doubtful(s, at); at = fs_node_find(s, at->parent))
		at->seen_ms = s->now_ms;
	return 0;
}

/* One that was opened stays, so that what the guest has begun to read goes on. */
static int indexed_fd(struct fs_server *s, struct fs_node *node)
{
	int fd, r;

	node->last_request = s->n_requests;
	node->recent = true;
	if (node->fd >= 0) {
		r = fs_indexed_check_again(s, node);
		if (r == 0)
			return node->fd;
		fs_indexed_tell_stale(s, node);
		fs_dax_drop(s, node);
		return r;
	}
	fd = fs_indexed_open(s, node);
	if (fd < 0)
		return fd;
	r = fs_fd_take(s);
	if (r < 0) {
		close(fd);
		return r;
	}
	node->fd = fd;
	return fd;
}

int fs_node_fd(struct fs_server *s, struct fs_node *node)
{
	assert(node->kind == FS_HOST || fs_has_host_file(node));
	return node->kind == FS_INDEXED ? indexed_fd(s, node) : node_fd(s, node, 0);
}
