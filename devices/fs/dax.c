/* SPDX-License-Identifier: MIT */
#include "devices/fs/dax.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"
#include "common/state.h"
#include "devices/fs/indexed.h"

/*
 * Smaller files are read and cached by the guest: a slot each would cost two
 * requests and a fault for every page, and the window would be used up by few
 * of them (docs/decisions/0004-dax-window.md).
 */
enum { MIN_SIZE = 128 << 10 };

enum { LOOK_MAX = 320 }; /* slots that one fs_dax_look() looks at */

/* What Linux takes out at once: a page of them (FUSE_REMOVEMAPPING_MAX_ENTRY). */
enum { REMOVE_MAX = 4096 / sizeof(struct fuse_removemapping_one) };

struct slot {
	struct fs_node *node; /* holds a reference; NULL: empty */
	uint64_t offset; /* in the file, of the slot's first byte */
	uint64_t size; /* of the file, when it was mapped */
	bool cut; /* what is behind the file's end is zero pages */
};

struct fs_dax {
	uint8_t *host;
	uint64_t size;
	uint32_t n_slots;
	bool told; /* that the host has no mappings left */
	uint32_t n_used; /* slots that are not empty */
	uint32_t hand; /* the slot fs_dax_look() comes to next */
	struct slot slots[];
};

static uint32_t slot_index(const struct fs_dax *dax, const struct slot *slot)
{
	return (uint32_t)(slot - dax->slots);
}

static uint8_t *slot_host(const struct fs_dax *dax, const struct slot *slot)
{
	return dax->host + (uint64_t)slot_index(dax, slot) * FS_DAX_SLOT;
}

/*
 * Puts a part of a file into a range of the window, or zero pages (fd -1). On
 * failure the guest goes on seeing what it saw. A mapping made right there could
 * leave a hole behind, into which the next mapping of any thread would fall, for the
 * guest to read: so it is made elsewhere, and moved. The kernel looks at its
 * limits before it takes away what is in the new place (mremap(2)).
 */
static int put(struct fs_dax *dax, uint8_t *at, size_t len, int fd, uint64_t offset)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *new = mmap(NULL, len, PROT_READ, flags, fd, (off_t)offset);
	int r;

	if (new != MAP_FAILED &&
	    mremap(new, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) != MAP_FAILED)
		return 0;
	r = -errno;
	if (new != MAP_FAILED)
		munmap(new, len);
	if (r == -ENOMEM && !dax->told) {
		dax->told = true;
		log_warn("the host has no mapping left for a file in the guest's sight; raise "
			 "vm.max_map_count, or start the sandbox with --no-dax");
	}
	return r;
}

int fs_dax_new(uint64_t size, struct fs_dax **out)
{
	uint32_t n = (uint32_t)(size / FS_DAX_SLOT);
	struct fs_dax *dax = calloc(1, sizeof(*dax) + n * sizeof(dax->slots[0]));
	uint8_t *area;
	size_t head;

	if (!dax)
		return -ENOMEM;
	area = mmap(NULL, size + FS_DAX_SLOT, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area == MAP_FAILED) {
		free(dax);
		return -ENOMEM;
	}
	head = (size_t)(-(uintptr_t)area & (FS_DAX_SLOT - 1));
	if (head > 0)
		munmap(area, head);
	munmap(area + head + size, FS_DAX_SLOT - head);
	dax->host = area + head;
	dax->size = size;
	dax->n_slots = n;
	*out = dax;
	return 0;
}

void fs_dax_free(struct fs_dax *dax)
{
	if (!dax)
		return;
	munmap(dax->host, dax->size);
	free(dax);
}

const void *fs_dax_host(const struct fs_dax *dax)
{
	return dax->host;
}

uint64_t fs_dax_size(const struct fs_dax *dax)
{
	return dax->size;
}

/*
 * A file that may be mapped: the guest reads what the host has, and cannot write
 * it there. A pristine file is not the host's. A single-file export's is bound by
 * the guest, which would never look it up again if its node had to die.
 */
static bool may_map(const struct fs_node *node)
{
	return fs_has_host_file(node) && !node->pinned && !node->export->writable;
}

bool fs_dax_wanted(const struct fs_server *s, const struct fs_node *node, const struct stat *st)
{
	return s->dax && may_map(node) && st->st_size >= MIN_SIZE;
}

/* The slot holds nothing any more; its place in the window is the caller's. */
static void forget_slot(struct fs_server *s, struct slot *slot)
{
	struct fs_node *node = slot->node;

	*slot = (struct slot){.node = NULL};
	if (!node)
		return;
	s->dax->n_used--;
	fs_node_put(s, node);
}

static int empty_slot(struct fs_server *s, struct slot *slot)
{
	int r = slot->node ? put(s->dax, slot_host(s->dax, slot), FS_DAX_SLOT, -1, 0) : 0;

	if (r == 0)
		forget_slot(s, slot);
	return r;
}

/* Maps a part of the node's file into the slot, in place of what is there. */
static int map_slot(struct fs_server *s, struct slot *slot, struct fs_node *node, int fd,
		    uint64_t offset)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* All of it, also behind the file's end: the file may grow. */
	r = put(s->dax, slot_host(s->dax, slot), FS_DAX_SLOT, fd, offset);
	if (r < 0)
		return r;
	/* The slot's old mapping may be all that the node was known by. */
	node->refs++;
	forget_slot(s, slot);
	s->dax->n_used++;
	*slot = (struct slot){
		.node = node,
		.offset = offset,
		.size = (uint64_t)st.st_size,
	};
	return 0;
}

int fs_op_setupmapping(struct fs_server *s, struct fs_request *rq)
{
	/* Linux maps inodes: it knows no handle, so `fh` is not looked at. */
	const struct fuse_setupmapping_in *in = rq->arg;
	AUTO_CLOSE int own = -1;
	int fd;

	if (in->flags & FUSE_SETUPMAPPING_FLAG_WRITE)
		return -EROFS;
	if (in->flags != FUSE_SETUPMAPPING_FLAG_READ || !may_map(rq->node))
		return -EINVAL;
	if (in->moffset % FS_DAX_SLOT || in->foffset % FS_DAX_SLOT || in->len == 0 ||
	    in->len > FS_DAX_SLOT)
		return -EINVAL;
	if (in->moffset >= s->dax->size || in->foffset > INT64_MAX - FS_DAX_SLOT)
		return -EINVAL;
	fd = fs_readable(s, rq->node, &own);
	if (fd < 0)
		return fd;
	return map_slot(s, &s->dax->slots[in->moffset / FS_DAX_SLOT], rq->node, fd, in->foffset);
}

int fs_op_removemapping(struct fs_server *s, struct fs_request *rq)
{
	const struct fuse_removemapping_in *in = rq->arg;
	struct fuse_removemapping_one one;
	int r = 0;

	if (in->count > rq->tail_len / sizeof(one) || in->count > REMOVE_MAX)
		return -EINVAL;
	for (size_t i = 0; i < in->count; i++) {
		memcpy(&one, rq->tail + i * sizeof(one), sizeof(one));
		if (one.moffset % FS_DAX_SLOT || one.moffset >= s->dax->size || one.len == 0 ||
		    one.len > FS_DAX_SLOT)
			return -EINVAL;
	}
	for (size_t i = 0; r == 0 && i < in->count; i++) {
		memcpy(&one, rq->tail + i * sizeof(one), sizeof(one));
		r = empty_slot(s, &s->dax->slots[one.moffset / FS_DAX_SLOT]);
	}
	return r;
}

int fs_dax_clear(struct fs_server *s, const struct fs_export *export)
{
	int r = 0;

	for (uint32_t i = 0; s->dax && i < s->dax->n_slots; i++) {
		struct slot *slot = &s->dax->slots[i];

		/* One that cannot be emptied keeps what the guest could see in any case. */
		if (slot->node && (!export || slot->node->export == export) &&
		    empty_slot(s, slot) < 0)
			r = -ENOMEM;
	}
	return r;
}

/* The size of a slot's file now; 0 if it cannot be told. */
static uint64_t size_now(const struct slot *slot)
{
	struct stat st;

	/* A node with references keeps its descriptor. */
	return fstat(slot->node->fd, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* For a message. Where a guest can write to the same folder, it chose the name. */
static void tell_shorter(const struct fs_node *node)
{
	const char *name = node->name ? node->name : "of no name";
	size_t len = strlen(name);

	if (node->kind == FS_INDEXED) {
		name = node->export->index->strings + fs_indexed_entry(node)->name;
		len = fs_indexed_entry(node)->name_len;
	}
	for (size_t i = 0; i < len; i++) {
		if (name[i] < ' ' || name[i] > '~') {
			name = "of a strange name";
			len = strlen(name);
			break;
		}
	}
	log_guest("a file it reads, %.*s, was made shorter on the host; "
		  "what it had of it reads as zeroes now",
		  (int)len, name);
}

/* Empties the slots of files that have become shorter. */
static bool mend_truncated(struct fs_server *s)
{
	bool mended = false;

	for (uint32_t i = 0; i < s->dax->n_slots; i++) {
		struct slot *slot = &s->dax->slots[i];

		if (!slot->node || size_now(slot) >= slot->size)
			continue;
		if (!slot->node->dead)
			tell_shorter(slot->node);
		fs_node_strike(s, slot->node);
		if (empty_slot(s, slot) == 0)
			mended = true;
	}
	return mended;
}

/*
 * No file has shrunk, so the guest read behind the end of one: what Linux does
 * only when it has not heard yet that the file was shorter already.
 */
static bool cut_tails(struct fs_server *s)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	bool mended = false;

	for (uint32_t i = 0; i < s->dax->n_slots; i++) {
		struct slot *slot = &s->dax->slots[i];
		uint64_t end;

		if (!slot->node || slot->cut)
			continue;
		end = align_up(size_now(slot), page);
		end = end > slot->offset ? end - slot->offset : 0;
		if (end >= FS_DAX_SLOT)
			continue;
		if (put(s->dax, slot_host(s->dax, slot) + end, FS_DAX_SLOT - end, -1, 0) < 0)
			continue;
		slot->cut = true;
		mended = true;
	}
	return mended;
}

bool fs_dax_is_used(const struct fs_server *s)
{
	return s->dax && s->dax->n_used > 0;
}

void fs_dax_drop(struct fs_server *s, struct fs_node *node)
{
	bool mapped = false;

	node->refs++;
	for (uint32_t i = 0; s->dax && i < s->dax->n_slots; i++) {
		struct slot *slot = &s->dax->slots[i];

		if (slot->node != node)
			continue;
		mapped = true;
		/* One that cannot be emptied comes up again when it is looked at. */
		(void)empty_slot(s, slot);
	}
	/* What it reads from now on would be beside what it sees. */
	if (mapped)
		fs_node_strike(s, node);
	fs_node_put(s, node);
}

/* True if the guest should not see the node's file any more. A file without a name stays. */
static bool has_gone(struct fs_server *s, struct fs_node *node)
{
	struct stat st;

	if (node->kind == FS_INDEXED)
		return fs_indexed_check_again(s, node) < 0;
	return fs_node_here(s, node) < 0 && fstat(node->fd, &st) == 0 && st.st_nlink > 0;
}

void fs_dax_look(struct fs_server *s)
{
	struct fs_dax *dax = s->dax;
	unsigned int looked = 0;

	for (uint32_t i = 0; i < dax->n_slots && looked < LOOK_MAX; i++) {
		struct fs_node *node = dax->slots[dax->hand].node;

		dax->hand = (dax->hand + 1) % dax->n_slots;
		if (!node)
			continue;
		looked++;
		if (!has_gone(s, node))
			continue;
		if (node->kind == FS_INDEXED)
			fs_indexed_tell_stale(s, node);
		fs_dax_drop(s, node);
	}
}

bool fs_dax_mend(struct fs_server *s)
{
	return s->dax && (mend_truncated(s) || cut_tails(s));
}

void fs_dax_save(const struct fs_server *s, struct state_writer *w)
{
	state_put_int(w, s->dax ? s->dax->n_used : 0, 4);
	for (uint32_t i = 0; s->dax && i < s->dax->n_slots; i++) {
		const struct slot *slot = &s->dax->slots[i];

		if (!slot->node)
			continue;
		if (slot->node->kind != FS_INDEXED)
			state_refuse(w, -EBUSY);
		state_put_int(w, i, 4);
		state_put_int(w, slot->node->index, 4);
		state_put_int(w, slot->offset, 8);
		state_put_int(w, slot->size, 8);
	}
}

static int load_slot(struct fs_server *s, uint32_t index, uint32_t node_index, uint64_t offset,
		     uint64_t size)
{
	struct slot *slot;
	struct fs_node *node;
	int fd, r;

	if (!s->dax || index >= s->dax->n_slots || node_index == 0 || node_index >= s->top_node ||
	    offset % FS_DAX_SLOT || offset > INT64_MAX - FS_DAX_SLOT)
		return -EBADMSG;
	slot = &s->dax->slots[index];
	node = &s->nodes[node_index];
	if (slot->node || node->kind != FS_INDEXED || !may_map(node))
		return -EBADMSG;
	fd = fs_node_fd(s, node);
	r = fd < 0 ? fd : map_slot(s, slot, node, fd, offset);
	return r == 0 && slot->size != size ? -ESTALE : r;
}

void fs_dax_load(struct fs_server *s, struct state_reader *r)
{
	const uint32_t n = (uint32_t)state_get_int(r, 4);

	for (uint32_t i = 0; r->error == 0 && i < n; i++) {
		const uint32_t slot = (uint32_t)state_get_int(r, 4);
		const uint32_t node = (uint32_t)state_get_int(r, 4);
		const uint64_t offset = state_get_int(r, 8), size = state_get_int(r, 8);
		int error = r->error < 0 ? 0 : load_slot(s, slot, node, offset, size);

		if (error < 0)
			state_fail(r, error);
	}
}
