/* SPDX-License-Identifier: MIT */
/*
 * The tables behind the guest's numbers: nodes and handles. Both are arrays of
 * their maximum size that the kernel backs with memory as far as they are used,
 * so that pointers into them stay valid.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "devices/fs/fs_priv.h"

/*
 * A host that gives huge pages to everyone would put 2 MiB under the first node.
 * Whole pages of the array only: its neighbours in the heap are not ours.
 */
static void *sparse_calloc(size_t n, size_t size)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *p = calloc(n, size);
	uintptr_t first = ((uintptr_t)p + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)p + n * size) & ~(page - 1);

	if (p && end > first)
		(void)madvise((uint8_t *)p + (first - (uintptr_t)p), end - first, MADV_NOHUGEPAGE);
	return p;
}

int fs_tables_init(struct fs_server *s)
{
	s->max_fds = fs_fd_budget();
	s->max_nodes = FS_MAX_NODES;
	s->max_handles = s->max_fds < FS_MAX_HANDLES ? s->max_fds : FS_MAX_HANDLES;
	s->top_node = 1;
	s->top_handle = 1;
	s->nodes = sparse_calloc((size_t)s->max_nodes + 1, sizeof(*s->nodes));
	s->handles = sparse_calloc((size_t)s->max_handles + 1, sizeof(*s->handles));
	s->hash_bits = FS_HASH_BITS;
	s->hash = calloc(1u << s->hash_bits, sizeof(*s->hash));
	return s->nodes && s->handles && s->hash ? 0 : -ENOMEM;
}

void fs_tables_fini(struct fs_server *s)
{
	for (uint32_t i = 1; s->nodes && i < s->top_node; i++) {
		if (s->nodes[i].kind == FS_FREE)
			continue;
		fs_fd_close(s, s->nodes[i].fd);
		free(s->nodes[i].name);
	}
	free(s->nodes);
	free(s->handles);
	free(s->hash);
}

/* A slot keeps its generation, so that a number which was given is never current again. */
void fs_tables_shrink(struct fs_server *s)
{
	s->top_handle = 1;
	s->free_handle = 0;
	while (s->top_node > 1 && s->nodes[s->top_node - 1].kind == FS_FREE)
		s->top_node--;
	s->free_node = 0;
	for (uint32_t i = s->top_node - 1; i > 0; i--) {
		if (s->nodes[i].kind != FS_FREE)
			continue;
		s->nodes[i].next = s->free_node;
		s->free_node = i;
	}
}

/* Nodes */

static uint32_t *hash_slot(struct fs_server *s, const struct fs_export *export, dev_t dev,
			   ino_t ino)
{
	uint64_t h = ino * 0x9e3779b97f4a7c15u;

	h ^= (uint64_t)dev * 0xc2b2ae3d27d4eb4fu;
	h ^= (uint64_t)(export - s->exports) << 32;
	/* Or two multiplications are one, which sends numbers in a row to a few slots. */
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15u;
	return &s->hash[h >> (64 - s->hash_bits)];
}

uint64_t fs_node_id(const struct fs_node *node)
{
	return (uint64_t)node->generation << 32 | node->index;
}

struct fs_node *fs_node_find(struct fs_server *s, uint64_t nodeid)
{
	uint32_t index = (uint32_t)nodeid;
	struct fs_node *node;

	if (index == 0 || index >= s->top_node)
		return NULL;
	node = &s->nodes[index];
	if (node->kind == FS_FREE || node->generation != nodeid >> 32)
		return NULL;
	return node;
}

static struct fs_node *node_alloc(struct fs_server *s)
{
	struct fs_node *node;
	uint32_t index, generation;

	if (s->free_node) {
		index = s->free_node;
		s->free_node = s->nodes[index].next;
	} else if (s->top_node <= s->max_nodes) {
		index = s->top_node++;
	} else {
		return NULL;
	}
	s->n_nodes++;
	node = &s->nodes[index];
	generation = node->generation;
	*node = (struct fs_node){.index = index, .generation = generation, .fd = -1};
	return node;
}

int fs_node_synthetic(struct fs_server *s, enum fs_kind kind, struct fs_export *export,
		      struct fs_node **out)
{
	struct fs_node *node = node_alloc(s);

	if (!node)
		return -ENFILE;
	node->kind = kind;
	node->export = export;
	node->type = S_IFDIR;
	node->pinned = true;
	*out = node;
	return 0;
}

static void link_node(struct fs_server *s, struct fs_node *node)
{
	uint32_t *slot = hash_slot(s, node->export, node->dev, node->ino);

	node->next = *slot;
	*slot = node->index;
}

/* Doubles the table. Without memory for that the chains just become longer. */
static void grow_hash(struct fs_server *s)
{
	const uint32_t n = 1u << s->hash_bits;
	uint32_t *old = s->hash, *grown = calloc(2 * (size_t)n, sizeof(*grown));

	if (!grown)
		return;
	s->hash = grown;
	s->hash_bits++;
	for (uint32_t i = 0; i < n; i++)
		while (old[i]) {
			struct fs_node *node = &s->nodes[old[i]];

			old[i] = node->next;
			link_node(s, node);
		}
	free(old);
}

static void enter_hash(struct fs_server *s, struct fs_node *node)
{
	if (s->n_hashed >> s->hash_bits)
		grow_hash(s);
	link_node(s, node);
	s->n_hashed++;
}

int fs_node_indexed(struct fs_server *s, struct fs_export *export, ino_t ino, mode_t type,
		    struct fs_node **out)
{
	struct fs_node *node;

	for (uint32_t i = *hash_slot(s, export, 0, ino); i; i = node->next) {
		node = &s->nodes[i];
		if (node->export == export && node->ino == ino) {
			*out = node;
			return 0;
		}
	}
	node = node_alloc(s);
	if (!node)
		return -ENFILE;
	node->kind = FS_INDEXED;
	node->export = export;
	node->type = type;
	node->ino = ino;
	enter_hash(s, node);
	*out = node;
	return 0;
}

static void unhash(struct fs_server *s, struct fs_node *node)
{
	uint32_t *link = hash_slot(s, node->export, node->dev, node->ino);

	while (*link != node->index)
		link = &s->nodes[*link].next;
	*link = node->next;
	s->n_hashed--;
}

void fs_node_strike(struct fs_server *s, struct fs_node *node)
{
	assert(!node->pinned);
	if (node->dead)
		return;
	unhash(s, node);
	node->dead = true;
}

/* The known node of this file, or NULL. A node whose file is gone is struck out. */
static struct fs_node *node_known(struct fs_server *s, const struct fs_export *export, int fd,
				  const struct stat *st)
{
	struct fs_node *node;

	for (uint32_t i = *hash_slot(s, export, st->st_dev, st->st_ino); i; i = node->next) {
		node = &s->nodes[i];
		if (node->ino != st->st_ino || node->dev != st->st_dev || node->export != export)
			continue;
		if (fs_node_is(node, fd, st))
			return node;
		fs_node_strike(s, node);
		return NULL;
	}
	return NULL;
}

int fs_node_get(struct fs_server *s, struct fs_export *export, int fd, const struct stat *st,
		struct fs_node **out)
{
	struct fs_node *node = node_known(s, export, fd, st);
	int r;

	if (node && node->fd >= 0) {
		close(fd);
		*out = node;
		return 0;
	}
	r = fs_fd_take(s);
	if (r < 0) {
		close(fd);
		return r;
	}
	if (!node) {
		node = node_alloc(s);
		if (!node) {
			fs_fd_close(s, fd);
			return -ENFILE;
		}
		node->kind = FS_HOST;
		node->export = export;
		node->type = st->st_mode & S_IFMT;
		node->dev = st->st_dev;
		node->ino = st->st_ino;
		enter_hash(s, node);
	}
	node->fd = fd;
	*out = node;
	return 0;
}

static void node_release_if_unused(struct fs_server *s, struct fs_node *node)
{
	if (node->pinned || node->lookups || node->refs)
		return;
	if (!node->dead && node->kind != FS_FILE_DIR)
		unhash(s, node);
	fs_fd_close(s, node->fd);
	free(node->name);
	node->name = NULL;
	node->kind = FS_FREE;
	s->n_nodes--;
	node->generation++;
	node->next = s->free_node;
	s->free_node = node->index;
}

void fs_node_forget(struct fs_server *s, struct fs_node *node, uint64_t count)
{
	/* A guest that forgets more than it looked up has forgotten it all. */
	node->lookups -= min_u64(count, node->lookups);
	node_release_if_unused(s, node);
}

void fs_node_put(struct fs_server *s, struct fs_node *node)
{
	assert(node->refs > 0);
	node->refs--;
	node_release_if_unused(s, node);
}

void fs_nodes_drop(struct fs_server *s, const struct fs_export *export)
{
	for (uint32_t i = 1; i < s->top_node; i++) {
		struct fs_node *node = &s->nodes[i];

		if (node->kind == FS_FREE || node->export != export)
			continue;
		assert(!node->refs);
		node->pinned = false;
		fs_node_forget(s, node, UINT64_MAX);
	}
}

/* Handles */

int fs_handle_new(struct fs_server *s, struct fs_node *node, int fd, int accmode, uint64_t *fh)
{
	struct fs_handle *h;
	uint32_t index, generation;

	if (fd >= 0 && fs_fd_take(s) < 0) {
		close(fd);
		return -ENFILE;
	}
	if (s->free_handle) {
		index = s->free_handle;
		s->free_handle = s->handles[index].next;
	} else if (s->top_handle <= s->max_handles) {
		index = s->top_handle++;
	} else {
		fs_fd_close(s, fd);
		return -ENFILE;
	}
	h = &s->handles[index];
	generation = h->generation;
	*h = (struct fs_handle){
		.node = node,
		.generation = generation,
		.may_read = accmode != O_WRONLY,
		.may_write = accmode != O_RDONLY && node->export && node->export->writable,
		.fd = fd,
		.flock = F_UNLCK,
	};
	node->refs++;
	*fh = (uint64_t)generation << 32 | index;
	return 0;
}

struct fs_handle *fs_handle_find(struct fs_server *s, const struct fs_node *node, uint64_t fh)
{
	uint32_t index = (uint32_t)fh;

	if (index == 0 || index >= s->top_handle)
		return NULL;
	if (s->handles[index].node != node || s->handles[index].generation != fh >> 32)
		return NULL;
	return &s->handles[index];
}

void fs_handle_free(struct fs_server *s, uint64_t fh)
{
	uint32_t index = (uint32_t)fh;
	struct fs_handle *h = &s->handles[index];
	struct fs_node *node = h->node;

	if (S_ISDIR(node->type))
		fs_window_drop(s, index);
	fs_fd_close(s, h->fd);
	fs_flock_drop(h);
	h->node = NULL;
	h->generation++;
	h->next = s->free_handle;
	s->free_handle = index;
	fs_node_put(s, node);
}

void fs_handles_drop(struct fs_server *s, const struct fs_export *export)
{
	for (uint32_t i = 1; s->handles && i < s->top_handle; i++)
		if (s->handles[i].node && (!export || s->handles[i].node->export == export))
			fs_handle_free(s, i);
}
