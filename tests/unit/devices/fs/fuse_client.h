/* SPDX-License-Identifier: MIT */
/* tests/unit/devices/fs/fuse_client.h - a FUSE driver on a fake guest, and a tree for it to work on. */
#ifndef TESTS_UNIT_DEVICES_FS_FUSE_CLIENT_H
#define TESTS_UNIT_DEVICES_FS_FUSE_CLIENT_H

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/stat.h>

#include "devices/fs/fs.h"
#include "tests/support/fake_guest.h"

enum {
	FC_Q_HIPRIO,
	FC_Q_REQUEST,
	FC_MAX_IO = 128 << 10, /* bytes of one READ or WRITE */
};

/*
 * Every call returns what the server replied: bytes (or 0) if it did what was
 * asked, else its negative errno. A call whose request does not complete aborts
 * the test, unless it says otherwise.
 */
struct fuse_client {
	struct fake_guest *g;
	struct fs_server *server;
	uint64_t unique;
	uint32_t uid; /* the caller's, in request headers */
	char dir[64]; /* the temporary tree; removed by fc_fini() */
	int dirfd;
};

/*
 * A tree made by fc_tree() and exported as "rw" (writable, short cache), "ro"
 * (the same tree, read-only, short) and "base" (read-only, long); the session
 * is started with INIT.
 */
void fc_init(struct fuse_client *c);
void fc_fini(struct fuse_client *c); /* twice is fine; before cr_skip(), which runs no .fini */
/* As fc_init(), with nothing exported and nothing started. */
void fc_init_bare(struct fuse_client *c);
void fc_export(struct fuse_client *c, const char *name, const char *path, bool writable,
	       enum fs_cache cache);
void fc_start(struct fuse_client *c);

/* A file of the temporary tree, from the host's side. */
void fc_host_write(const struct fuse_client *c, const char *path, const char *text, mode_t mode);
/* Its text, at most len - 1 bytes and NUL-terminated; -1 if it does not open. */
int fc_host_read(const struct fuse_client *c, const char *path, char *buf, size_t len);
/* Its status; st_nlink is 0 if it does not exist. */
struct stat fc_host_stat(const struct fuse_client *c, const char *path);

/* Any request: header, arg, tail. */
int fc_call(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *arg, size_t arg_len,
	    const void *tail, size_t tail_len, void *reply, size_t reply_len);
int fc_init_session(struct fuse_client *c, struct fuse_init_out *out);

int fc_lookup(struct fuse_client *c, uint64_t dir, const char *name, struct fuse_entry_out *out);
/* The node of a path below the root; aborts the test if it does not exist. */
uint64_t fc_walk(struct fuse_client *c, const char *path);
void fc_forget(struct fuse_client *c, uint64_t node, uint64_t count);
int fc_getattr(struct fuse_client *c, uint64_t node, struct fuse_attr *out);
int fc_setattr(struct fuse_client *c, uint64_t node, struct fuse_setattr_in *in);
int fc_chmod(struct fuse_client *c, uint64_t node, uint32_t mode);
int fc_open(struct fuse_client *c, uint64_t node, uint32_t flags, uint64_t *fh);
int fc_create(struct fuse_client *c, uint64_t dir, const char *name, uint32_t flags, uint32_t mode,
	      uint64_t *node, uint64_t *fh);
int fc_opendir(struct fuse_client *c, uint64_t node, uint64_t *fh);
int fc_read(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t off, void *buf, size_t len);
int fc_write(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t off, const void *buf,
	     size_t len, uint32_t flags);
int fc_release(struct fuse_client *c, uint64_t node, uint64_t fh);
int fc_mkdir(struct fuse_client *c, uint64_t dir, const char *name, uint32_t mode);
int fc_mknod(struct fuse_client *c, uint64_t dir, const char *name, uint32_t mode);
int fc_symlink(struct fuse_client *c, uint64_t dir, const char *name, const char *target);
int fc_readlink(struct fuse_client *c, uint64_t node, char *buf, size_t len);
int fc_unlink(struct fuse_client *c, uint64_t dir, const char *name);
int fc_rmdir(struct fuse_client *c, uint64_t dir, const char *name);
int fc_rename(struct fuse_client *c, uint64_t from, const char *name, uint64_t to,
	      const char *new_name, uint32_t flags);
int fc_link(struct fuse_client *c, uint64_t node, uint64_t dir, const char *name,
	    struct fuse_entry_out *out);
int fc_setxattr(struct fuse_client *c, uint64_t node, const char *name, const char *value);
int fc_getxattr(struct fuse_client *c, uint64_t node, const char *name, void *buf, size_t len);
/* READDIR or READDIRPLUS from an offset; returns bytes in buf. */
int fc_readdir(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t off, void *buf,
	       size_t len, bool plus);
/* True if a listing of the directory holds the name; *entry (may be NULL) as READDIRPLUS gave it. */
bool fc_listed(struct fuse_client *c, uint64_t node, const char *name, bool plus,
	       struct fuse_entry_out *entry);
/* SETLK or SETLKW; -EINPROGRESS: not answered yet, fc_lock_answer() will take it. */
int fc_lock(struct fuse_client *c, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t owner,
	    uint32_t type, bool flock_style);
/* The answer to a lock request that waited; -EINPROGRESS: none yet. */
int fc_lock_answer(struct fuse_client *c);
int fc_flush(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t owner);

#endif
