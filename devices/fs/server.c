/* SPDX-License-Identifier: MIT */
/*
 * The server as a whole: its exports, the start of a session, and the way of a
 * request from its chain to an operation and back.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/kernel_fs.h"
#include "devices/fs/dax.h"
#include "devices/fs/indexed.h"

/* FUSE_INIT was shorter before this minor version; Linux 5.4 and later are newer. */
enum { FUSE_MINOR_MIN = 31 };

enum {
	OP_NO_NODE = 1 << 0, /* hdr.nodeid is not looked at */
	OP_DIR = 1 << 1, /* the node has to be a directory */
	OP_MODIFIES = 1 << 2, /* the node's export has to be writable */
	OP_TAIL = 1 << 3, /* bytes of any number follow the structure */
	OP_EARLY = 1 << 4, /* allowed before INIT */
	OP_DEAD = 1 << 5, /* allowed on a dead node: it ends the use of something */
	OP_WINDOW = 1 << 6, /* unknown without a DAX window */
	OP_UNFROZEN = 1 << 7, /* unknown to a frozen server */
};

struct fs_op {
	fs_op_fn fn;
	size_t in, out; /* sizes of the fixed structures */
	unsigned int names; /* file names behind the structure */
	unsigned int flags;
};

/* With a window: which files to map is told file by file. */
static void offer_dax(const struct fs_request *rq, struct fuse_init_out *out)
{
	const uint32_t needed = FUSE_MAP_ALIGNMENT | FUSE_INIT_EXT;
	const struct fuse_init_in *in = rq->arg;
	uint32_t flags2;

	if ((in->flags & needed) != needed || rq->tail_len < sizeof(flags2))
		return;
	memcpy(&flags2, rq->tail, sizeof(flags2));
	out->flags |= FUSE_MAP_ALIGNMENT;
	out->map_alignment = FS_DAX_SHIFT;
	out->flags2 |= flags2 & (uint32_t)(FUSE_HAS_INODE_DAX >> 32);
}

static int op_init(struct fs_server *s, struct fs_request *rq)
{
	/*
	 * AUTO: attributes with the first page of a listing only, some 24 names. Locks on
	 * files that nobody writes are the guest's own affair.
	 */
	const uint32_t unfrozen = FUSE_READDIRPLUS_AUTO | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS;
	const uint32_t wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
				FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_ASYNC_DIO |
				FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
				FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT |
				(s->frozen ? 0 : unfrozen);
	struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = FS_MAX_WRITE,
		.time_gran = 1,
		.max_pages = FS_MAX_PAGES,
	};
	const struct fuse_init_in *in = rq->arg;

	if (in->major < FUSE_KERNEL_VERSION)
		return -EPROTO;
	if (in->major == FUSE_KERNEL_VERSION) {
		if (in->minor < FUSE_MINOR_MIN)
			return -EPROTO;
		fs_server_reset(s);
		s->started = true;
		out.max_readahead = in->max_readahead;
		out.flags = in->flags & wanted;
		if (s->dax)
			offer_dax(rq, &out);
	}
	/* A driver with a later major version asks again with ours. */
	fs_reply(rq, &out, sizeof(out));
	return 0;
}

static int op_destroy(struct fs_server *s, struct fs_request *rq)
{
	(void)rq;
	fs_server_reset(s);
	return 0;
}

static int op_nothing(struct fs_server *s, struct fs_request *rq)
{
	(void)s;
	(void)rq;
	return FS_NO_REPLY;
}

#define IN(type)  .in = sizeof(struct type)
#define OUT(type) .out = sizeof(struct type)

/*
 * Every operation served; any other is answered ENOSYS, after which Linux does
 * not ask again (ACCESS, IOCTL, POLL, BMAP, SYNCFS). INIT's structure grew at
 * its end: the part that all drivers send is enough.
 */
static const struct fs_op ops[] = {
	[FUSE_LOOKUP] = {fs_op_lookup, OUT(fuse_entry_out), .names = 1, .flags = OP_DIR},
	[FUSE_FORGET] = {fs_op_forget, IN(fuse_forget_in), .flags = OP_NO_NODE},
	[FUSE_BATCH_FORGET] = {fs_op_batch_forget, IN(fuse_batch_forget_in),
			       .flags = OP_NO_NODE | OP_TAIL},
	[FUSE_GETATTR] = {fs_op_getattr, IN(fuse_getattr_in), OUT(fuse_attr_out)},
	[FUSE_SETATTR] = {fs_op_setattr, IN(fuse_setattr_in), OUT(fuse_attr_out),
			  .flags = OP_MODIFIES},
	[FUSE_READLINK] = {.fn = fs_op_readlink},
	[FUSE_SYMLINK] = {fs_op_symlink, OUT(fuse_entry_out), .names = 1,
			  .flags = OP_DIR | OP_MODIFIES | OP_TAIL},
	[FUSE_MKNOD] = {fs_op_mknod, IN(fuse_mknod_in), OUT(fuse_entry_out), .names = 1,
			.flags = OP_DIR | OP_MODIFIES},
	[FUSE_MKDIR] = {fs_op_mkdir, IN(fuse_mkdir_in), OUT(fuse_entry_out), .names = 1,
			.flags = OP_DIR | OP_MODIFIES},
	[FUSE_UNLINK] = {fs_op_unlink, .names = 1, .flags = OP_DIR | OP_MODIFIES},
	[FUSE_RMDIR] = {fs_op_rmdir, .names = 1, .flags = OP_DIR | OP_MODIFIES},
	[FUSE_RENAME] = {fs_op_rename, IN(fuse_rename_in), .names = 2,
			 .flags = OP_DIR | OP_MODIFIES},
	[FUSE_RENAME2] = {fs_op_rename2, IN(fuse_rename2_in), .names = 2,
			  .flags = OP_DIR | OP_MODIFIES},
	[FUSE_LINK] = {fs_op_link, IN(fuse_link_in), OUT(fuse_entry_out), .names = 1,
		       .flags = OP_DIR | OP_MODIFIES},
	[FUSE_OPEN] = {fs_op_open, IN(fuse_open_in), OUT(fuse_open_out), .flags = OP_UNFROZEN},
	[FUSE_READ] = {fs_op_read, IN(fuse_read_in)},
	[FUSE_WRITE] = {fs_op_write, IN(fuse_write_in), OUT(fuse_write_out), .flags = OP_MODIFIES},
	[FUSE_STATFS] = {fs_op_statfs, OUT(fuse_statfs_out)},
	[FUSE_RELEASE] = {fs_op_release, IN(fuse_release_in), .flags = OP_DEAD},
	[FUSE_FSYNC] = {fs_op_fsync, IN(fuse_fsync_in), .flags = OP_UNFROZEN},
	[FUSE_SETXATTR] = {fs_op_setxattr, .in = FUSE_COMPAT_SETXATTR_IN_SIZE,
			   .flags = OP_MODIFIES | OP_TAIL | OP_UNFROZEN},
	[FUSE_GETXATTR] = {fs_op_getxattr, IN(fuse_getxattr_in), .flags = OP_TAIL | OP_UNFROZEN},
	[FUSE_LISTXATTR] = {fs_op_listxattr, IN(fuse_getxattr_in), .flags = OP_UNFROZEN},
	[FUSE_REMOVEXATTR] = {fs_op_removexattr, .flags = OP_MODIFIES | OP_TAIL | OP_UNFROZEN},
	[FUSE_FLUSH] = {fs_op_flush, IN(fuse_flush_in), .flags = OP_DEAD | OP_UNFROZEN},
	[FUSE_INIT] = {op_init, .in = offsetof(struct fuse_init_in, flags2), OUT(fuse_init_out),
		       .flags = OP_NO_NODE | OP_EARLY | OP_TAIL},
	[FUSE_OPENDIR] = {fs_op_opendir, IN(fuse_open_in), OUT(fuse_open_out),
			  .flags = OP_DIR | OP_UNFROZEN},
	[FUSE_READDIR] = {fs_op_readdir, IN(fuse_read_in), .flags = OP_DIR},
	[FUSE_RELEASEDIR] = {fs_op_release, IN(fuse_release_in), .flags = OP_DIR},
	[FUSE_FSYNCDIR] = {fs_op_fsyncdir, IN(fuse_fsync_in), .flags = OP_DIR | OP_UNFROZEN},
	[FUSE_GETLK] = {fs_op_getlk, IN(fuse_lk_in), OUT(fuse_lk_out)},
	[FUSE_SETLK] = {fs_op_setlk, IN(fuse_lk_in)},
	[FUSE_SETLKW] = {fs_op_setlkw, IN(fuse_lk_in)},
	[FUSE_CREATE] = {fs_op_create, IN(fuse_create_in),
			 .out = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out),
			 .names = 1, .flags = OP_DIR | OP_MODIFIES},
	[FUSE_INTERRUPT] = {op_nothing, IN(fuse_interrupt_in), .flags = OP_NO_NODE},
	[FUSE_DESTROY] = {op_destroy, .flags = OP_NO_NODE},
	[FUSE_FALLOCATE] = {fs_op_fallocate, IN(fuse_fallocate_in), .flags = OP_MODIFIES},
	[FUSE_READDIRPLUS] = {fs_op_readdirplus, IN(fuse_read_in), .flags = OP_DIR},
	[FUSE_LSEEK] = {fs_op_lseek, IN(fuse_lseek_in), OUT(fuse_lseek_out), .flags = OP_UNFROZEN},
	/* Reads the node of the header; what it writes to is checked by the operation. */
	[FUSE_COPY_FILE_RANGE] = {fs_op_copy_file_range, IN(fuse_copy_file_range_in),
				  OUT(fuse_write_out), .flags = OP_UNFROZEN},
	[FUSE_SETUPMAPPING] = {fs_op_setupmapping, IN(fuse_setupmapping_in), .flags = OP_WINDOW},
	[FUSE_REMOVEMAPPING] = {fs_op_removemapping, IN(fuse_removemapping_in),
				.flags = OP_NO_NODE | OP_TAIL | OP_WINDOW},
	/* A name comes along, "/", and means nothing. */
	[FUSE_TMPFILE] = {fs_op_tmpfile, IN(fuse_create_in),
			  .out = sizeof(struct fuse_entry_out) + sizeof(struct fuse_open_out),
			  .flags = OP_DIR | OP_MODIFIES},
};

#undef IN
#undef OUT

void fs_reply(struct fs_request *rq, const void *data, size_t len)
{
	rq->out_len +=
		chain_write(rq->chain, sizeof(struct fuse_out_header) + rq->out_len, data, len);
}

/* Copies the arguments out of the guest and takes them apart. */
static int load_args(struct fs_server *s, struct fs_request *rq, const struct fs_op *op)
{
	size_t len = rq->hdr.len - sizeof(rq->hdr);
	const uint8_t *p;

	if (len < op->in)
		return -EINVAL;
	if (!op->names && !(op->flags & OP_TAIL))
		len = op->in;
	if (len > FS_ARG_MAX)
		return -E2BIG;
	if (chain_read(rq->chain, sizeof(rq->hdr), s->arg, len) != len)
		return -EINVAL;
	s->arg[len] = '\0';
	rq->arg = s->arg;
	p = s->arg + op->in;
	len -= op->in;
	for (unsigned int i = 0; i < op->names; i++) {
		const uint8_t *end = memchr(p, '\0', len);
		int r;

		if (!end)
			return -EINVAL;
		rq->name[i] = (const char *)p;
		r = fs_check_name(rq->name[i]);
		if (r < 0)
			return r;
		len -= (size_t)(end + 1 - p);
		p = end + 1;
	}
	rq->tail = p;
	rq->tail_len = len;
	return 0;
}

static int check_node(struct fs_server *s, struct fs_request *rq, const struct fs_op *op)
{
	if (op->flags & OP_NO_NODE)
		return 0;
	rq->node = fs_node_find(s, rq->hdr.nodeid);
	if (!rq->node || (rq->node->dead && !(op->flags & OP_DEAD)))
		return -ESTALE;
	if ((op->flags & OP_DIR) && rq->node->type != S_IFDIR)
		return -ENOTDIR;
	if ((op->flags & OP_MODIFIES) && !(rq->node->export && rq->node->export->writable))
		return -EROFS;
	return 0;
}

static int dispatch(struct fs_server *s, struct fs_request *rq)
{
	const struct fs_op *op;
	int r;

	if (rq->hdr.opcode >= ARRAY_SIZE(ops) || !ops[rq->hdr.opcode].fn)
		return -ENOSYS;
	op = &ops[rq->hdr.opcode];
	if (((op->flags & OP_WINDOW) && !s->dax) || ((op->flags & OP_UNFROZEN) && s->frozen))
		return -ENOSYS;
	if (!s->started && !(op->flags & OP_EARLY))
		return -EPROTO;
	if (rq->room < op->out)
		return -EINVAL;
	r = load_args(s, rq, op);
	if (r == 0)
		r = check_node(s, rq, op);
	return r < 0 ? r : op->fn(s, rq);
}

/* A forget carries no place for a reply and needs none. */
static bool wants_no_reply(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Ends a request that wants a reply: the reply's bytes are there, its header is not. */
static uint32_t answer(const struct fs_request *rq, int error)
{
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + (error < 0 ? 0 : rq->out_len)),
		.error = error,
		.unique = rq->hdr.unique,
	};

	(void)chain_write(rq->chain, 0, &out, sizeof(out));
	return out.len;
}

int fs_server_serve(struct fs_server *s, const struct virtq_chain *chain, unsigned int queue,
		    uint32_t *written)
{
	struct fs_request rq = {.chain = chain, .queue = queue};
	const size_t got = chain_read(chain, 0, &rq.hdr, sizeof(rq.hdr));
	const bool reply = !wants_no_reply(rq.hdr.opcode);
	const bool has_room = chain->wr_len >= sizeof(struct fuse_out_header);
	int r;

	*written = 0;
	/* An operand that is not in RAM: what is left of the chain may lack anything. */
	if (chain->foreign) {
		*written = got == sizeof(rq.hdr) && reply && has_room ? answer(&rq, -EFAULT) : 0;
		return 0;
	}
	if (got != sizeof(rq.hdr) || rq.hdr.len < sizeof(rq.hdr) || rq.hdr.len > chain->rd_len ||
	    (reply && !has_room))
		return -EPROTO;
	s->n_requests++;
	s->now_ms = now_ms();
	rq.room = reply ? chain->wr_len - sizeof(struct fuse_out_header) : 0;
	r = dispatch(s, &rq);
	if (r == FS_WAITS)
		return FS_WAITS;
	if (r != FS_NO_REPLY && reply)
		*written = answer(&rq, r);
	return 0;
}

void fs_server_look(struct fs_server *s)
{
	s->n_requests++;
	s->now_ms = now_ms();
	fs_dax_look(s);
}

void fs_server_count(struct fs_server *s)
{
	atomic_store_explicit(&s->seen_nodes, s->n_nodes, memory_order_relaxed);
	atomic_store_explicit(&s->seen_fds, s->n_fds, memory_order_relaxed);
	atomic_store_explicit(&s->seen_ranges, s->n_ranges, memory_order_relaxed);
}

void fs_server_reset(struct fs_server *s)
{
	s->started = false;
	(void)fs_dax_clear(s, NULL);
	fs_locks_drop_all(s);
	fs_handles_drop(s, NULL);
	for (uint32_t i = 1; s->nodes && i < s->top_node; i++)
		if (s->nodes[i].kind != FS_FREE)
			fs_node_forget(s, &s->nodes[i], UINT64_MAX);
	fs_tables_shrink(s);
	fs_server_count(s);
}

int fs_server_new(struct fs_server **out)
{
	struct fs_server *s = calloc(1, sizeof(*s));
	struct fs_node *root; /* the first node, hence FUSE_ROOT_ID */
	int r;

	if (!s)
		return -ENOMEM;
	s->born = time(NULL);
	s->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = s->proc_fd < 0 ? -errno : fs_tables_init(s);
	if (r == 0) {
		s->arg = malloc(FS_ARG_MAX + 1);
		s->scratch = malloc(FS_SCRATCH);
		r = s->arg && s->scratch ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = fs_node_synthetic(s, FS_ROOT, NULL, &root);
	if (r < 0) {
		fs_server_free(s);
		return r;
	}
	assert(fs_node_find(s, FUSE_ROOT_ID));
	*out = s;
	return 0;
}

void fs_server_limit(struct fs_server *s, uint64_t memory)
{
	const uint64_t n = memory / FS_NODE_BYTES;

	s->max_nodes = (uint32_t)min_u64(n > FS_MIN_NODES ? n : FS_MIN_NODES, FS_MAX_NODES);
}

void fs_server_figures(const struct fs_server *s, struct fs_figures *out)
{
	*out = (struct fs_figures){
		.nodes = atomic_load_explicit(&s->seen_nodes, memory_order_relaxed),
		.max_nodes = s->max_nodes,
		.descriptors = atomic_load_explicit(&s->seen_fds, memory_order_relaxed),
		.max_descriptors = s->max_fds,
		.locked_ranges = atomic_load_explicit(&s->seen_ranges, memory_order_relaxed),
		.max_locked_ranges = FS_MAX_RANGES,
	};
}

void fs_server_freeze(struct fs_server *s)
{
	s->frozen = true;
}

void fs_server_free(struct fs_server *s)
{
	if (!s)
		return;
	if (s->nodes && s->handles && s->hash)
		fs_server_reset(s);
	fs_dax_free(s->dax);
	fs_tables_fini(s);
	for (unsigned int i = 0; i < FS_MAX_EXPORTS; i++)
		fs_indexed_fini(&s->exports[i]);
	if (s->proc_fd >= 0)
		close(s->proc_fd);
	for (unsigned int i = 0; i < FS_MAX_WINDOWS; i++)
		free(s->windows[i].records);
	free(s->arg);
	free(s->scratch);
	free(s);
}

/* Makes the export's pinned nodes. Takes fd over, also on failure. */
static int add_nodes(struct fs_server *s, struct fs_export *export, int fd, const struct stat *st)
{
	struct fs_node **host = S_ISREG(st->st_mode) ? &export->file : &export->top;
	int r = fs_node_get(s, export, fd, st, host);

	if (r < 0)
		return r;
	(*host)->pinned = true;
	/* The numbers of the first export's file system are the guest's too. */
	(void)fs_guest_ino(s, st->st_dev, st->st_ino);
	if (!export->file)
		return 0;
	r = fs_node_synthetic(s, FS_FILE_DIR, export, &export->top);
	if (r < 0) {
		export->file->pinned = false;
		fs_node_forget(s, export->file, 0);
	}
	return r;
}

/* The same for an export behind an index. */
static int add_indexed(struct fs_server *s, struct fs_export *export,
		       const struct fs_export_config *cfg)
{
	int r = fs_indexed_init(export, cfg->index, cfg->fd);

	if (r == 0)
		r = fs_node_indexed(s, export, FS_INDEXED_INO + INDEX_ROOT, S_IFDIR, &export->top);
	if (r < 0) {
		fs_indexed_fini(export);
		return r;
	}
	export->top->pinned = true;
	/* Its numbers are those of no host file system. */
	(void)fs_guest_ino(s, 0, 0);
	return 0;
}

/* The export of that name, "" for a free slot; NULL: there is none. */
static struct fs_export *find_export(struct fs_server *s, const char *name)
{
	for (unsigned int i = 0; i < FS_MAX_EXPORTS; i++)
		if (!strcmp(s->exports[i].name, name))
			return &s->exports[i];
	return NULL;
}

int fs_server_add_export(struct fs_server *s, const struct fs_export_config *cfg)
{
	struct fs_export *export = find_export(s, "");
	struct stat st = {0};
	int r = fs_check_name(cfg->name);

	if (r == 0 && fstat(cfg->fd, &st) < 0)
		r = -errno;
	if (r == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		r = -EINVAL;
	if (r == 0 && kernel_fs_name(cfg->fd))
		r = -EOPNOTSUPP;
	if (r == 0 && find_export(s, cfg->name))
		r = -EEXIST;
	if (r == 0 && !export)
		r = -ENOSPC;
	if (r < 0) {
		close(cfg->fd);
		return r;
	}
	*export = (struct fs_export){
		.writable = cfg->writable,
		/* The base: su and sudo are to work in the throw-away machine. */
		.show_setid = !cfg->writable && cfg->cache == FS_CACHE_LONG,
		.cache = cfg->cache,
	};
	r = cfg->index ? add_indexed(s, export, cfg) : add_nodes(s, export, cfg->fd, &st);
	if (r < 0)
		return r;
	memcpy(export->name, cfg->name, strlen(cfg->name) + 1);
	return 0;
}

size_t fs_server_writable(const struct fs_server *s, int fds[FS_MAX_WRITABLE])
{
	size_t n = 0;

	for (unsigned int i = 0; i < FS_MAX_EXPORTS; i++) {
		const struct fs_export *export = &s->exports[i];

		if (export->name[0] && export->writable)
			fds[n++] = export->file ? export->file->fd : export->top->fd;
	}
	return n;
}

int fs_server_remove_export(struct fs_server *s, const char *name)
{
	struct fs_export *export = name[0] ? find_export(s, name) : NULL;

	if (!export)
		return -ENOENT;
	if (fs_dax_clear(s, export) < 0)
		return -ENOMEM;
	fs_locks_drop_export(s, export);
	fs_handles_drop(s, export);
	fs_nodes_drop(s, export);
	fs_indexed_fini(export);
	*export = (struct fs_export){.name = ""};
	fs_server_count(s);
	return 0;
}

int fs_server_add_window(struct fs_server *s, uint64_t size)
{
	assert(!s->dax && size % FS_DAX_SLOT == 0);
	return fs_dax_new(size, &s->dax);
}

bool fs_server_mend_window(struct fs_server *s)
{
	/* A request is at work, with the tables; it may take long, and the vCPU has to stop for others. */
	if (s->vdev && s->vdev->away)
		return true;
	return fs_dax_mend(s);
}
