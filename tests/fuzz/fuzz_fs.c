/* SPDX-License-Identifier: MIT */
/*
 * Bytes become a sequence of FUSE requests, well-formed or not, to a file
 * server on a small tree in memory. Besides the sanitizers, the target itself
 * looks after each input for what must never happen: a change outside the
 * exported tree, a set-id bit or a device node inside it.
 */
#include <fcntl.h>
#include <ftw.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "devices/fs/fs_priv.h"
#include "image/base/index_writer.h"
#include "tests/support/fake_guest.h"

#define REQUIRE(cond)                                                                       \
	do {                                                                                \
		if (!(cond)) {                                                              \
			fprintf(stderr, "fuzz_fs: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                            \
		}                                                                           \
	} while (0)

enum {
	Q_HIPRIO,
	Q_REQUEST,
	MAX_REQUESTS = 64,
	MAX_KNOWN = 32,
	MAX_ROOM = 8192,
	FILE_LIMIT = 4 << 20,
	SLOT = 2 << 20,
	SLOTS = 4,
};

/* What lives as long as the process: libFuzzer has no other place to keep it. */
static struct fuzz {
	char dir[64];
	int dirfd;
	struct fake_guest *g;
	struct fs_server *server;
	gpa_t heap;
	struct stat outside; /* as it has to stay */

	/* Numbers the server gave out for this input. */
	uint64_t nodes[MAX_KNOWN];
	struct {
		uint64_t node, fh;
	} handles[MAX_KNOWN];
	unsigned int n_nodes, n_handles;

	const uint8_t *data;
	size_t left;
} fz;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	if (ftw->level == 0)
		return 0;
	REQUIRE(!S_ISCHR(st->st_mode) && !S_ISBLK(st->st_mode));
	REQUIRE(S_ISDIR(st->st_mode) || !(st->st_mode & (S_ISUID | S_ISGID)));
	return remove(path);
}

/* Removes what is in the directory; `checked` it has to be free of what no guest may make. */
static void empty(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", fz.dir, name);
	REQUIRE(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0);
}

static void remove_tree(void)
{
	empty("tree");
	(void)unlinkat(fz.dirfd, "tree", AT_REMOVEDIR);
	(void)unlinkat(fz.dirfd, "outside", 0);
	(void)rmdir(fz.dir);
}

static void add_file(const char *path, const char *text)
{
	int fd = openat(fz.dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void fill_tree(void)
{
	add_file("tree/a", "some text\n");
	REQUIRE(mkdirat(fz.dirfd, "tree/d", 0755) == 0);
	add_file("tree/d/b", "");
	REQUIRE(symlinkat("../outside", fz.dirfd, "tree/l") == 0);
	REQUIRE(mkfifoat(fz.dirfd, "tree/p", 0644) == 0);
}

static void export_tree(struct fs_server *s, const char *name, const char *path, bool writable,
			enum fs_cache cache)
{
	const struct fs_export_config cfg = {
		.name = name,
		.fd = openat(fz.dirfd, path, O_PATH | O_CLOEXEC),
		.writable = writable,
		.cache = cache,
	};

	REQUIRE(fs_server_add_export(s, &cfg) == 0);
}

/* An export behind an index: a directory d with a pristine a, a shared b that is never there, a link l. */
static void export_index(struct fs_server *s)
{
	struct fs_export_config cfg = {
		.name = "ix",
		.fd = openat(fz.dirfd, "tree", O_PATH | O_CLOEXEC),
		.cache = FS_CACHE_LONG,
	};
	const struct index_header head = {.built = 0};
	const struct index_entry dir = {.kind = INDEX_DIR, .mode = S_IFDIR | 0755};
	const struct index_entry a = {.kind = INDEX_PRISTINE, .mode = S_IFREG | 0644};
	const struct index_entry b = {.kind = INDEX_SHARED, .mode = S_IFREG | 0644, .size = 9};
	const struct index_entry l = {.kind = INDEX_LINK, .mode = S_IFLNK | 0777};
	struct index_writer *w;
	struct index *ix;
	uint8_t *file;
	uint32_t d;
	size_t len;

	REQUIRE(index_writer_new(&w) == 0);
	REQUIRE(index_writer_add(w, 0, "d", &dir, NULL, 0, &d) == 0);
	REQUIRE(index_writer_add(w, d, "a", &a, "text", 4, NULL) == 0);
	REQUIRE(index_writer_add(w, d, "b", &b, NULL, 0, NULL) == 0);
	REQUIRE(index_writer_add(w, d, "l", &l, "../outside", 10, NULL) == 0);
	REQUIRE(index_writer_finish(w, &head, &file, &len) == 0);
	index_writer_free(w);
	REQUIRE(index_from_memory(file, len, &ix) == 0);
	cfg.index = ix;
	REQUIRE(fs_server_add_export(s, &cfg) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	/* Few descriptors, so that they run out; small files, so that memory does not. */
	const struct rlimit files = {300, 300}, size = {FILE_LIMIT, FILE_LIMIT};
	struct virtio_device *vdev;
	struct fs_server *s;

	(void)argc;
	(void)argv;
	REQUIRE(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_FSIZE, &size) == 0);
	umask(0);
	strcpy(fz.dir, "/dev/shm/sandcastle-fuzz-fs-XXXXXX");
	REQUIRE(mkdtemp(fz.dir));
	fz.dirfd = open(fz.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(fz.dirfd >= 0 && mkdirat(fz.dirfd, "tree", 0755) == 0);
	add_file("outside", "untouched");
	REQUIRE(fstatat(fz.dirfd, "outside", &fz.outside, 0) == 0);
	atexit(remove_tree);

	REQUIRE(fs_server_new(&s) == 0);
	REQUIRE(fs_server_add_window(s, (uint64_t)SLOTS * SLOT) == 0);
	fz.server = s;
	export_tree(s, "rw", "tree", true, FS_CACHE_SHORT);
	export_tree(s, "ro", "tree", false, FS_CACHE_LONG);
	export_index(s);
	fz.g = fake_guest_new();
	REQUIRE(virtio_fs_new("fuzz", s, &vdev) == 0);
	fz.heap = fz.g->heap;
	fake_guest_start(fz.g, vdev, 0);
	return 0;
}

static uint8_t get8(void)
{
	if (fz.left == 0)
		return 0;
	fz.left--;
	return *fz.data++;
}

static void get_bytes(void *dst, size_t len)
{
	size_t n = min_size(len, fz.left);

	memset(dst, 0, len);
	if (n)
		memcpy(dst, fz.data, n);
	fz.data += n;
	fz.left -= n;
}

/* A node the server knows, mostly. */
static uint64_t pick_node(void)
{
	uint8_t b = get8();
	uint64_t v;

	if (b < 0xf0)
		return fz.nodes[b % min_size(fz.n_nodes, MAX_KNOWN)];
	get_bytes(&v, sizeof(v));
	return v;
}

/* An open file's number, mostly; *node becomes the one it belongs to, mostly. */
static uint64_t pick_handle(uint64_t *node)
{
	uint8_t b = get8();
	/* A frozen server gives none. */
	size_t n = min_size(fz.n_handles, MAX_KNOWN), i = n ? b % n : 0;
	uint64_t v;

	if (n && b < 0xf0) {
		if (b < 0xc0)
			*node = fz.handles[i].node;
		return fz.handles[i].fh;
	}
	get_bytes(&v, sizeof(v));
	return v;
}

static size_t put_name(uint8_t *dst)
{
	static const char *const names[] = {"a",	  "d",	    "b",  "l", "p", "n",
					    "rw",	  "ro",	    "..", ".", "/", "d/b",
					    "../outside", "user.x", "ix", ""};
	uint8_t b = get8();
	size_t len;

	if (b < 0xe0) {
		const char *name = names[b % ARRAY_SIZE(names)];

		memcpy(dst, name, strlen(name) + 1);
		return strlen(name) + 1;
	}
	len = get8();
	get_bytes(dst, len);
	return len;
}

static void learn_node(const uint8_t *reply, size_t len)
{
	if (len >= sizeof(uint64_t))
		memcpy(&fz.nodes[fz.n_nodes++ % MAX_KNOWN], reply, sizeof(uint64_t));
}

static void learn_handle(uint64_t node, const uint8_t *reply, size_t len)
{
	unsigned int i = fz.n_handles % MAX_KNOWN;

	if (len < sizeof(uint64_t))
		return;
	fz.handles[i].node = node;
	memcpy(&fz.handles[i].fh, reply, sizeof(uint64_t));
	fz.n_handles++;
}

/* Notes the numbers of a reply that has any. */
static void learn(uint32_t opcode, uint64_t node, const uint8_t *reply, size_t len)
{
	const size_t entry = sizeof(struct fuse_entry_out);

	switch (opcode) {
	case FUSE_CREATE:
	case FUSE_TMPFILE:
		learn_node(reply, len);
		if (len > entry) {
			memcpy(&node, reply, sizeof(node));
			learn_handle(node, reply + entry, len - entry);
		}
		break;
	case FUSE_LOOKUP:
	case FUSE_MKDIR:
	case FUSE_MKNOD:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		learn_node(reply, len);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		learn_handle(node, reply, len);
		break;
	default:
		break;
	}
}

static void put64(uint8_t *dst, uint64_t v)
{
	memcpy(dst, &v, sizeof(v));
}

/* The structure's bytes as they come, with known numbers where they are likely to be read. */
static size_t put_arg(uint32_t opcode, uint8_t *dst, uint64_t *node)
{
	static const uint8_t sizes[64] = {
		[FUSE_FORGET] = 8,	   [FUSE_GETATTR] = 16,
		[FUSE_SETATTR] = 88,	   [FUSE_MKNOD] = 16,
		[FUSE_MKDIR] = 8,	   [FUSE_RENAME] = 8,
		[FUSE_LINK] = 8,	   [FUSE_OPEN] = 8,
		[FUSE_READ] = 40,	   [FUSE_WRITE] = 40,
		[FUSE_RELEASE] = 24,	   [FUSE_FSYNC] = 16,
		[FUSE_SETXATTR] = 8,	   [FUSE_GETXATTR] = 8,
		[FUSE_LISTXATTR] = 8,	   [FUSE_FLUSH] = 24,
		[FUSE_INIT] = 64,	   [FUSE_OPENDIR] = 8,
		[FUSE_READDIR] = 40,	   [FUSE_RELEASEDIR] = 24,
		[FUSE_FSYNCDIR] = 16,	   [FUSE_GETLK] = 48,
		[FUSE_SETLK] = 48,	   [FUSE_SETLKW] = 48,
		[FUSE_CREATE] = 16,	   [FUSE_INTERRUPT] = 8,
		[FUSE_BATCH_FORGET] = 8,   [FUSE_FALLOCATE] = 32,
		[FUSE_READDIRPLUS] = 40,   [FUSE_RENAME2] = 16,
		[FUSE_LSEEK] = 24,	   [FUSE_COPY_FILE_RANGE] = 56,
		[FUSE_TMPFILE] = 16,	   [FUSE_SETUPMAPPING] = 40,
		[FUSE_REMOVEMAPPING] = 36,
	};
	size_t len = opcode < ARRAY_SIZE(sizes) ? sizes[opcode] : get8();
	uint8_t how = get8();
	uint64_t v;

	/* The bytes: all zero but a few, or any. */
	if (how & 1) {
		get_bytes(dst, len);
	} else {
		memset(dst, 0, len);
		if (len)
			dst[get8() % len] = get8();
		if (len >= 20)
			dst[17] = 8; /* a size of 2 KiB where READ and READDIR have it */
	}
	if (len < 8 || (how & 0x0e) == 0x0e)
		return len;
	switch (opcode) {
	case FUSE_SETUPMAPPING: /* foffset, len, flags, moffset */
		put64(dst + 8, (get8() & 3) * (uint64_t)SLOT);
		put64(dst + 16, SLOT);
		put64(dst + 24, FUSE_SETUPMAPPING_FLAG_READ);
		put64(dst + 32, get8() % (SLOTS + 1) * (uint64_t)SLOT);
		break;
	case FUSE_REMOVEMAPPING: /* count, two of moffset and len */
		put64(dst, get8() % 4);
		for (unsigned int i = 0; i < 2; i++) {
			put64(dst + 4 + 16 * i, get8() % (SLOTS + 1) * (uint64_t)SLOT);
			put64(dst + 12 + 16 * i, SLOT);
		}
		break;
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
		v = pick_node();
		memcpy(dst, &v, sizeof(v));
		break;
	case FUSE_SETATTR:
		v = pick_handle(node);
		memcpy(dst + 8, &v, sizeof(v));
		dst[2] = dst[3] = 0;
		break;
	case FUSE_COPY_FILE_RANGE:
		v = pick_handle((uint64_t *)(void *)(dst + 16));
		memcpy(dst + 24, &v, sizeof(v));
		v = pick_handle(node);
		memcpy(dst, &v, sizeof(v));
		break;
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNCDIR:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
		v = pick_handle(node);
		memcpy(dst, &v, sizeof(v));
		break;
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		v = pick_handle(node);
		memcpy(dst, &v, sizeof(v));
		dst[8] &= 3; /* few owners */
		dst[32] &= 3; /* the three types, and one that is none */
		break;
	default:
		break;
	}
	return len;
}

static void one_request(void)
{
	_Alignas(8) uint8_t buf[2048];
	uint8_t how = get8(), room_sel = get8();
	uint32_t opcode = get8() % 60;
	size_t len = sizeof(struct fuse_in_header), room, cut;
	struct fuse_in_header hdr = {.opcode = opcode, .unique = 1};
	struct fake_seg segs[4];
	struct fuse_out_header out;
	unsigned int n = 0, q = how & 4 ? Q_HIPRIO : Q_REQUEST;
	uint32_t written;

	hdr.uid = how & 8 ? 1000 : 0;
	hdr.nodeid = pick_node();
	len += put_arg(opcode, buf + len, &hdr.nodeid);
	for (unsigned int names = how >> 6; names; names--)
		len += put_name(buf + len);
	hdr.len = (uint32_t)len;
	if ((how & 0x30) == 0x30)
		get_bytes(&hdr, get8() % (sizeof(hdr) + 1));
	memcpy(buf, &hdr, sizeof(hdr));

	room = room_sel < 0xf0 ? MAX_ROOM : (size_t)(room_sel & 0xf) * 12;
	cut = (room_sel & 0x0c) == 0x0c ? 1 + room_sel % (len - 1) : len;
	segs[n++] = fake_put(fz.g, buf, cut);
	if (cut < len)
		segs[n++] = fake_put(fz.g, buf + cut, len - cut);
	if (room > 7 && (room_sel & 3) == 3) {
		segs[n++] = fake_room(fz.g, 7);
		segs[n++] = fake_room(fz.g, room - 7);
	} else if (room) {
		segs[n++] = fake_room(fz.g, room);
	}
	(void)fake_publish(fz.g, q, segs, n);
	fake_kick(fz.g, q);
	if (!fake_reap(fz.g, q, NULL, &written))
		return;
	REQUIRE(written <= room);
	/* Only what was not cut is looked at. */
	if (written < sizeof(out) || (room_sel & 3) == 3)
		return;
	memcpy(&out, fake_ptr(fz.g, segs[n - 1].addr, sizeof(out)), sizeof(out));
	REQUIRE(out.len == written && out.error <= 0);
	if (out.error == 0)
		learn(opcode, hdr.nodeid,
		      (const uint8_t *)fake_ptr(fz.g, segs[n - 1].addr, written) + sizeof(out),
		      written - sizeof(out));
}

/* What a vCPU that met a missing page has done; before it, the host may cut a file short. */
static void mend_window(uint8_t how)
{
	int fd;

	if (how & 1) {
		fd = openat(fz.dirfd, "tree/a", O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0) {
			(void)!ftruncate(fd, how >> 1);
			close(fd);
		}
	}
	(void)fs_server_mend_window(fz.server);
}

/* Nothing but zeroes is left in the window. */
static void check_window(void)
{
	const uint64_t *window = fz.g->vdev->shm;

	for (size_t i = 0; i < (size_t)SLOTS * SLOT / sizeof(*window); i += 4096 / sizeof(*window))
		REQUIRE(window[i] == 0);
}

/* One well-formed request; its reply, if it succeeded, is learnt from. */
static void good(uint32_t opcode, uint64_t node, const void *arg, size_t len)
{
	uint8_t rq[256], in[512];
	struct fuse_in_header hdr = {
		.len = (uint32_t)(sizeof(hdr) + len),
		.opcode = opcode,
		.unique = 1,
		.nodeid = node,
	};
	long n;

	memcpy(rq, &hdr, sizeof(hdr));
	memcpy(rq + sizeof(hdr), arg, len);
	n = fake_request(fz.g, Q_REQUEST, rq, hdr.len, in, sizeof(in));
	REQUIRE(n > (long)sizeof(struct fuse_out_header));
	learn(opcode, node, in + sizeof(struct fuse_out_header),
	      (size_t)n - sizeof(struct fuse_out_header));
}

/*
 * What every input would have to begin with: INIT, the exports and their files
 * looked up, some of them opened unless the server is frozen.
 */
static void begin(void)
{
	const struct fuse_init_in init = {.major = FUSE_KERNEL_VERSION,
					  .minor = FUSE_KERNEL_MINOR_VERSION};
	const struct fuse_open_in rdwr = {.flags = O_RDWR}, rdonly = {.flags = O_RDONLY};

	fake_guest_reset(fz.g);
	fake_release(fz.g, fz.heap);
	fake_guest_restart(fz.g, 0);
	fz.n_nodes = fz.n_handles = 0;
	good(FUSE_INIT, 0, &init, sizeof(init));
	good(FUSE_LOOKUP, FUSE_ROOT_ID, "rw", 3);
	good(FUSE_LOOKUP, fz.nodes[0], "a", 2);
	good(FUSE_LOOKUP, fz.nodes[0], "d", 2);
	good(FUSE_LOOKUP, FUSE_ROOT_ID, "ro", 3);
	good(FUSE_LOOKUP, fz.nodes[3], "a", 2);
	good(FUSE_LOOKUP, FUSE_ROOT_ID, "ix", 3);
	good(FUSE_LOOKUP, fz.nodes[5], "d", 2);
	good(FUSE_LOOKUP, fz.nodes[6], "a", 2);
	good(FUSE_LOOKUP, fz.nodes[6], "b", 2);
	if (fz.server->frozen)
		return;
	good(FUSE_OPENDIR, fz.nodes[6], &rdonly, sizeof(rdonly));
	good(FUSE_OPEN, fz.nodes[1], &rdwr, sizeof(rdwr));
	good(FUSE_OPEN, fz.nodes[1], &rdwr, sizeof(rdwr));
	good(FUSE_OPEN, fz.nodes[4], &rdonly, sizeof(rdonly));
	good(FUSE_OPENDIR, fz.nodes[0], &rdonly, sizeof(rdonly));
	good(FUSE_OPENDIR, fz.nodes[3], &rdonly, sizeof(rdonly));
	good(FUSE_OPENDIR, FUSE_ROOT_ID, &rdonly, sizeof(rdonly));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stat st;

	/* As the process the server runs in has it; libFuzzer puts a handler of its own there. */
	signal(SIGXFSZ, SIG_IGN);
	fz.data = data;
	fz.left = size;
	/* A frozen server is one that opens nothing. */
	fz.server->frozen = size > 0 && data[size - 1] % 2;
	fill_tree();
	begin();
	for (int i = 0; i < MAX_REQUESTS && fz.left > 0 && !fz.g->vdev->broken; i++) {
		if ((*fz.data & 0x1f) == 0x1f)
			mend_window(get8());
		else
			one_request();
	}
	fake_guest_reset(fz.g);
	check_window();
	empty("tree");
	REQUIRE(fchmodat(fz.dirfd, "tree", 0755, 0) == 0);
	REQUIRE(fstatat(fz.dirfd, "outside", &st, 0) == 0);
	REQUIRE(st.st_mode == fz.outside.st_mode && st.st_size == fz.outside.st_size &&
		st.st_nlink == fz.outside.st_nlink && st.st_uid == fz.outside.st_uid &&
		st.st_mtim.tv_sec == fz.outside.st_mtim.tv_sec &&
		st.st_mtim.tv_nsec == fz.outside.st_mtim.tv_nsec);
	return 0;
}
