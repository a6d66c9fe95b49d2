/* SPDX-License-Identifier: MIT */
/*
 * DOC: what becomes of a file
 *
 * One walk over the tree, names in any order. A rule that matches decides
 * (image/base/rules.h); otherwise the file is in the image if a package owns it. Below
 * /etc and /var files are pristine: their bytes go into the image, and only if
 * they are still as their package has them. Elsewhere they are shared: the host's
 * bytes, if everyone may read them. The decision never depends on who builds: a
 * file that is not readable by everyone is left out for root as well.
 *
 * Then come the files that `default` rules make, and what packages declare in
 * tmpfiles.d and no package ships (image/base/declared.h): the host's own of that name, if
 * nothing else speaks for it, is not looked at. Owners and modes of pristine files and of
 * directories are as its lines of what is there leave them.
 *
 * A tree whose root directory is an ordinary user's was unpacked by them: what is
 * theirs in it stands for what is root's.
 */
#include "image/base/build.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/build_priv.h"

struct index_entry build_entry(const struct builder *b, const struct stat *st, enum index_kind kind,
			       enum index_how how)
{
	return (struct index_entry){
		.size = (uint64_t)st->st_size,
		.where = kind == INDEX_SHARED ? st->st_ino : 0,
		.mtime = build_nanoseconds(&st->st_mtim),
		.uid = st->st_uid == b->uid ? 0 : st->st_uid,
		.gid = st->st_gid == b->gid ? 0 : st->st_gid,
		.mode = (uint16_t)st->st_mode,
		.kind = (uint8_t)kind,
		.how = (uint8_t)how,
	};
}

const struct declared_path *build_declared_here(const struct builder *b)
{
	return declared_find(&b->declared, b->path);
}

void build_mark_done(struct builder *b, const struct declared_path *d)
{
	if (d)
		b->done[d - b->declared.paths] = true;
}

/* What the line says of the owner; a copy's is that of what is copied. */
void build_declare_owner(const struct builder *b, const struct declared_path *d,
			 struct index_entry *e)
{
	if (d->user || d->kind != DECLARED_COPY)
		e->uid = accounts_id(&b->accounts.users, d->user);
	if (d->group || d->kind != DECLARED_COPY)
		e->gid = accounts_id(&b->accounts.groups, d->group);
}

/* And of the mode, whatever the host has. */
void build_declare(const struct builder *b, const struct declared_path *d, struct index_entry *e)
{
	if (d->mode != DECLARED_NO_MODE)
		e->mode = (uint16_t)((e->mode & S_IFMT) | d->mode);
	build_declare_owner(b, d, e);
}

/* Whether the line has a say in something that is there, of that mode. */
bool build_declares(const struct declared_path *d, mode_t mode)
{
	switch (d->kind) {
	case DECLARED_DIR:
		return S_ISDIR(mode) && !d->implied;
	case DECLARED_FILE:
		return S_ISREG(mode);
	case DECLARED_COPY:
		return S_ISDIR(mode) || S_ISREG(mode);
	default:
		return false;
	}
}

/* Adds what b->path names, changed as packages declare it. */
int build_add_entry(struct builder *b, const struct walk *w, const char *name,
		    struct index_entry *e, const void *text, size_t len, uint32_t *out)
{
	const struct declared *d = &b->declared;

	for (size_t i = 0; i < d->n_changes && e->kind != INDEX_LINK; i++) {
		const struct declared_change *c = &d->changes[i];

		if (!declared_concerns(c, b->path, e->kind == INDEX_DIR))
			continue;
		e->mode = declared_mode(c, e->mode);
		if (c->user)
			e->uid = accounts_id(&b->accounts.users, c->user);
		if (c->group)
			e->gid = accounts_id(&b->accounts.groups, c->group);
	}
	return index_writer_add(b->writer, w->dir, name, e, text, len, out);
}

int build_add_bytes(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, enum index_how how)
{
	struct index_entry e = build_entry(b, st, INDEX_PRISTINE, how);

	return build_add_entry(b, w, name, &e, b->bytes.data, b->bytes.len, NULL);
}

int build_leave_out(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, enum index_how why, const struct rule *rule)
{
	struct index_entry e = build_entry(b, st, INDEX_LEFT_OUT, why);

	if (why == INDEX_LEFT_DENIED)
		e.where = (uint64_t)(rule - b->in->rules->list) + 1;
	return index_writer_add(b->writer, w->dir, name, &e, NULL, 0, NULL);
}

/* The path is that of a name in the directory one is in; false: it is too long. */
bool build_push(struct builder *b, const char *name)
{
	size_t len = strlen(name);

	if (b->path_len + len + 2 > sizeof(b->path))
		return false;
	b->path[b->path_len] = '/';
	memcpy(b->path + b->path_len + 1, name, len + 1);
	b->path_len += 1 + len;
	return true;
}

void build_pop(struct builder *b, size_t before)
{
	b->path_len = before;
	b->path[before] = '\0';
}

/* What is known before the walk. */
static int prepare(struct builder *b)
{
	int r = declared_read(b->in->packages, &b->declared);

	if (r == 0)
		r = accounts_read(b->in->packages, &b->declared, &b->accounts);
	b->done = calloc(b->declared.n_paths + 1, sizeof(*b->done));
	return r == 0 && !b->done ? -ENOMEM : r;
}

int image_build(const struct build_input *in, uint8_t **out, size_t *len)
{
	struct builder *b = calloc(1, sizeof(*b));
	struct walk *w = calloc(1, sizeof(*w));
	struct stat st;
	int r = b && w ? index_writer_new(&b->writer) : -ENOMEM;

	if (r == 0) {
		b->in = in;
		w->fd = in->root;
		w->old = in->old ? INDEX_ROOT : BUILD_NO_OLD;
		rules_begin(in->rules, &w->rules);
		if (fstat(in->root, &st) < 0)
			r = -errno;
	}
	if (r == 0)
		r = prepare(b);
	if (r == 0) {
		b->uid = st.st_uid;
		b->gid = st.st_gid;
		r = build_walk(b, w);
	}
	if (r == 0)
		r = index_writer_finish(b->writer, in->head, out, len);
	if (b) {
		index_writer_free(b->writer);
		declared_fini(&b->declared);
		accounts_fini(&b->accounts);
		free(b->done);
		free(b->bytes.data);
		free(b->profiles.data);
	}
	free(b);
	free(w);
	return r;
}
