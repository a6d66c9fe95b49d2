/* SPDX-License-Identifier: MIT */
/*
 * Bytes become a sequence of FUSE requests, well-formed or not, to two file servers on the
 * same trees (fs_world.h). Exports come and go, time passes, the host changes files, and
 * descriptors are few. Besides the sanitizers, the target itself looks after each input for what
 * must never happen: a change outside the exported tree or in one that is read-only, a
 * set-id bit or a device node in one that is not.
 */
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fs_world.h"
#include "tests/fuzz/fuzz_clock.h"
#include "tests/fuzz/fuzz_watch.h"

enum {
	Q_HIPRIO,
	Q_REQUEST,
	MAX_REQUESTS = 64,
	MAX_KNOWN = 32,
	MAX_SEGS = 6,
	SMALL_ROOM = 8192,
	LARGE_ROOM = 300 << 10,
	FEW_FDS = 24, /* of a server, some inputs have no more */
};

/* What one server gave out for this input. */
struct known {
	uint64_t nodes[MAX_KNOWN];
	struct {
		uint64_t node, fh;
	} handles[MAX_KNOWN];
	unsigned int n_nodes, n_handles;
};

/* libFuzzer has no other place to keep it. */
static struct {
	struct known known[FS_WORLD_SERVERS];
	unsigned int at; /* the server that is spoken to */
	const uint8_t *data;
	size_t left;
} fz;

static struct fake_guest *guest(void)
{
	return fs_world.guests[fz.at];
}

static struct fs_server *server(void)
{
	return fs_world.servers[fz.at];
}

static struct known *known(void)
{
	return &fz.known[fz.at];
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
		return known()->nodes[b % min_size(known()->n_nodes, MAX_KNOWN)];
	get_bytes(&v, sizeof(v));
	return v;
}

/* An open file's number, mostly; *node becomes the one it belongs to, mostly. */
static uint64_t pick_handle(uint64_t *node)
{
	uint8_t b = get8();
	/* A frozen server gives none. */
	size_t n = min_size(known()->n_handles, MAX_KNOWN), i = n ? b % n : 0;
	uint64_t v;

	if (n && b < 0xf0) {
		if (b < 0xc0)
			*node = known()->handles[i].node;
		return known()->handles[i].fh;
	}
	get_bytes(&v, sizeof(v));
	return v;
}

static size_t put_name(uint8_t *dst)
{
	static const char *const names[] = {
		"a",	"d",	"b",   "l",	     "p",      "n",    "rw",	 "ro",	"..",
		".",	"/",	"d/b", "../outside", "user.x", "ix",   "",	 "one", "still",
		"file", "many", "big", "e",	     "f",      "suid", "user.y", "m07"};
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
		memcpy(&known()->nodes[known()->n_nodes++ % MAX_KNOWN], reply, sizeof(uint64_t));
}

static void learn_handle(uint64_t node, const uint8_t *reply, size_t len)
{
	struct known *k = known();
	unsigned int i = k->n_handles % MAX_KNOWN;

	if (len < sizeof(uint64_t))
		return;
	k->handles[i].node = node;
	memcpy(&k->handles[i].fh, reply, sizeof(uint64_t));
	k->n_handles++;
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

/* Ranges few enough to meet, by few owners, of the three types and one that is none. */
static void put_lock(uint8_t *dst)
{
	struct fuse_lk_in in;
	uint8_t how = get8(), where = get8();

	memcpy(&in, dst, sizeof(in));
	in.owner = how & 3;
	in.lk.type = how >> 2 & 3;
	in.lk_flags = how & 0x10 ? FUSE_LK_FLOCK : 0;
	in.lk.start = how & 0x20 ? where : where % 8 * 10;
	in.lk.end = how & 0x40 ? INT64_MAX : in.lk.start + where / 8;
	memcpy(dst, &in, sizeof(in));
}

static void put_size(uint8_t *dst)
{
	static const uint32_t sizes[] = {0, 100, 4096, 65536, 250000, 0x7ffff000, UINT32_MAX};
	uint32_t size = sizes[get8() % ARRAY_SIZE(sizes)];

	memcpy(dst + offsetof(struct fuse_read_in, size), &size, sizeof(size));
}

/* What of a file's attributes is set; sizes are small, times of all kinds. */
static void put_setattr(uint8_t *dst)
{
	struct fuse_setattr_in in;
	uint16_t valid = (uint16_t)(get8() | (get8() & 1) << 8);

	memcpy(&in, dst, sizeof(in));
	in.valid = valid;
	in.size = in.size % 5 ? in.size % 70000 : in.size;
	in.mode = in.mode ? in.mode : 06755;
	memcpy(dst, &in, sizeof(in));
}

static void put_mapping(uint32_t opcode, uint8_t *dst)
{
	const uint64_t slot = FS_WORLD_SLOT, slots = FS_WORLD_SLOTS;

	if (opcode == FUSE_SETUPMAPPING) { /* foffset, len, flags, moffset */
		put64(dst + 8, (get8() & 3) * slot);
		put64(dst + 16, slot);
		put64(dst + 24, FUSE_SETUPMAPPING_FLAG_READ);
		put64(dst + 32, get8() % (slots + 1) * slot);
		return;
	}
	/* count, two of moffset and len */
	put64(dst, get8() % 4);
	for (unsigned int i = 0; i < 2; i++) {
		put64(dst + 4 + 16ull * i, get8() % (slots + 1) * slot);
		put64(dst + 12 + 16ull * i, slot);
	}
}

/* Numbers that the server gave out, and values that mean something, over the bytes at hand. */
static void put_known(uint32_t opcode, uint8_t *dst, uint64_t *node)
{
	switch (opcode) {
	case FUSE_SETUPMAPPING:
	case FUSE_REMOVEMAPPING:
		put_mapping(opcode, dst);
		break;
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_BATCH_FORGET:
		put64(dst, opcode == FUSE_BATCH_FORGET ? 1 : pick_node());
		break;
	case FUSE_SETATTR:
		put64(dst + 8, pick_handle(node));
		put_setattr(dst);
		break;
	case FUSE_COPY_FILE_RANGE:
		put64(dst + 24, pick_handle((uint64_t *)(void *)(dst + 16)));
		put64(dst, pick_handle(node));
		break;
	case FUSE_READ:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		put64(dst, pick_handle(node));
		put_size(dst);
		break;
	case FUSE_WRITE:
	case FUSE_RELEASE:
	case FUSE_FSYNC:
	case FUSE_FLUSH:
	case FUSE_RELEASEDIR:
	case FUSE_FSYNCDIR:
	case FUSE_FALLOCATE:
	case FUSE_LSEEK:
		put64(dst, pick_handle(node));
		break;
	case FUSE_GETLK:
	case FUSE_SETLK:
	case FUSE_SETLKW:
		put64(dst, pick_handle(node));
		put_lock(dst);
		break;
	default:
		break;
	}
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
	put_known(opcode, dst, node);
	return len;
}

/* Cuts a request and the room for its reply into segments. Returns how many. */
static unsigned int cut(const uint8_t *buf, size_t len, size_t room, uint8_t how,
			struct fake_seg *segs)
{
	size_t first = (how & 0x0c) == 0x0c ? 1 + how % (len - 1) : len;
	unsigned int n = 0;

	segs[n++] = fake_put(guest(), buf, first);
	if (first < len)
		segs[n++] = fake_put(guest(), buf + first, len - first);
	if (room > 7 && (how & 3) == 3) {
		segs[n++] = fake_room(guest(), 7);
		segs[n++] = fake_room(guest(), room - 7);
	} else if (room) {
		segs[n++] = fake_room(guest(), room);
	}
	return n;
}

/* The reply is a reply, and what it has of numbers is noted, unless it came in pieces. */
static void take_reply(const struct fuse_in_header *hdr, gpa_t at, uint32_t written)
{
	struct fuse_out_header out;

	if (written < sizeof(out))
		return;
	memcpy(&out, fake_ptr(guest(), at, sizeof(out)), sizeof(out));
	REQUIRE(out.len == written && out.error <= 0);
	if (out.error == 0)
		learn(hdr->opcode, hdr->nodeid,
		      (const uint8_t *)fake_ptr(guest(), at, written) + sizeof(out),
		      written - sizeof(out));
}

static bool has_descriptors(unsigned int q, unsigned int n)
{
	for (uint16_t i = 0; n > 0 && i < guest()->rings[q].size; i++)
		n -= !guest()->rings[q].taken[i];
	return n == 0;
}

/* Sends it and takes what is answered, this one or one that waited for a lock. */
static void send(const struct fuse_in_header *hdr, const uint8_t *buf, size_t len, size_t room,
		 unsigned int q, uint8_t how)
{
	struct fake_seg segs[MAX_SEGS];
	uint16_t head, mine;
	unsigned int n;
	uint32_t written;

	if (!has_descriptors(q, MAX_SEGS) || guest()->heap > FAKE_RAM_BASE + FAKE_RAM_SIZE / 4 * 3)
		return;
	n = cut(buf, len, room, how, segs);
	mine = how & 0x10 ? fake_publish_indirect(guest(), q, segs, n)
			  : fake_publish(guest(), q, segs, n);
	fuzz_watch_kick(guest(), q);
	while (fake_reap(guest(), q, &head, &written)) {
		REQUIRE(head != mine || written <= room);
		/* Only what was not cut is looked at. */
		if (head == mine && (how & 3) != 3)
			take_reply(hdr, segs[n - 1].addr, written);
	}
}

static size_t pick_room(uint8_t how)
{
	if (how < 0xd0)
		return SMALL_ROOM;
	return how < 0xf0 ? LARGE_ROOM : (size_t)(how & 0xf) * 12;
}

static void one_request(void)
{
	static _Alignas(8) uint8_t buf[70000];
	uint8_t how = get8(), room_sel = get8();
	size_t len = sizeof(struct fuse_in_header);
	struct fuse_in_header hdr = {.opcode = get8() % 60, .unique = 1};

	hdr.uid = how & 8 ? 1000 : 0;
	hdr.nodeid = pick_node();
	memset(buf, 0, 256);
	len += put_arg(hdr.opcode, buf + len, &hdr.nodeid);
	for (unsigned int names = how >> 6; names; names--)
		len += put_name(buf + len);
	/* Data of a WRITE: a little, or much. */
	if (hdr.opcode == FUSE_WRITE) {
		uint32_t size = get8() * (how & 4 ? 200u : 1u);

		memcpy(buf + sizeof(hdr) + offsetof(struct fuse_write_in, size), &size,
		       sizeof(size));
		len = sizeof(hdr) + sizeof(struct fuse_write_in) + size;
	}
	hdr.len = (uint32_t)len;
	if ((how & 0x30) == 0x30)
		get_bytes(&hdr, get8() % (sizeof(hdr) + 1));
	memcpy(buf, &hdr, sizeof(hdr));
	send(&hdr, buf, len, pick_room(room_sel), how & 2 && how & 1 ? Q_HIPRIO : Q_REQUEST,
	     room_sel);
}

/* One well-formed request; its reply, if it succeeded, is learnt from. */
static void good(uint32_t opcode, uint64_t node, const void *arg, size_t len)
{
	uint8_t rq[512], in[512];
	struct fuse_in_header hdr = {
		.len = (uint32_t)(sizeof(hdr) + len),
		.opcode = opcode,
		.unique = 1,
		.nodeid = node,
	};
	struct fuse_out_header out;
	long n;

	memcpy(rq, &hdr, sizeof(hdr));
	memcpy(rq + sizeof(hdr), arg, len);
	n = fake_request(guest(), Q_REQUEST, rq, hdr.len, in, sizeof(in));
	if (n < (long)sizeof(out))
		return;
	memcpy(&out, in, sizeof(out));
	if (out.error == 0)
		learn(opcode, node, in + sizeof(out), (size_t)n - sizeof(out));
}

/* Looks a path up from the root, and opens what it leads to unless flags is negative. */
static void walk(const char *path, int flags)
{
	struct fuse_open_in in = {.flags = (uint32_t)flags};
	uint64_t node = FUSE_ROOT_ID;
	char name[32];

	for (const char *end; *path; path = *end ? end + 1 : end) {
		unsigned int before = known()->n_nodes;

		end = strchrnul(path, '/');
		snprintf(name, sizeof(name), "%.*s", (int)(end - path), path);
		good(FUSE_LOOKUP, node, name, strlen(name) + 1);
		if (known()->n_nodes == before)
			return;
		node = known()->nodes[before % MAX_KNOWN];
	}
	if (flags >= 0)
		good(flags & O_DIRECTORY ? FUSE_OPENDIR : FUSE_OPEN, node, &in, sizeof(in));
}

/*
 * What every input would have to begin with: INIT with or without what a newer kernel says, the
 * exports and their files looked up, some of them opened unless the server is frozen.
 */
static void begin(uint8_t how)
{
	struct fuse_init_in init = {.major = FUSE_KERNEL_VERSION,
				    .minor = FUSE_KERNEL_MINOR_VERSION,
				    .max_readahead = 1 << 20,
				    .flags = how & 1 ? UINT32_MAX : 0,
				    .flags2 = how & 1 ? UINT32_MAX : 0};

	fake_guest_restart(guest(), 3ull << VIRTIO_RING_F_INDIRECT_DESC);
	*known() = (struct known){.n_nodes = 0};
	server()->max_fds = how & 2 ? FEW_FDS : FS_WORLD_FDS;
	good(FUSE_INIT, 0, &init, sizeof(init));
	walk("rw", O_DIRECTORY);
	walk("rw/a", O_RDWR);
	walk("rw/a", O_RDWR);
	walk("rw/d", -1);
	walk("ro", O_DIRECTORY);
	walk("ro/big", O_RDONLY);
	walk("ix/still", O_DIRECTORY);
	walk("ix/still/big", -1);
	walk("ix/still/a", -1);
	walk("one", O_DIRECTORY);
	walk("one/file", O_RDWR);
	walk("", O_DIRECTORY);
	walk("ro/many", O_DIRECTORY);
}

/* All of a folder, more than there are descriptors. */
static void walk_many(void)
{
	char path[16];

	for (unsigned int i = 0; i < FS_WORLD_MANY; i++) {
		snprintf(path, sizeof(path), "ro/many/m%02u", i);
		walk(path, -1);
	}
}

/* What is not a request. */
static void event(uint8_t how)
{
	switch (how % 8) {
	case 0:
		fs_world_change(how);
		(void)fs_server_mend_window(server());
		break;
	case 1:
		fuzz_clock_pass(how * 20u, 0);
		fake_guest_settle(guest());
		break;
	case 2:
		fs_world_remove_export(fz.at, how / 8);
		break;
	case 3:
		fs_world_add_export(fz.at, how / 8);
		break;
	case 4:
		walk_many();
		break;
	case 5:
		fs_world_change(how);
		break;
	case 6:
		(void)fs_server_mend_window(server());
		break;
	default:
		fz.at = (fz.at + 1) % FS_WORLD_SERVERS;
		break;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fs_world_new();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t how;

	/* As the process the server runs in has it; libFuzzer puts a handler of its own there. */
	signal(SIGXFSZ, SIG_IGN);
	fz.data = data;
	fz.left = size;
	how = get8();
	fuzz_clock_start();
	/* A frozen server is one that opens nothing. */
	fs_world_begin(how & 4);
	for (fz.at = FS_WORLD_SERVERS; fz.at-- > 0;)
		begin(how);
	fz.at = 0;
	fuzz_watch_start(how & 8 ? how : 0);
	for (int i = 0; i < MAX_REQUESTS && fz.left > 0 && !guest()->vdev->broken; i++) {
		if ((*fz.data & 0x1f) == 0x1f) {
			(void)get8();
			event(get8());
		} else {
			one_request();
		}
	}
	fuzz_watch_stop();
	fs_world_end();
	return 0;
}
