/* SPDX-License-Identifier: MIT */
/* Directories as lists. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <string.h>

#include "devices/fs/indexed.h"

enum { LIST_FULL = 1 };

/* What one READDIR or READDIRPLUS has put into its reply. */
struct listing {
	struct fs_server *s;
	struct fs_request *rq;
	size_t size; /* bytes the reply may have */
	bool plus;
};

int fs_op_opendir(struct fs_server *s, struct fs_request *rq)
{
	struct fuse_open_out out = {.fh = 0};
	int fd = -1;
	int r;

	if (rq->node->kind == FS_HOST) {
		fd = fs_reopen(s, rq->node, O_RDONLY | O_DIRECTORY);
		if (fd < 0)
			return fd;
	}
	r = fs_handle_new(s, rq->node, fd, O_RDONLY, &out.fh);
	if (r < 0)
		return r;
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

static size_t entry_size(const struct listing *l, size_t name_len)
{
	return FUSE_REC_ALIGN((l->plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET) +
			      name_len);
}

static bool fits(const struct listing *l, size_t name_len)
{
	return entry_size(l, name_len) <= l->size - l->rq->out_len;
}

/* There is room. */
static void put_entry(struct listing *l, const struct fuse_entry_out *entry, uint64_t ino,
		      uint64_t next_off, uint32_t type, const char *name)
{
	alignas(8) uint8_t buf[sizeof(struct fuse_direntplus) + NAME_MAX + 8] = {0};
	size_t len = strlen(name);
	struct fuse_dirent ent = {
		.ino = ino, .off = next_off, .namelen = (uint32_t)len, .type = type};
	uint8_t *p = buf;

	if (l->plus) {
		memcpy(p, entry, sizeof(*entry));
		p += sizeof(*entry);
	}
	memcpy(p, &ent, FUSE_NAME_OFFSET);
	/* The protocol counts its names. NOLINTNEXTLINE(bugprone-not-null-terminated-result) */
	memcpy(p + FUSE_NAME_OFFSET, name, len);
	fs_reply(l->rq, buf, entry_size(l, len));
}

/* Entries of our own directories: each child's node exists for good. */
static int put_pinned(struct listing *l, uint64_t next_off, const char *name, struct fs_node *child)
{
	struct fuse_entry_out entry = {.nodeid = 0};
	struct fuse_attr attr;
	struct stat st;
	int r;

	if (!fits(l, strlen(name)))
		return LIST_FULL;
	r = fs_node_stat(l->s, child, &st);
	if (r < 0)
		return r;
	fs_fill_attr(l->s, child, &st, &attr);
	/* "." and ".." are not looked up. */
	if (l->plus && name[0] != '.')
		fs_fill_entry(l->s, child, &st, &entry);
	put_entry(l, &entry, attr.ino, next_off, child->type >> 12, name);
	return 0;
}

/* Offsets count entries here: ".", "..", then the children; of the root the slots for exports. */
static int list_synthetic(struct listing *l, uint64_t off)
{
	struct fs_node *dir = l->rq->node;
	struct fs_server *s = l->s;
	unsigned int n = dir->kind == FS_ROOT ? FS_MAX_EXPORTS : 1;
	int r = 0;

	if (r == 0 && off == 0)
		r = put_pinned(l, ++off, ".", dir);
	if (r == 0 && off == 1)
		r = put_pinned(l, ++off, "..", &s->nodes[FUSE_ROOT_ID]);
	for (; r == 0 && off >= 2 && off < (uint64_t)n + 2; off++) {
		const struct fs_export *export = &s->exports[off - 2];

		if (dir->kind != FS_ROOT)
			r = put_pinned(l, off + 1, FS_FILE_NAME, dir->export->file);
		else if (export->name[0])
			r = put_pinned(l, off + 1, export->name, export->top);
	}
	return r;
}

/* READDIRPLUS looks every entry up, so what cannot be looked up is not listed either. */
static int put_looked_up(struct listing *l, const struct dirent64 *d)
{
	struct fuse_entry_out entry = {.nodeid = 0};
	struct fs_node *dir = l->rq->node, *child;
	struct stat st;
	int r = fs_lookup(l->s, dir, d->d_name, &child, &st);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		fs_fill_entry(l->s, child, &st, &entry);
	put_entry(l, &entry, fs_guest_ino(l->s, dir->dev, d->d_ino), (uint64_t)d->d_off, d->d_type,
		  d->d_name);
	return 0;
}

/* A mount point, which LOOKUP would not find. */
static bool is_hidden(int dir_fd, const struct dirent64 *d)
{
	struct statx stx;

	if (d->d_type != DT_DIR)
		return false;
	if (statx(dir_fd, d->d_name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &stx) < 0)
		return false;
	return stx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static int put_host(struct listing *l, int dir_fd, const struct dirent64 *d)
{
	const struct fuse_entry_out none = {.nodeid = 0};
	struct fs_node *dir = l->rq->node;
	bool dots = !strcmp(d->d_name, ".") || !strcmp(d->d_name, "..");
	uint64_t ino;

	if (!fits(l, strlen(d->d_name)))
		return LIST_FULL;
	if (!dots && l->plus)
		return put_looked_up(l, d);
	if (!dots && is_hidden(dir_fd, d))
		return 0;
	ino = fs_guest_ino(l->s, dir->dev, d->d_ino);
	/* What lies above an export is not the guest's to know. */
	if (dots && dir->export->top == dir)
		ino = fs_guest_ino(l->s, dir->dev, dir->ino);
	put_entry(l, &none, ino, (uint64_t)d->d_off, d->d_type, d->d_name);
	return 0;
}

/*
 * DOC: an offset is not sought if it can be helped
 *
 * An offset of a directory is a place on some file systems, and a count of
 * entries on others, tmpfs before Linux 6.6 among them: there one that a program
 * took before it removed what it had read leads too far, and names are lost. The
 * descriptor itself stays where it is whatever is removed. So it is read on
 * from, and what was read from it is kept for as long as it may be asked for
 * again: a program with a small buffer makes the guest's kernel do so.
 */

void fs_window_drop(struct fs_server *s, uint32_t handle)
{
	for (unsigned int i = 0; i < FS_MAX_WINDOWS; i++) {
		struct fs_window *w = &s->windows[i];

		if ((uint32_t)w->fh != handle)
			continue;
		free(w->records);
		*w = (struct fs_window){.fh = 0};
	}
}

/* The handle's window, empty if it had none. fh 0: one for this request alone. */
static struct fs_window *window_of(struct fs_server *s, uint64_t fh)
{
	struct fs_window *w = NULL;

	for (unsigned int i = 0; i < FS_MAX_WINDOWS; i++) {
		if (s->windows[i].fh == fh && fh)
			return &s->windows[i];
		if (!s->windows[i].fh)
			w = &s->windows[i];
	}
	if (!w)
		w = &s->windows[s->next_window++ % FS_MAX_WINDOWS];
	if (!w->records)
		w->records = malloc(FS_WINDOW);
	w->fh = w->records ? fh : 0;
	w->start = UINT64_MAX;
	w->len = 0;
	return w->records ? w : NULL;
}

static const struct dirent64 *record_at(const struct fs_window *w, size_t pos)
{
	return (const void *)(w->records + pos);
}

/* The window then begins at `off`; who begins anew sees what is there now. */
static int window_seek(struct fs_window *w, int dir_fd, uint64_t off)
{
	uint64_t at = w->start;
	size_t pos = 0;

	if (off > INT64_MAX)
		return -EINVAL;
	while (at != off && pos < w->len) {
		at = (uint64_t)record_at(w, pos)->d_off;
		pos += record_at(w, pos)->d_reclen;
	}
	if (at != off || off == 0) {
		if (lseek(dir_fd, (off_t)off, SEEK_SET) < 0)
			return -EINVAL;
		pos = w->len;
	}
	w->len -= pos;
	memmove(w->records, w->records + pos, w->len);
	w->start = off;
	return 0;
}

/* Reads on, some `chunk` bytes. 0 at the end, else 1 and *pos is where to go on. */
static int window_fill(struct fs_window *w, int dir_fd, size_t chunk, uint64_t off, size_t *pos)
{
	ssize_t n;

	/* Full of what was listed or is hidden: only the latter can be so much. */
	if (w->len + chunk > FS_WINDOW) {
		w->start = off;
		w->len = *pos = 0;
	}
	n = getdents64(dir_fd, w->records + w->len, chunk);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	w->len += (size_t)n;
	return 1;
}

/* As many bytes of entries as surely fit into what is left of the reply, or one at least. */
static size_t chunk_for(const struct listing *l)
{
	const size_t left = l->size - l->rq->out_len,
		     chunk = l->plus ? left * 3 / 20 : left * 3 / 4;

	return chunk < 1024 ? 1024 : chunk;
}

static int list_host(struct listing *l, int dir_fd, uint64_t fh, uint64_t off)
{
	struct fs_window *w = window_of(l->s, fh);
	size_t pos = 0;
	int r = w ? window_seek(w, dir_fd, off) : -ENOMEM;

	l->size = min_size(l->size, FS_WINDOW - 1024);
	while (r == 0) {
		const struct dirent64 *d;

		if (pos == w->len) {
			r = window_fill(w, dir_fd, chunk_for(l), off, &pos);
			if (r <= 0)
				return r;
		}
		d = record_at(w, pos);
		r = put_host(l, dir_fd, d);
		off = (uint64_t)d->d_off;
		pos += d->d_reclen;
	}
	return r;
}

static int put_indexed(struct listing *l, uint32_t number, uint64_t next_off, const char *name)
{
	struct fs_export *export = l->rq->node->export;
	const struct index_entry *e = &export->index->entries[number];
	struct fuse_entry_out entry = {.nodeid = 0};
	struct fs_node *child;
	struct stat st;

	if (!fits(l, strlen(name)))
		return LIST_FULL;
	/* Without room for another node the entry is listed without its attributes. */
	if (l->plus &&
	    fs_node_indexed(l->s, export, number + FS_INDEXED_INO, e->mode & S_IFMT, &child) == 0) {
		fs_indexed_stat(child, &st);
		fs_fill_entry(l->s, child, &st, &entry);
	}
	put_entry(l, &entry, fs_guest_ino(l->s, 0, number + FS_INDEXED_INO), next_off,
		  e->mode >> 12, name);
	return 0;
}

/* Offsets count entries: ".", "..", then the index's, those left out among them. */
static int list_indexed(struct listing *l, uint64_t off)
{
	const struct fuse_entry_out none = {.nodeid = 0};
	const struct fs_node *dir = l->rq->node;
	const struct index *ix = dir->export->index;
	const struct index_entry *d = fs_indexed_entry(dir);
	int r = 0;

	for (; off < 2; off++) {
		uint64_t up = off == 0 ? dir->ino : d->parent + FS_INDEXED_INO;

		if (!fits(l, 2))
			return LIST_FULL;
		put_entry(l, &none, fs_guest_ino(l->s, 0, up), off + 1, S_IFDIR >> 12,
			  off == 0 ? "." : "..");
	}
	for (; r == 0 && off - 2 < index_count(d); off++) {
		uint32_t number = index_first(d) + (uint32_t)(off - 2);
		const struct index_entry *e = &ix->entries[number];
		char name[INDEX_NAME_MAX + 1];

		if (!index_visible(e))
			continue;
		memcpy(name, ix->strings + e->name, e->name_len);
		name[e->name_len] = '\0';
		r = put_indexed(l, number, off + 1, name);
	}
	return r;
}

static int list(struct fs_server *s, struct fs_request *rq, bool plus)
{
	const struct fuse_read_in *in = rq->arg;
	struct listing l = {.s = s, .rq = rq, .plus = plus};
	const struct fs_handle *h = NULL;
	AUTO_CLOSE int own = -1;
	int r;

	l.size = min_size(min_size(in->size, rq->room), FS_MAX_LIST);
	if (!s->frozen) {
		h = fs_handle_find(s, rq->node, in->fh);
		if (!h)
			return -EBADF;
	} else if (rq->node->kind == FS_HOST) {
		/* No handle is there. Only the kernel's modules are listed so, and seldom. */
		own = fs_reopen(s, rq->node, O_RDONLY | O_DIRECTORY);
		if (own < 0)
			return own;
	}
	r = fs_node_here(s, rq->node);
	if (r < 0)
		return r;
	if (rq->node->kind == FS_HOST)
		r = list_host(&l, h ? h->fd : own, h ? in->fh : 0, in->offset);
	else if (rq->node->kind == FS_INDEXED)
		r = list_indexed(&l, in->offset);
	else
		r = list_synthetic(&l, in->offset);
	/* An empty reply would mean the end of the directory. */
	if (r == LIST_FULL)
		r = rq->out_len ? 0 : -EINVAL;
	/* After an error, what is there already counts: its lookups are the guest's. */
	return r < 0 && rq->out_len ? 0 : r;
}

int fs_op_readdir(struct fs_server *s, struct fs_request *rq)
{
	return list(s, rq, false);
}

int fs_op_readdirplus(struct fs_server *s, struct fs_request *rq)
{
	return list(s, rq, true);
}

int fs_op_fsyncdir(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_fsync_in *in = rq->arg;
	const struct fs_handle *h = fs_handle_find(s, rq->node, in->fh);

	if (!h)
		return -EBADF;
	if (h->fd < 0 || !rq->node->export->writable)
		return 0;
	return fsync(h->fd) < 0 ? -errno : 0;
}
