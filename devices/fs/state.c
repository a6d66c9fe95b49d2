/* SPDX-License-Identifier: MIT */
/*
 * DOC: a file server in a state
 *
 * What a guest knows of files are numbers: of nodes, and of slots of the window. A node of an index
 * is an entry's number, so it can be made again as long as the index is the same. What is the
 * host's own, found by name, cannot: a guest that has looked up such a file, or has one open or
 * locked, is not written down. The tops of exports are made with the server, in the same order.
 */
#include <errno.h>

#include "common/state.h"
#include "devices/fs/dax.h"
#include "devices/fs/indexed.h"

enum { MARK = STATE_MARK('F', 'S', 'R', 'V') };

static bool in_use(const struct fs_server *s)
{
	for (uint32_t i = 1; i < s->top_handle; i++)
		if (s->handles[i].node)
			return true;
	return s->n_waiting > 0 || s->top_lock > 0;
}

/* The slots from here on are of no node that the guest has heard of. */
static uint32_t heard_of(const struct fs_server *s)
{
	uint32_t top = s->top_node;

	while (top > 1 && s->nodes[top - 1].lookups == 0 && s->nodes[top - 1].generation == 0 &&
	       s->nodes[top - 1].refs == 0)
		top--;
	return top;
}

static void save_node(const struct fs_node *node, struct state_writer *w)
{
	const bool known = node->kind == FS_FREE || node->kind == FS_INDEXED || node->pinned;

	if (!known || node->dead || node->n_flock_shared > 0 || node->flock_alone)
		state_refuse(w, -EBUSY);
	state_put_int(w, node->kind, 1);
	state_put_int(w, node->generation, 4);
	state_put_int(w, node->lookups, 8);
	state_put_int(w, node->kind == FS_INDEXED ? node->ino : 0, 8);
}

void fs_server_save(const struct fs_server *s, struct state_writer *w)
{
	const uint32_t top = heard_of(s);

	state_put_mark(w, MARK);
	if (in_use(s))
		state_refuse(w, -EBUSY);
	state_put_int(w, s->started, 1);
	state_put_int(w, (uint64_t)s->born, 8);
	state_put_int(w, top, 4);
	for (uint32_t i = 1; i < top; i++)
		save_node(&s->nodes[i], w);
	fs_dax_save(s, w);
}

static struct fs_export *indexed_export(struct fs_server *s)
{
	for (unsigned int i = 0; i < FS_MAX_EXPORTS; i++)
		if (s->exports[i].index)
			return &s->exports[i];
	return NULL;
}

/* A node of the index in the next slot; NULL: there is no such entry, or it has a node. */
static struct fs_node *make_node(struct fs_server *s, uint64_t ino)
{
	struct fs_export *export = indexed_export(s);
	const uint32_t slot = s->top_node;
	struct fs_node *node;
	uint64_t entry = ino - FS_INDEXED_INO;

	if (!export || entry >= export->index->n || !index_visible(&export->index->entries[entry]))
		return NULL;
	if (fs_node_indexed(s, export, ino, export->index->entries[entry].mode & S_IFMT, &node) < 0)
		return NULL;
	return node->index == slot ? node : NULL;
}

static void load_node(struct fs_server *s, uint32_t slot, struct state_reader *r)
{
	const uint64_t kind = state_get_int(r, 1);
	const uint32_t generation = (uint32_t)state_get_int(r, 4);
	const uint64_t lookups = state_get_int(r, 8), ino = state_get_int(r, 8);
	struct fs_node *node = &s->nodes[slot];

	if (r->error < 0)
		return;
	if (slot < s->top_node) {
		/* Made with the server. */
		if (kind != node->kind || generation != node->generation ||
		    (kind == FS_INDEXED && ino != node->ino))
			state_fail(r, -ESTALE);
	} else if (kind == FS_FREE && slot <= s->max_nodes) {
		s->top_node++;
	} else {
		node = kind == FS_INDEXED ? make_node(s, ino) : NULL;
		if (!node) {
			state_fail(r, -ESTALE);
			return;
		}
	}
	node->generation = generation;
	node->lookups = lookups;
}

void fs_server_load(struct fs_server *s, struct state_reader *r)
{
	uint32_t top;

	state_get_mark(r, MARK);
	s->started = state_get_int(r, 1) != 0;
	s->born = (time_t)state_get_int(r, 8);
	top = (uint32_t)state_get_int(r, 4);
	for (uint32_t i = 1; r->error == 0 && i < top; i++)
		load_node(s, i, r);
	/* The free slots in between make the list of those. */
	fs_tables_shrink(s);
	fs_dax_load(s, r);
	fs_server_count(s);
}
