/* SPDX-License-Identifier: MIT */
/* devices/fs/fs_priv.h - what the files of the file server share. */
#ifndef DEVICES_FS_FS_PRIV_H
#define DEVICES_FS_FS_PRIV_H

#include <linux/fuse.h>
#include <linux/limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "devices/fs/fs.h"
#include "devices/fs/ranges.h"
#include "devices/virtio/queue.h"
#include "image/index.h"

/*
 * DOC: how a name becomes a file
 *
 * The guest names files by (directory, one component) once, in LOOKUP and its
 * kin, and by number from then on. A looked-up file is a node: a slot of a
 * table, and an O_PATH descriptor that pins the host's inode (as long as
 * descriptors last: descriptors.c). A name is resolved by openat2() on one
 * component that may be neither ".." nor a path, without following a link and
 * without crossing a mount. What the host then moves out of the export is no longer
 * in it: fs_node_here() looks again before a name is resolved in a directory, and
 * before a file is opened.
 *
 * An O_PATH descriptor does no I/O. To open a node's file it is reopened
 * through /proc/self/fd, of which fs_server_new() keeps an O_PATH descriptor:
 * that goes on working after the process has lost its view of /proc. The type
 * of the pinned inode is known and cannot change, so nothing but a regular
 * file or a directory is ever opened.
 *
 * Numbers from the guest (nodes and handles) carry the slot in the low half
 * and the slot's generation in the high half; a number that is not current is
 * refused (ESTALE, EBADF).
 */

struct state_reader;
struct state_writer;

enum {
	FS_MAX_EXPORTS = 128,
	FS_TRUST_MS = 250, /* how long it is believed that a file is still where it was found, */
	FS_MAX_DEPTH = 2048, /* below so many directories */
	FS_MAX_DEVS = 64, /* host file systems told apart in inode numbers */
	FS_MAX_NODES = 1 << 19,
	FS_MAX_FDS =
		1
		<< 14, /* inodes of the host's that are pinned; further bounded by RLIMIT_NOFILE */
	FS_MAX_HANDLES = FS_MAX_FDS,
	FS_NODE_BYTES = 1024, /* of the guest's memory, which an inode of its kernel takes */
	FS_MIN_NODES = 1 << 14,
	FS_MAX_LOCKS = 1024, /* pairs of a lock owner and a file */
	FS_MAX_OWNER_RANGES = 256, /* that one pair has locked, */
	FS_MAX_RANGES = 16384, /* and all of them */
	FS_MAX_WAITING = 64, /* requests that wait for a lock */
	FS_HASH_BITS = 10, /* of the smallest table: a page; it grows with the nodes */
	FS_SPARE_FDS = 256, /* left to the rest of the process, */
	FS_SERVERS = 2, /* and the others shared by so many servers */

	/* Two buffers for the headers and two for the replies', the rest for data. */
	FS_MAX_PAGES = VIRTQ_MAX_SIZE - 4,
	/* Bytes that one request may move, as INIT says; reads and copies are cut to it. */
	FS_MAX_WRITE = FS_MAX_PAGES * 4096,
	FS_MAX_LIST = 64 << 10, /* of a listing: each entry may be looked up */
	FS_MAX_CHAIN = 2 << 20, /* a request with its reply */
	FS_MAX_WINDOWS = 64, /* directories that are read at a time without seeking in them, */
	FS_WINDOW =
		16 << 10, /* of each the entries last read; also of a host directory's listing */

	/* The largest arguments: SETXATTR's structure, name and value. */
	FS_ARG_MAX = XATTR_SIZE_MAX + 4096,
	FS_SCRATCH = XATTR_SIZE_MAX,
};

/* The one name in the directory that stands for a single-file export. */
#define FS_FILE_NAME "file"

enum fs_kind {
	FS_FREE,
	FS_ROOT, /* the list of exports; no host file behind it */
	FS_FILE_DIR, /* the directory around a single-file export; none either */
	FS_HOST,
	FS_INDEXED, /* an entry of the export's index: indexed.h */
};

struct fs_node {
	enum fs_kind kind;
	uint32_t index, generation;
	uint32_t next; /* of the same hash, or the next free slot; 0 ends */
	uint32_t refs; /* handles, locks, waiting requests, slots of the window */
	uint64_t lookups; /* the guest's references */
	bool pinned; /* lives as long as its export */
	mode_t type; /* the S_IFMT part */
	dev_t dev;
	ino_t ino;
	struct fs_export *export; /* NULL: FS_ROOT */

	/* The descriptor and how to get it back: descriptors.c. */
	int fd; /* O_PATH, of a shared file of an index O_RDONLY; -1: closed, or there is
		 * none. Through fs_node_fd() only. */
	uint64_t parent; /* the directory it was last found in, */
	char *name; /* and the name; NULL: none was noted */
	struct statx_timestamp born; /* valid while fd is closed */
	uint64_t seen_ms; /* when it was last found there */
	uint64_t last_request;
	bool recent; /* used since the clock's hand passed */
	bool dead; /* its file is not what it was: ESTALE; not in the hash */

	/* flock() in a read-only export: handles that share it, or that one has it alone. */
	uint32_t n_flock_shared;
	bool flock_alone;
};

struct fs_export {
	char name[NAME_MAX + 1]; /* "": the slot is free */
	bool writable;
	bool show_setid; /* set-id bits of its files are shown */
	enum fs_cache cache;
	struct fs_node *top; /* FS_HOST, FS_INDEXED or FS_FILE_DIR */
	struct fs_node *file; /* NULL unless top is FS_FILE_DIR */

	/* Of an export behind an index; else NULL. */
	const struct index *index;
	int *tops; /* O_PATH, one for each entry of the root; -1: not a directory */
	uint32_t n_tops;
	bool told_stale; /* a file that changed was reported */
};

struct fs_handle {
	struct fs_node *node; /* holds a reference; NULL: free slot */
	uint32_t generation;
	uint32_t next; /* free slots */
	bool may_read, may_write;
	int fd; /* -1: a directory of our own making */
	short flock; /* in a read-only export: F_RDLCK, F_WRLCK, or F_UNLCK */
};

/*
 * The entries of a host directory that were read last, the first of them at
 * `start`: those that the guest may ask for once more, for its program's buffer
 * was full, and those that did not fit into the reply.
 */
struct fs_window {
	uint64_t fh; /* 0: free */
	uint64_t start;
	size_t len;
	uint8_t *records; /* dirent64; NULL or FS_WINDOW bytes */
};

/* The POSIX locks of one owner on one file. */
struct fs_lock {
	struct fs_node *node; /* NULL: free */
	uint64_t owner;
	uint64_t fh; /* the handle that locked last */
	struct fs_ranges ranges;
	int fd; /* an open file description of its own with the same ranges; -1: read-only export */
};

/* A SETLKW that could not be had at once. */
struct fs_waiting {
	bool used;
	unsigned int queue;
	uint16_t head;
	uint64_t unique;
	uint64_t nodeid;
	struct fuse_lk_in in;
	struct iovec reply[2]; /* room for the reply's header, in guest memory */
	unsigned int n_reply;
};

struct fs_dax;

struct fs_server {
	const struct virtio_device *vdev; /* the device it is behind; NULL before virtio_fs_new() */
	int proc_fd; /* /proc/self/fd, O_PATH */
	bool started; /* the driver sent INIT */
	bool frozen; /* fs_server_freeze() */
	time_t born;

	struct fs_export exports[FS_MAX_EXPORTS];
	dev_t devs[FS_MAX_DEVS];
	unsigned int n_devs;

	/* Descriptors of nodes, handles and locks together. */
	uint32_t n_fds, max_fds;
	uint32_t clock_hand;
	uint64_t n_requests;
	uint64_t now_ms; /* CLOCK_MONOTONIC, when the present request began */

	struct fs_node *nodes; /* slot 0 is never used, slot 1 is the root */
	uint32_t max_nodes, top_node, free_node;
	uint32_t n_nodes; /* in use */
	uint32_t *hash; /* heads of chains, 1 << hash_bits of them */
	unsigned int hash_bits;
	uint32_t n_hashed; /* nodes in the chains */

	struct fs_handle *handles; /* slot 0 is never used */
	uint32_t max_handles, top_handle, free_handle;

	struct fs_lock locks[FS_MAX_LOCKS];
	unsigned int top_lock; /* slots from here on are free */
	unsigned int n_ranges; /* of all of them */
	struct fs_waiting waiting[FS_MAX_WAITING];
	unsigned int n_waiting;
	bool lock_freed; /* a waiting request may succeed now */
	unsigned int retry_ms;

	struct fs_window windows[FS_MAX_WINDOWS];
	unsigned int next_window; /* the one to take if none is free */

	/* What fs_server_figures() tells of nodes, descriptors and ranges. */
	_Atomic uint32_t seen_nodes, seen_fds, seen_ranges;
	struct fs_dax *dax; /* the window; NULL: none */

	/* One request at a time: its arguments, its data, its segments. */
	uint8_t *arg; /* FS_ARG_MAX, and a NUL behind it */
	uint8_t *scratch; /* FS_SCRATCH */
	struct iovec iov[VIRTQ_MAX_SEGS];
};

struct fs_request {
	const struct virtq_chain *chain;
	unsigned int queue;
	struct fuse_in_header hdr;
	struct fs_node *node; /* of hdr.nodeid, alive */
	const void *arg; /* the operation's fixed structure, copied out of the guest */
	const char *name[2];
	const uint8_t *tail; /* what follows structure and names */
	size_t tail_len;
	size_t room; /* for the reply behind its header, bytes */
	size_t out_len; /* of it used */
};

/* What an operation returns besides 0 (reply as it stands) and -errno (an error reply). */
enum { FS_NO_REPLY = 1, FS_WAITS = 2 };

typedef int (*fs_op_fn)(struct fs_server *s, struct fs_request *rq);

/* server.c */

/*
 * Serves one request. 0: push the chain with *written bytes. FS_WAITS: keep it,
 * fs_locks_done() will name its head. -EPROTO: not a request at all.
 */
int fs_server_serve(struct fs_server *s, const struct virtq_chain *chain, unsigned int queue,
		    uint32_t *written) MUST_CHECK;
/* Between two requests, where there is a window: looks at what it shows (fs_dax_look()). */
void fs_server_look(struct fs_server *s);
/* Between two requests: what is in use, for fs_server_figures(). */
void fs_server_count(struct fs_server *s);
/* state.c: what the guest knows, and back into a server that nobody has used; under the device lock. */
void fs_server_save(const struct fs_server *s, struct state_writer *w);
void fs_server_load(struct fs_server *s, struct state_reader *r);
/* Appends to the reply; the table in server.c made sure of the room for fixed structures. */
void fs_reply(struct fs_request *rq, const void *data, size_t len);

/* inode.c */

int fs_tables_init(struct fs_server *s) MUST_CHECK;
void fs_tables_fini(struct fs_server *s);
/* No handle is there, and few nodes: the next walk over the tables is to be short. */
void fs_tables_shrink(struct fs_server *s);
uint64_t fs_node_id(const struct fs_node *node);
struct fs_node *fs_node_find(struct fs_server *s, uint64_t nodeid); /* NULL: not current */
/* The node of (export, st), new or known. Takes fd over, also on failure. Not counted yet. */
int fs_node_get(struct fs_server *s, struct fs_export *export, int fd, const struct stat *st,
		struct fs_node **out) MUST_CHECK;
int fs_node_synthetic(struct fs_server *s, enum fs_kind kind, struct fs_export *export,
		      struct fs_node **out) MUST_CHECK;
/* The node of a number in an export that is not the host's numbering; no descriptor. */
int fs_node_indexed(struct fs_server *s, struct fs_export *export, ino_t ino, mode_t type,
		    struct fs_node **out) MUST_CHECK;
void fs_node_forget(struct fs_server *s, struct fs_node *node, uint64_t count);
/*
 * The node's file is not what the guest knew: what names it from now on gets
 * ESTALE, and looking it up again makes a new node. Again is fine; not for a
 * pinned node.
 */
void fs_node_strike(struct fs_server *s, struct fs_node *node);
/* Drops a reference (node->refs). */
void fs_node_put(struct fs_server *s, struct fs_node *node);
/* Frees every node of the export, which nothing refers to any more. */
void fs_nodes_drop(struct fs_server *s, const struct fs_export *export);

/* Takes fd over, also on failure; -1 for none. *fh is the guest's number for it. */
int fs_handle_new(struct fs_server *s, struct fs_node *node, int fd, int accmode,
		  uint64_t *fh) MUST_CHECK;
/* Of this node, or NULL. */
struct fs_handle *fs_handle_find(struct fs_server *s, const struct fs_node *node, uint64_t fh);
void fs_handle_free(struct fs_server *s, uint64_t fh);
/* Those of the export; NULL: all. */
void fs_handles_drop(struct fs_server *s, const struct fs_export *export);

/* readdir.c */

/* The directory's handle, by its slot, goes. */
void fs_window_drop(struct fs_server *s, uint32_t handle);

/* descriptors.c */

/* How many descriptors the server may have. */
uint32_t fs_fd_budget(void);
/* One more descriptor; -ENFILE. fs_fd_close() gives it back, -1 is fine. */
int fs_fd_take(struct fs_server *s) MUST_CHECK;
void fs_fd_close(struct fs_server *s, int fd);
/*
 * The node's descriptor, for this request: the node's own, not to be closed. -ESTALE
 * if its file is not there any more. FS_HOST: O_PATH; a shared file of an index: O_RDONLY,
 * and -ESTALE also if the file was written to.
 */
int fs_node_fd(struct fs_server *s, struct fs_node *node) MUST_CHECK;
/* Notes where the node was found. */
void fs_node_found(const struct fs_server *s, struct fs_node *node, const struct fs_node *dir,
		   const char *name);
/*
 * 0 if the node is below its export's top by the names it was found under, or was
 * FS_TRUST_MS ago; else -ESTALE. A file without a name is where it was made.
 */
int fs_node_here(struct fs_server *s, struct fs_node *node) MUST_CHECK;
/* True if fd, of status st, is the node's file. */
bool fs_node_is(const struct fs_node *node, int fd, const struct stat *st);

/* lookup.c */

/* 0, or the errno for a name that is not one plain component. */
int fs_check_name(const char *name) MUST_CHECK;
/* The child's node and status; the node is not counted yet. */
int fs_lookup(struct fs_server *s, struct fs_node *dir, const char *name, struct fs_node **out,
	      struct stat *st) MUST_CHECK;
/* The directory's descriptor, if a name in it may be made, removed or renamed. */
int fs_names_fd(struct fs_server *s, struct fs_node *dir) MUST_CHECK;
/* An O_PATH descriptor of a name in a host directory. */
int fs_open_name(int dir_fd, const char *name) MUST_CHECK;
/* The node's file opened anew, if it is still in its export. Regular files and directories only. */
int fs_reopen(struct fs_server *s, struct fs_node *node, int flags) MUST_CHECK;
/* One to read the node's file by, without a handle: the node's, or a new one in *own, to be closed. */
int fs_readable(struct fs_server *s, struct fs_node *node, int *own) MUST_CHECK;
/* What any descriptor of ours refers to, opened anew through /proc/self/fd. */
int fs_reopen_fd(const struct fs_server *s, int fd, int flags, mode_t mode) MUST_CHECK;
int fs_node_stat(struct fs_server *s, struct fs_node *node, struct stat *st) MUST_CHECK;
uint64_t fs_guest_ino(struct fs_server *s, dev_t dev, uint64_t ino);
/* A user or group of the host, as the guest sees it. */
uint32_t fs_owner(uint32_t id);
void fs_fill_attr(struct fs_server *s, const struct fs_node *node, const struct stat *st,
		  struct fuse_attr *attr);
/* Fills *out and counts the lookup it stands for. */
void fs_fill_entry(struct fs_server *s, struct fs_node *node, const struct stat *st,
		   struct fuse_entry_out *out);
void fs_fill_attr_out(struct fs_server *s, const struct fs_node *node, const struct stat *st,
		      struct fuse_attr_out *out);
int fs_op_lookup(struct fs_server *s, struct fs_request *rq);
int fs_op_forget(struct fs_server *s, struct fs_request *rq);
int fs_op_batch_forget(struct fs_server *s, struct fs_request *rq);

/* ops_attr.c */
int fs_op_getattr(struct fs_server *s, struct fs_request *rq);
int fs_op_setattr(struct fs_server *s, struct fs_request *rq);
int fs_op_readlink(struct fs_server *s, struct fs_request *rq);
int fs_op_statfs(struct fs_server *s, struct fs_request *rq);
/*
 * Takes the set-id bits off a file that is about to be written: the host's
 * kernel leaves them when we run as root.
 */
int fs_strip_setid(struct fs_server *s, struct fs_node *node) MUST_CHECK;

/* ops_xattr.c */
int fs_op_setxattr(struct fs_server *s, struct fs_request *rq);
int fs_op_getxattr(struct fs_server *s, struct fs_request *rq);
int fs_op_listxattr(struct fs_server *s, struct fs_request *rq);
int fs_op_removexattr(struct fs_server *s, struct fs_request *rq);

/* ops_dir.c */
int fs_op_mknod(struct fs_server *s, struct fs_request *rq);
int fs_op_mkdir(struct fs_server *s, struct fs_request *rq);
int fs_op_symlink(struct fs_server *s, struct fs_request *rq);
int fs_op_unlink(struct fs_server *s, struct fs_request *rq);
int fs_op_rmdir(struct fs_server *s, struct fs_request *rq);
int fs_op_rename(struct fs_server *s, struct fs_request *rq);
int fs_op_rename2(struct fs_server *s, struct fs_request *rq);
int fs_op_link(struct fs_server *s, struct fs_request *rq);

/* readdir.c */
int fs_op_opendir(struct fs_server *s, struct fs_request *rq);
int fs_op_readdir(struct fs_server *s, struct fs_request *rq);
int fs_op_readdirplus(struct fs_server *s, struct fs_request *rq);
int fs_op_fsyncdir(struct fs_server *s, struct fs_request *rq);

/* ops_file.c */
int fs_op_open(struct fs_server *s, struct fs_request *rq);
int fs_op_create(struct fs_server *s, struct fs_request *rq);
int fs_op_tmpfile(struct fs_server *s, struct fs_request *rq);
int fs_op_read(struct fs_server *s, struct fs_request *rq);
int fs_op_write(struct fs_server *s, struct fs_request *rq);
int fs_op_release(struct fs_server *s, struct fs_request *rq);
int fs_op_flush(struct fs_server *s, struct fs_request *rq);
int fs_op_fsync(struct fs_server *s, struct fs_request *rq);
int fs_op_fallocate(struct fs_server *s, struct fs_request *rq);
int fs_op_lseek(struct fs_server *s, struct fs_request *rq);
int fs_op_copy_file_range(struct fs_server *s, struct fs_request *rq);

/* locks.c */
int fs_op_getlk(struct fs_server *s, struct fs_request *rq);
int fs_op_setlk(struct fs_server *s, struct fs_request *rq);
int fs_op_setlkw(struct fs_server *s, struct fs_request *rq);
/* The owner closed a descriptor of the file (FLUSH), or the handle is gone (RELEASE). */
void fs_locks_drop_owner(struct fs_server *s, const struct fs_node *node, uint64_t owner);
void fs_locks_drop_handle(struct fs_server *s, uint64_t fh);
/* The handle goes, and its flock() on a file of a read-only export. */
void fs_flock_drop(struct fs_handle *h);
/* The locks on the export's files. A request that waits for one is answered when it is tried again. */
void fs_locks_drop_export(struct fs_server *s, const struct fs_export *export);
/* All of them, and the requests that wait. */
void fs_locks_drop_all(struct fs_server *s);
/*
 * Tries the waiting requests again; true: one is answered, its reply is written
 * and its chain is to be pushed. Call until false.
 */
bool fs_locks_done(struct fs_server *s, unsigned int *queue, uint16_t *head, uint32_t *written);
/* Milliseconds until the next try is worth it; 0: nothing waits. Doubles from call to call. */
unsigned int fs_locks_retry_ms(struct fs_server *s);

#endif
