/* SPDX-License-Identifier: MIT */
#include "tests/unit/devices/fs/fuse_client.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define REQUIRE(cond)                                                                           \
	do {                                                                                    \
		if (!(cond)) {                                                                  \
			fprintf(stderr, "fuse_client: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                                \
		}                                                                               \
	} while (0)

static void add_file(int dirfd, const char *path, const char *text, mode_t mode)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	REQUIRE(fd >= 0);
	REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	REQUIRE(fchmod(fd, mode) == 0);
	close(fd);
}

static void make_tree(int dirfd)
{
	add_file(dirfd, "outside", "secret", 0644);
	REQUIRE(mkdirat(dirfd, "tree", 0755) == 0);
	add_file(dirfd, "tree/hello", "hello, guest\n", 0644);
	add_file(dirfd, "tree/suid", "#!/bin/true\n", 0755 | S_ISUID | S_ISGID);
	REQUIRE(mkdirat(dirfd, "tree/sub", 0755) == 0);
	add_file(dirfd, "tree/sub/deep", "deep\n", 0600);
	REQUIRE(symlinkat("../outside", dirfd, "tree/escape") == 0);
	REQUIRE(symlinkat("/", dirfd, "tree/rootlink") == 0);
	REQUIRE(mkfifoat(dirfd, "tree/fifo", 0644) == 0);
	REQUIRE(linkat(dirfd, "tree/hello", dirfd, "tree/sub/again", 0) == 0);
}

void fc_init_bare(struct fuse_client *c)
{
	struct rlimit lim;

	umask(0);
	/* Tables of the size of the limit: a test needs no more, and starts faster. */
	REQUIRE(getrlimit(RLIMIT_NOFILE, &lim) == 0);
	if (lim.rlim_cur > 4096) {
		lim.rlim_cur = 4096;
		REQUIRE(setrlimit(RLIMIT_NOFILE, &lim) == 0);
	}
	*c = (struct fuse_client){.dir = "/tmp/sandcastle-fs-XXXXXX"};
	REQUIRE(mkdtemp(c->dir));
	c->dirfd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(c->dirfd >= 0);
	make_tree(c->dirfd);
	REQUIRE(fs_server_new(&c->server) == 0);
}

void fc_export(struct fuse_client *c, const char *name, const char *path, bool writable,
	       enum fs_cache cache)
{
	const struct fs_export_config cfg = {
		.name = name,
		.fd = openat(c->dirfd, path, O_PATH | O_CLOEXEC),
		.writable = writable,
		.cache = cache,
	};

	REQUIRE(fs_server_add_export(c->server, &cfg) == 0);
}

void fc_start(struct fuse_client *c)
{
	struct virtio_device *vdev;
	struct fuse_init_out out;

	c->g = fake_guest_new();
	REQUIRE(virtio_fs_new("sandcastle", c->server, &vdev) == 0);
	fake_guest_start(c->g, vdev, 0);
	REQUIRE(fc_init_session(c, &out) > 0);
}

void fc_init(struct fuse_client *c)
{
	fc_init_bare(c);
	fc_export(c, "base", "tree", false, FS_CACHE_LONG);
	fc_export(c, "ro", "tree", false, FS_CACHE_SHORT);
	fc_export(c, "rw", "tree", true, FS_CACHE_SHORT);
	fc_start(c);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fc_fini(struct fuse_client *c)
{
	if (!c->dir[0])
		return;
	if (c->g)
		fake_guest_free(c->g);
	else
		fs_server_free(c->server);
	close(c->dirfd);
	(void)nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	*c = (struct fuse_client){.dirfd = -1};
}

void fc_host_write(const struct fuse_client *c, const char *path, const char *text, mode_t mode)
{
	add_file(c->dirfd, path, text, mode);
}

int fc_host_read(const struct fuse_client *c, const char *path, char *buf, size_t len)
{
	int fd = openat(c->dirfd, path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, buf, len - 1);
	close(fd);
	REQUIRE(n >= 0);
	buf[n] = '\0';
	return (int)n;
}

struct stat fc_host_stat(const struct fuse_client *c, const char *path)
{
	struct stat st;

	if (fstatat(c->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return (struct stat){.st_nlink = 0};
	return st;
}

/* Header, arg and tail as one readable buffer; the reply's header is checked and taken off. */
static int transact(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *arg,
		    size_t arg_len, const void *tail, size_t tail_len, void *reply,
		    size_t reply_len, bool may_wait)
{
	size_t out_len = sizeof(struct fuse_in_header) + arg_len + tail_len;
	size_t in_len = sizeof(struct fuse_out_header) + reply_len;
	uint8_t *out = malloc(out_len), *in = malloc(in_len);
	struct fuse_in_header hdr = {
		.len = (uint32_t)out_len,
		.opcode = opcode,
		.unique = ++c->unique,
		.nodeid = node,
		.uid = c->uid,
		.gid = c->uid,
		.pid = 1,
	};
	struct fuse_out_header rhdr;
	long n;

	REQUIRE(out && in);
	memcpy(out, &hdr, sizeof(hdr));
	if (arg_len)
		memcpy(out + sizeof(hdr), arg, arg_len);
	if (tail_len)
		memcpy(out + sizeof(hdr) + arg_len, tail, tail_len);
	n = fake_request(c->g, FC_Q_REQUEST, out, out_len, in, in_len);
	free(out);
	if (n < 0 && may_wait) {
		free(in);
		return -EINPROGRESS;
	}
	REQUIRE(n >= (long)sizeof(rhdr));
	memcpy(&rhdr, in, sizeof(rhdr));
	REQUIRE(rhdr.len == n && rhdr.unique == hdr.unique && rhdr.error <= 0);
	n -= (long)sizeof(rhdr);
	REQUIRE(n == 0 || reply);
	if (n > 0)
		memcpy(reply, in + sizeof(rhdr), (size_t)n);
	free(in);
	return rhdr.error ? rhdr.error : (int)n;
}

int fc_call(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *arg, size_t arg_len,
	    const void *tail, size_t tail_len, void *reply, size_t reply_len)
{
	return transact(c, opcode, node, arg, arg_len, tail, tail_len, reply, reply_len, false);
}

int fc_init_session(struct fuse_client *c, struct fuse_init_out *out)
{
	const struct fuse_init_in in = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_readahead = 128 << 10,
		.flags = UINT32_MAX,
	};

	return fc_call(c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, out, sizeof(*out));
}

int fc_lookup(struct fuse_client *c, uint64_t dir, const char *name, struct fuse_entry_out *out)
{
	return fc_call(c, FUSE_LOOKUP, dir, NULL, 0, name, strlen(name) + 1, out, sizeof(*out));
}

uint64_t fc_walk(struct fuse_client *c, const char *path)
{
	struct fuse_entry_out entry = {.nodeid = FUSE_ROOT_ID};
	char buf[256], *save = NULL;

	REQUIRE(strlen(path) < sizeof(buf));
	memcpy(buf, path, strlen(path) + 1);
	for (char *p = strtok_r(buf, "/", &save); p; p = strtok_r(NULL, "/", &save)) {
		int r = fc_lookup(c, entry.nodeid, p, &entry);

		if (r < 0 || entry.nodeid == 0)
			fprintf(stderr, "fc_walk: %s: %s\n", path, strerror(-r));
		REQUIRE(r > 0 && entry.nodeid);
	}
	return entry.nodeid;
}

void fc_forget(struct fuse_client *c, uint64_t node, uint64_t count)
{
	struct {
		struct fuse_in_header hdr;
		struct fuse_forget_in in;
	} rq = {
		.hdr = {.len = sizeof(rq), .opcode = FUSE_FORGET, .nodeid = node},
		.in = {.nlookup = count},
	};

	REQUIRE(fake_request(c->g, FC_Q_HIPRIO, &rq, sizeof(rq), NULL, 0) == 0);
}

int fc_getattr(struct fuse_client *c, uint64_t node, struct fuse_attr *out)
{
	const struct fuse_getattr_in in = {.getattr_flags = 0};
	struct fuse_attr_out reply;
	int r = fc_call(c, FUSE_GETATTR, node, &in, sizeof(in), NULL, 0, &reply, sizeof(reply));

	if (r > 0)
		*out = reply.attr;
	return r;
}

int fc_setattr(struct fuse_client *c, uint64_t node, struct fuse_setattr_in *in)
{
	struct fuse_attr_out reply;

	return fc_call(c, FUSE_SETATTR, node, in, sizeof(*in), NULL, 0, &reply, sizeof(reply));
}

int fc_chmod(struct fuse_client *c, uint64_t node, uint32_t mode)
{
	struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = mode};

	return fc_setattr(c, node, &in);
}

static int open_any(struct fuse_client *c, uint32_t opcode, uint64_t node, uint32_t flags,
		    uint64_t *fh)
{
	const struct fuse_open_in in = {.flags = flags};
	struct fuse_open_out out;
	int r = fc_call(c, opcode, node, &in, sizeof(in), NULL, 0, &out, sizeof(out));

	if (r > 0)
		*fh = out.fh;
	return r;
}

int fc_open(struct fuse_client *c, uint64_t node, uint32_t flags, uint64_t *fh)
{
	return open_any(c, FUSE_OPEN, node, flags, fh);
}

int fc_opendir(struct fuse_client *c, uint64_t node, uint64_t *fh)
{
	return open_any(c, FUSE_OPENDIR, node, O_RDONLY | O_DIRECTORY, fh);
}

int fc_create(struct fuse_client *c, uint64_t dir, const char *name, uint32_t flags, uint32_t mode,
	      uint64_t *node, uint64_t *fh)
{
	const struct fuse_create_in in = {.flags = flags | O_CREAT, .mode = S_IFREG | mode};
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out;
	int r = fc_call(c, FUSE_CREATE, dir, &in, sizeof(in), name, strlen(name) + 1, &out,
			sizeof(out));

	if (r > 0) {
		*node = out.entry.nodeid;
		*fh = out.open.fh;
	}
	return r;
}

int fc_read(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t off, void *buf, size_t len)
{
	const struct fuse_read_in in = {.fh = fh, .offset = off, .size = (uint32_t)len};

	return fc_call(c, FUSE_READ, node, &in, sizeof(in), NULL, 0, buf, len);
}

int fc_write(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t off, const void *buf,
	     size_t len, uint32_t flags)
{
	const struct fuse_write_in in = {
		.fh = fh, .offset = off, .size = (uint32_t)len, .flags = flags};
	struct fuse_write_out out;
	int r = fc_call(c, FUSE_WRITE, node, &in, sizeof(in), buf, len, &out, sizeof(out));

	return r > 0 ? (int)out.size : r;
}

int fc_release(struct fuse_client *c, uint64_t node, uint64_t fh)
{
	const struct fuse_release_in in = {.fh = fh};

	return fc_call(c, FUSE_RELEASE, node, &in, sizeof(in), NULL, 0, NULL, 0);
}

int fc_mkdir(struct fuse_client *c, uint64_t dir, const char *name, uint32_t mode)
{
	const struct fuse_mkdir_in in = {.mode = mode};
	struct fuse_entry_out out;

	return fc_call(c, FUSE_MKDIR, dir, &in, sizeof(in), name, strlen(name) + 1, &out,
		       sizeof(out));
}

int fc_mknod(struct fuse_client *c, uint64_t dir, const char *name, uint32_t mode)
{
	const struct fuse_mknod_in in = {.mode = mode, .rdev = 0x103};
	struct fuse_entry_out out;

	return fc_call(c, FUSE_MKNOD, dir, &in, sizeof(in), name, strlen(name) + 1, &out,
		       sizeof(out));
}

/* Two strings, each with its NUL. */
static size_t two_names(char buf[8192], const char *a, const char *b)
{
	size_t la = strlen(a) + 1, lb = strlen(b) + 1;

	REQUIRE(la + lb <= 8192);
	memcpy(buf, a, la);
	memcpy(buf + la, b, lb);
	return la + lb;
}

int fc_symlink(struct fuse_client *c, uint64_t dir, const char *name, const char *target)
{
	struct fuse_entry_out out;
	char tail[8192];
	size_t len = two_names(tail, name, target);

	return fc_call(c, FUSE_SYMLINK, dir, NULL, 0, tail, len, &out, sizeof(out));
}

int fc_readlink(struct fuse_client *c, uint64_t node, char *buf, size_t len)
{
	return fc_call(c, FUSE_READLINK, node, NULL, 0, NULL, 0, buf, len);
}

int fc_unlink(struct fuse_client *c, uint64_t dir, const char *name)
{
	return fc_call(c, FUSE_UNLINK, dir, NULL, 0, name, strlen(name) + 1, NULL, 0);
}

int fc_rmdir(struct fuse_client *c, uint64_t dir, const char *name)
{
	return fc_call(c, FUSE_RMDIR, dir, NULL, 0, name, strlen(name) + 1, NULL, 0);
}

int fc_rename(struct fuse_client *c, uint64_t from, const char *name, uint64_t to,
	      const char *new_name, uint32_t flags)
{
	const struct fuse_rename2_in in2 = {.newdir = to, .flags = flags};
	const struct fuse_rename_in in = {.newdir = to};
	char tail[8192];
	size_t len = two_names(tail, name, new_name);

	if (flags)
		return fc_call(c, FUSE_RENAME2, from, &in2, sizeof(in2), tail, len, NULL, 0);
	return fc_call(c, FUSE_RENAME, from, &in, sizeof(in), tail, len, NULL, 0);
}

int fc_link(struct fuse_client *c, uint64_t node, uint64_t dir, const char *name,
	    struct fuse_entry_out *out)
{
	const struct fuse_link_in in = {.oldnodeid = node};

	return fc_call(c, FUSE_LINK, dir, &in, sizeof(in), name, strlen(name) + 1, out,
		       sizeof(*out));
}

int fc_setxattr(struct fuse_client *c, uint64_t node, const char *name, const char *value)
{
	struct {
		uint32_t size, flags;
	} in = {.size = (uint32_t)strlen(value)};
	char tail[8192];
	size_t len = two_names(tail, name, value) - 1;

	return fc_call(c, FUSE_SETXATTR, node, &in, sizeof(in), tail, len, NULL, 0);
}

int fc_getxattr(struct fuse_client *c, uint64_t node, const char *name, void *buf, size_t len)
{
	const struct fuse_getxattr_in in = {.size = (uint32_t)len};

	return fc_call(c, FUSE_GETXATTR, node, &in, sizeof(in), name, strlen(name) + 1, buf, len);
}

int fc_readdir(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t off, void *buf,
	       size_t len, bool plus)
{
	const struct fuse_read_in in = {.fh = fh, .offset = off, .size = (uint32_t)len};

	return fc_call(c, plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, &in, sizeof(in), NULL, 0,
		       buf, len);
}

bool fc_listed(struct fuse_client *c, uint64_t node, const char *name, bool plus,
	       struct fuse_entry_out *entry)
{
	uint64_t fh = 0, off = 0;
	uint8_t buf[1024];
	bool found = false;
	/* A frozen server has its directories listed without it. */
	const int opened = fc_opendir(c, node, &fh);
	int n;

	REQUIRE(opened > 0 || opened == -ENOSYS);
	while ((n = fc_readdir(c, node, fh, off, buf, sizeof(buf), plus)) > 0) {
		for (size_t pos = 0; pos < (size_t)n;) {
			struct fuse_entry_out e = {.nodeid = 0};
			struct fuse_dirent d;

			if (plus) {
				memcpy(&e, buf + pos, sizeof(e));
				pos += sizeof(e);
			}
			memcpy(&d, buf + pos, FUSE_NAME_OFFSET);
			if (d.namelen == strlen(name) &&
			    !memcmp(buf + pos + FUSE_NAME_OFFSET, name, d.namelen)) {
				found = true;
				if (entry)
					*entry = e;
			}
			/* The entry's part in front of a plain entry keeps its alignment. */
			pos += FUSE_REC_ALIGN(FUSE_NAME_OFFSET + d.namelen);
			off = d.off;
		}
	}
	REQUIRE(n == 0);
	REQUIRE(opened < 0 || fc_release(c, node, fh) == 0);
	return found;
}

int fc_lock(struct fuse_client *c, uint32_t opcode, uint64_t node, uint64_t fh, uint64_t owner,
	    uint32_t type, bool flock_style)
{
	const struct fuse_lk_in in = {
		.fh = fh,
		.owner = owner,
		.lk = {.start = 0, .end = INT64_MAX, .type = type, .pid = 1},
		.lk_flags = flock_style ? FUSE_LK_FLOCK : 0,
	};

	return transact(c, opcode, node, &in, sizeof(in), NULL, 0, NULL, 0, true);
}

int fc_lock_answer(struct fuse_client *c)
{
	struct fake_ring *ring = &c->g->rings[FC_Q_REQUEST];
	struct fuse_out_header out;
	uint16_t head, last;
	uint32_t written;
	uint64_t addr;

	fake_guest_settle(c->g);
	if (!fake_reap(c->g, FC_Q_REQUEST, &head, &written))
		return -EINPROGRESS;
	REQUIRE(written == sizeof(out));
	/* The reply's buffer is the chain's second and last. */
	last = ring->next[head];
	memcpy(&addr, fake_ptr(c->g, ring->desc + 16ull * last, sizeof(addr)), sizeof(addr));
	memcpy(&out, fake_ptr(c->g, addr, sizeof(out)), sizeof(out));
	return out.error;
}

int fc_flush(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t owner)
{
	const struct fuse_flush_in in = {.fh = fh, .lock_owner = owner};

	return fc_call(c, FUSE_FLUSH, node, &in, sizeof(in), NULL, 0, NULL, 0);
}
