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
 * the server keeps them itself, and the host hears of none.
 *
 * A range costs 192 bytes of the host's kernel, which no limit of the process
 * counts, and the kernel walks over a file's ranges for each request. So all ranges are
 * known here (ranges.c does the arithmetic), and one owner has at most
 * FS_MAX_OWNER_RANGES of a file, all of them FS_MAX_RANGES; what is above gets ENOLCK.
 *
 * F_SETLKW must not block the server. What cannot be had at once waits in a
 * table: it is tried again whenever the guest gives a lock up, and by a timer
 * for what the host gives up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "devices/fs/fs_priv.h"

enum { RETRY_MIN_MS = 2, RETRY_MAX_MS = 100 };

static struct fs_lock *lock_find(struct fs_server *s, const struct fs_node *node, uint64_t owner)
{
	for (unsigned int i = 0; i < s->top_lock; i++)
		if (s->locks[i].node == node && s->locks[i].owner == owner)
			return &s->locks[i];
	return NULL;
}

/* A new open file description in a writable export, to put locks on. */
static int open_lockable(struct fs_server *s, struct fs_node *node)
{
	int fd;

	if (fs_fd_take(s) < 0)
		return -ENOLCK;
	/* The guest has it open: what became of its name does not matter. */
	fd = fs_node_fd(s, node);
	if (fd >= 0)
		fd = fs_reopen_fd(s, fd, O_RDWR, 0);
	/* Ours to read only: enough for read locks, and for flock(). */
	if (fd == -EACCES)
		fd = fs_reopen_fd(s, node->fd, O_RDONLY, 0);
	if (fd < 0)
		s->n_fds--;
	return fd == -ENFILE ? -ENOLCK : fd;
}

static int lock_new(struct fs_server *s, struct fs_node *node, uint64_t owner, struct fs_lock **out)
{
	unsigned int i = 0;
	int fd = -1;

	while (i < s->top_lock && s->locks[i].node)
		i++;
	if (i == FS_MAX_LOCKS)
		return -ENOLCK;
	if (node->export->writable) {
		fd = open_lockable(s, node);
		if (fd < 0)
			return fd;
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
	if (lock->ranges.n > 0)
		s->lock_freed = true;
	s->n_ranges -= lock->ranges.n;
	free(lock->ranges.at);
	lock->ranges = (struct fs_ranges){.n = 0};
	lock->node = NULL;
	while (s->top_lock > 0 && !s->locks[s->top_lock - 1].node)
		s->top_lock--;
	fs_node_put(s, node);
}

static int to_range(const struct fuse_file_lock *lk, struct fs_range *out)
{
	if (lk->start > INT64_MAX || lk->start > lk->end)
		return -EINVAL;
	if (lk->type != F_RDLCK && lk->type != F_WRLCK && lk->type != F_UNLCK)
		return -EINVAL;
	*out = (struct fs_range){lk->start, min_u64(lk->end, INT64_MAX), lk->type};
	return 0;
}

/* The range for the host's kernel. */
static struct flock to_flock(const struct fs_range *range)
{
	return (struct flock){
		.l_type = (short)range->type,
		.l_whence = SEEK_SET,
		.l_start = (off_t)range->start,
		/* 0: to the end, however far that will be */
		.l_len = range->end == INT64_MAX ? 0 : (off_t)(range->end - range->start + 1),
	};
}

/* Another owner's range on the node that excludes this one; NULL: none. */
static const struct fs_range *find_conflict(const struct fs_server *s, const struct fs_node *node,
					    uint64_t owner, const struct fs_range *range)
{
	for (unsigned int i = 0; i < s->top_lock; i++) {
		const struct fs_lock *lock = &s->locks[i];
		const struct fs_range *found;

		if (lock->node != node || lock->owner == owner)
			continue;
		found = fs_ranges_conflict(&lock->ranges, range);
		if (found)
			return found;
	}
	return NULL;
}

/* Asks whoever else there may be: the host, or the guest's other owners. */
static int claim(const struct fs_server *s, const struct fs_lock *lock,
		 const struct fs_range *range)
{
	struct flock fl = to_flock(range);

	if (lock->fd < 0)
		return range->type != F_UNLCK && find_conflict(s, lock->node, lock->owner, range)
			       ? -EAGAIN
			       : 0;
	if (fcntl(lock->fd, F_OFD_SETLK, &fl) < 0)
		return errno == EACCES ? -EAGAIN : -errno;
	return 0;
}

/* Puts the range into what the pair has. Its limits first: what is refused has changed nothing. */
static int change_ranges(struct fs_server *s, struct fs_lock *lock, const struct fs_range *range)
{
	struct fs_range changed[FS_MAX_OWNER_RANGES + 2];
	const unsigned int n = fs_ranges_apply(&lock->ranges, range, changed);
	const unsigned int others = s->n_ranges - lock->ranges.n;
	int r = 0;

	if (n > lock->ranges.n && (n > FS_MAX_OWNER_RANGES || others + n > FS_MAX_RANGES))
		return -ENOLCK;
	r = fs_ranges_reserve(&lock->ranges, n);
	if (r == 0)
		r = claim(s, lock, range);
	if (r < 0)
		return r;
	memcpy(lock->ranges.at, changed, n * sizeof(changed[0]));
	lock->ranges.n = n;
	s->n_ranges = others + n;
	return 0;
}

static int set_posix(struct fs_server *s, struct fs_node *node, const struct fuse_lk_in *in)
{
	struct fs_lock *lock = lock_find(s, node, in->owner);
	struct fs_range range;
	int r = to_range(&in->lk, &range);

	if (r < 0)
		return r;
	if (!lock) {
		if (range.type == F_UNLCK)
			return 0;
		r = lock_new(s, node, in->owner, &lock);
		if (r < 0)
			return r;
	}
	lock->fh = in->fh;
	r = change_ranges(s, lock, &range);
	/* Also a write lock turned into a read lock lets others in. */
	if (r == 0)
		s->lock_freed = true;
	if (lock->ranges.n == 0)
		lock_free(s, lock);
	return r;
}

/* flock() on a file of a read-only export: how many handles share it, or that one has it alone. */
static int set_own_flock(struct fs_node *node, struct fs_handle *h, uint32_t type)
{
	const bool shares = h->flock == F_RDLCK, alone = h->flock == F_WRLCK;

	if (type != F_UNLCK && node->flock_alone && !alone)
		return -EAGAIN;
	if (type == F_WRLCK && node->n_flock_shared > (shares ? 1u : 0u))
		return -EAGAIN;
	node->n_flock_shared += (type == F_RDLCK ? 1u : 0u) - (shares ? 1u : 0u);
	if (type == F_WRLCK || alone)
		node->flock_alone = type == F_WRLCK;
	h->flock = (short)type;
	return 0;
}

void fs_flock_drop(struct fs_handle *h)
{
	(void)set_own_flock(h->node, h, F_UNLCK);
}

static int set_flock(struct fs_server *s, struct fs_node *node, struct fs_handle *h, uint32_t type)
{
	int op, r;

	if (type == F_UNLCK)
		op = LOCK_UN;
	else if (type == F_RDLCK || type == F_WRLCK)
		op = (type == F_RDLCK ? LOCK_SH : LOCK_EX) | LOCK_NB;
	else
		return -EINVAL;
	if (!node->export->writable)
		r = set_own_flock(node, h, type);
	else if (flock(h->fd, op) == 0)
		r = 0;
	else
		r = errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (r == 0)
		s->lock_freed = true;
	return r;
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

/* What the host's kernel has against the range; F_UNLCK: nothing. */
static int ask_host(const struct fs_handle *h, const struct fs_lock *own, struct fs_range *range)
{
	struct flock fl = to_flock(range);

	/* Asked through the owner's own descriptor, its own locks do not count. */
	if (fcntl(own ? own->fd : h->fd, F_OFD_GETLK, &fl) < 0)
		return -errno;
	range->type = (uint32_t)fl.l_type;
	range->start = (uint64_t)fl.l_start;
	range->end = fl.l_len ? (uint64_t)(fl.l_start + fl.l_len - 1) : INT64_MAX;
	return 0;
}

int fs_op_getlk(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_lk_in *in = rq->arg;
	struct fuse_lk_out out = {.lk = {.type = F_UNLCK}};
	const struct fs_handle *h = fs_handle_find(s, rq->node, in->fh);
	const struct fs_range *found;
	struct fs_range range;
	int r;

	if (!h || rq->node->type != S_IFREG)
		return -EBADF;
	r = to_range(&in->lk, &range);
	if (r < 0 || range.type == F_UNLCK)
		return -EINVAL;
	if (rq->node->export->writable) {
		r = ask_host(h, lock_find(s, rq->node, in->owner), &range);
		if (r < 0)
			return r;
	} else {
		found = find_conflict(s, rq->node, in->owner, &range);
		range = found ? *found : (struct fs_range){.type = F_UNLCK};
	}
	if (range.type != F_UNLCK)
		/* The holder's pid is the host's business. */
		out.lk = (struct fuse_file_lock){
			.start = range.start, .end = range.end, .type = range.type};
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
