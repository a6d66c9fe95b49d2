/* SPDX-License-Identifier: MIT */
/*
 * DOC: locks
 *
 * A lock a guest takes in a writable export holds against the host's programs
 * and against other sandboxes, so the host's kernel keeps it. flock() locks sit
 * on the open file, as in the guest. POSIX locks belong to an owner (a guest's
 * process), and one owner's requests must not conflict with each other: each
 * pair of owner and file has an open file description of its own with "open
 * file description" locks on it.
 *
 * A read-only export must not be kept from its owner by a guest's locks. There
 * the locks are taken on a memfd that stands for the file: they work between
 * the guest's processes and the host does not feel them.
 *
 * F_SETLKW must not block the server. What cannot be had at once waits in a
 * table: it is tried again whenever the guest gives a lock up, and by a timer
 * for what the host gives up.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "devices/fs/fs_priv.h"

enum { RETRY_MIN_MS = 2, RETRY_MAX_MS = 100 };

/* A new open file description to put locks on. */
static int open_lockable(struct fs_server *s, struct fs_node *node)
{
	int fd, r;

	if (node->export->writable) {
		fd = fs_reopen(s, node, O_RDWR);
		/* Ours to read only: enough for read locks, and for flock(). */
		return fd == -EACCES ? fs_reopen(s, node, O_RDONLY) : fd;
	}
	if (node->lock_fd < 0) {
		r = fs_fd_take(s);
		if (r < 0)
			return r;
		node->lock_fd = memfd_create("sandcastle-locks", MFD_CLOEXEC);
		if (node->lock_fd < 0) {
			s->n_fds--;
			return -ENFILE;
		}
	}
	return fs_reopen_fd(s, node->lock_fd, O_RDWR, 0);
}

static struct fs_lock *lock_find(struct fs_server *s, const struct fs_node *node, uint64_t owner)
{
	for (unsigned int i = 0; i < s->top_lock; i++)
		if (s->locks[i].node == node && s->locks[i].owner == owner)
			return &s->locks[i];
	return NULL;
}

static int lock_new(struct fs_server *s, struct fs_node *node, uint64_t owner, struct fs_lock **out)
{
	unsigned int i = 0;
	int fd;

	while (i < s->top_lock && s->locks[i].node)
		i++;
	if (i == FS_MAX_LOCKS || fs_fd_take(s) < 0)
		return -ENOLCK;
	fd = open_lockable(s, node);
	if (fd < 0) {
		s->n_fds--;
		return fd == -ENFILE ? -ENOLCK : fd;
	}
	if (i == s->top_lock)
		s->top_lock++;
	s->locks[i] = (struct fs_lock){.node = node, .owner = owner, .fd = fd};
	node->refs++;
	*out = &s->locks[i];
	return 0;
}

static void lock_free(struct fs_server *s, struct fs_lock *lock)
{
	struct fs_node *node = lock->node;

	fs_fd_close(s, lock->fd);
	lock->node = NULL;
	while (s->top_lock > 0 && !s->locks[s->top_lock - 1].node)
		s->top_lock--;
	s->lock_freed = true;
	fs_node_put(s, node);
}

/* The request's range for the host's kernel. */
static int to_flock(const struct fuse_file_lock *lk, struct flock *fl)
{
	if (lk->start > INT64_MAX || lk->start > lk->end)
		return -EINVAL;
	if (lk->type != F_RDLCK && lk->type != F_WRLCK && lk->type != F_UNLCK)
		return -EINVAL;
	*fl = (struct flock){
		.l_type = (short)lk->type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)lk->start,
		/* 0: to the end, however far that will be */
		.l_len = lk->end >= INT64_MAX ? 0 : (off_t)(lk->end - lk->start + 1),
	};
	return 0;
}

static int set_posix(struct fs_server *s, struct fs_node *node, const struct fuse_lk_in *in)
{
	struct fs_lock *lock = lock_find(s, node, in->owner);
	struct flock fl;
	int r = to_flock(&in->lk, &fl);

	if (r < 0)
		return r;
	if (!lock) {
		if (fl.l_type == F_UNLCK)
			return 0;
		r = lock_new(s, node, in->owner, &lock);
		if (r < 0)
			return r;
	}
	lock->fh = in->fh;
	if (fl.l_type == F_UNLCK && fl.l_start == 0 && fl.l_len == 0) {
		lock_free(s, lock);
		return 0;
	}
	if (fcntl(lock->fd, F_OFD_SETLK, &fl) < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	/* Also a write lock turned into a read lock lets others in. */
	s->lock_freed = true;
	return 0;
}

static int set_flock(struct fs_server *s, struct fs_node *node, struct fs_handle *h, uint32_t type)
{
	int fd = h->fd, op;

	if (type == F_UNLCK)
		op = LOCK_UN;
	else if (type == F_RDLCK || type == F_WRLCK)
		op = (type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB;
	else
		return -EINVAL;
	if (!node->export->writable) {
		if (h->lock_fd < 0) {
			if (op == LOCK_UN)
				return 0;
			if (fs_fd_take(s) < 0)
				return -ENOLCK;
			h->lock_fd = open_lockable(s, node);
			if (h->lock_fd < 0) {
				s->n_fds--;
				h->lock_fd = -1;
				return -ENOLCK;
			}
		}
		fd = h->lock_fd;
	}
	if (flock(fd, op) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	s->lock_freed = true;
	return 0;
}

static int set_lock(struct fs_server *s, struct fs_node *node, const struct fuse_lk_in *in)
{
	struct fs_handle *h = fs_handle_find(s, node, in->fh);

	if (!h || node->type != S_IFREG)
		return -EBADF;
	if (in->lk_flags & FUSE_LK_FLOCK)
		return set_flock(s, node, h, in->lk.type);
	return set_posix(s, node, in);
}

int fs_op_getlk(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_lk_in *in = rq->arg;
	struct fuse_lk_out out = {.lk = {.type = F_UNLCK}};
	struct fs_handle *h = fs_handle_find(s, rq->node, in->fh);
	const struct fs_lock *own = lock_find(s, rq->node, in->owner);
	struct flock fl;
	int fd, r;

	if (!h || rq->node->type != S_IFREG)
		return -EBADF;
	r = to_flock(&in->lk, &fl);
	if (r < 0 || fl.l_type == F_UNLCK)
		return -EINVAL;
	/* Asked through the owner's own descriptor, its own locks do not count. */
	fd = own ? own->fd : rq->node->export->writable ? h->fd : rq->node->lock_fd;
	if (fd >= 0) {
		if (fcntl(fd, F_OFD_GETLK, &fl) < 0)
			return -errno;
		out.lk.type = (uint32_t)fl.l_type;
	}
	if (out.lk.type != F_UNLCK) {
		/* The holder's pid is the host's business. */
		out.lk.start = (uint64_t)fl.l_start;
		out.lk.end = fl.l_len ? (uint64_t)(fl.l_start + fl.l_len - 1) : INT64_MAX;
	}
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

int fs_op_setlk(struct fs_server *s, struct fs_request *rq)
{
	return set_lock(s, rq->node, rq->arg);
}

int fs_op_setlkw(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_lk_in *in = rq->arg;
	struct fs_waiting *w = s->waiting;
	const size_t hdr = sizeof(struct fuse_out_header);
	int r = set_lock(s, rq->node, in);

	if (r != -EAGAIN)
		return r;
	while (w < s->waiting + FS_MAX_WAITING && w->used)
		w++;
	if (w == s->waiting + FS_MAX_WAITING)
		return -ENOLCK;
	*w = (struct fs_waiting){
		.queue = rq->queue,
		.head = rq->chain->head,
		.unique = rq->hdr.unique,
		.nodeid = rq->hdr.nodeid,
		.in = *in,
	};
	w->n_reply = chain_iov_wr(rq->chain, 0, hdr, w->reply, ARRAY_SIZE(w->reply));
	/* The room is there; a driver that cuts it into more than two pieces does not wait. */
	if (w->reply[0].iov_len + w->reply[1].iov_len != hdr)
		return -ENOLCK;
	w->used = true;
	s->n_waiting++;
	s->retry_ms = RETRY_MIN_MS;
	return FS_WAITS;
}

static void answer(const struct fs_waiting *w, int error)
{
	struct fuse_out_header out = {.len = sizeof(out), .error = error, .unique = w->unique};
	const uint8_t *p = (const uint8_t *)&out;

	for (unsigned int i = 0; i < w->n_reply; i++) {
		memcpy(w->reply[i].iov_base, p, w->reply[i].iov_len);
		p += w->reply[i].iov_len;
	}
}

bool fs_locks_done(struct fs_server *s, unsigned int *queue, uint16_t *head, uint32_t *written)
{
	for (unsigned int i = 0; s->n_waiting && i < FS_MAX_WAITING; i++) {
		struct fs_waiting *w = &s->waiting[i];
		struct fs_node *node;
		int r;

		if (!w->used)
			continue;
		/* The guest may have closed the file or forgotten the node meanwhile. */
		node = fs_node_find(s, w->nodeid);
		r = node ? set_lock(s, node, &w->in) : -ESTALE;
		if (r == -EAGAIN)
			continue;
		answer(w, r);
		w->used = false;
		s->n_waiting--;
		*queue = w->queue;
		*head = w->head;
		*written = sizeof(struct fuse_out_header);
		return true;
	}
	s->lock_freed = false;
	return false;
}

unsigned int fs_locks_retry_ms(struct fs_server *s)
{
	unsigned int ms = s->retry_ms;

	if (!s->n_waiting)
		return 0;
	s->retry_ms = ms * 2 < RETRY_MAX_MS ? ms * 2 : RETRY_MAX_MS;
	return ms;
}

void fs_locks_drop_owner(struct fs_server *s, const struct fs_node *node, uint64_t owner)
{
	struct fs_lock *lock = lock_find(s, node, owner);

	if (lock)
		lock_free(s, lock);
}

void fs_locks_drop_handle(struct fs_server *s, uint64_t fh)
{
	/* Linux sends FLUSH first, except for files opened with FOPEN_NOFLUSH. */
	for (unsigned int i = 0; i < s->top_lock; i++)
		if (s->locks[i].node && s->locks[i].fh == fh)
			lock_free(s, &s->locks[i]);
	s->lock_freed = true;
}

void fs_locks_drop_export(struct fs_server *s, const struct fs_export *export)
{
	for (unsigned int i = 0; i < s->top_lock; i++)
		if (s->locks[i].node && s->locks[i].node->export == export)
			lock_free(s, &s->locks[i]);
}

void fs_locks_drop_all(struct fs_server *s)
{
	memset(s->waiting, 0, sizeof(s->waiting));
	s->n_waiting = 0;
	for (unsigned int i = 0; i < s->top_lock; i++)
		if (s->locks[i].node)
			lock_free(s, &s->locks[i]);
}
