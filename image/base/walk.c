/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "image/base/build_priv.h"

enum { PROGRESS_EVERY = 8192 };

/* Walked last in its directory: compiled Python is in the image if its source is. */
static const char python_cache[] = "__pycache__";

static int enter_dir(struct builder *b, const struct walk *w, const char *name,
		     const struct stat *st, struct walk *below);

/* What the old index has of a directory. */
static uint32_t old_dir(const struct builder *b, const struct walk *w, const char *name)
{
	uint32_t old;

	if (w->old == BUILD_NO_OLD ||
	    index_lookup(b->in->old, w->old, name, strlen(name), &old) < 0 ||
	    b->in->old->entries[old].kind != INDEX_DIR)
		return BUILD_NO_OLD;
	return old;
}

/* True if the rule lets in a thing of that mode which no package owns. */
static bool lets_in(const struct rule *rule, mode_t mode)
{
	if (!rule || rule->verb == RULE_DENY)
		return false;
	if (rule->verb != RULE_LINKS)
		return !S_ISDIR(mode) || rule->verb != RULE_DEFAULT;
	return S_ISLNK(mode) ||
	       (S_ISDIR(mode) && rule->parts[rule->n_parts - 1].shape == SHAPE_ANY_DEPTH);
}

static int add_dir(struct builder *b, const struct walk *w, const char *name, const struct stat *st,
		   const struct rule *rule, struct walk *below)
{
	struct index_entry e = build_entry(b, st, INDEX_DIR, INDEX_AS_FOUND);
	bool by_rule = lets_in(rule, st->st_mode);
	bool owned = packages_owner(b->in->packages, b->path) != NULL;
	const struct declared_path *d = build_declared_here(b);
	int r;

	if (!by_rule && !d && !owned)
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	/* The directories at the top may be file systems of their own, those below may not. */
	if (w->depth == 0)
		b->dev = st->st_dev;
	else if (st->st_dev != b->dev)
		return build_leave_out(b, w, name, st, INDEX_LEFT_MOUNT, NULL);
	if (d && (build_declares(d, st->st_mode) || !(owned || by_rule)))
		build_declare(b, d, &e);
	build_mark_done(b, d);
	r = build_add_entry(b, w, name, &e, NULL, 0, &below->dir);
	if (r < 0 || w->depth == BUILD_DEPTH_MAX)
		return r;
	below->depth = w->depth + 1;
	below->above = w->dir;
	below->pristine =
		w->depth == 0 ? !strcmp(name, "etc") || !strcmp(name, "var") : w->pristine;
	/* What not everyone may list or pass has nothing to show. */
	if ((rule && rule->verb == RULE_EMPTY) ||
	    (st->st_mode & (S_IROTH | S_IXOTH)) != (S_IROTH | S_IXOTH))
		return build_add_made(b, below);
	below->old = old_dir(b, w, name);
	return enter_dir(b, w, name, st, below);
}

static int add_type(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, const struct rule *rule, struct walk *below)
{
	const struct declared_path *d = build_declared_here(b);
	bool by_rule = lets_in(rule, st->st_mode);

	if (rule && rule->verb == RULE_DENY)
		return build_leave_out(b, w, name, st, INDEX_LEFT_DENIED, rule);
	/* Neither a rule nor a package speaks for it: add_declared() makes it. */
	if (d && !by_rule && !packages_owner(b->in->packages, b->path) &&
	    !packages_conffile(b->in->packages, b->path) &&
	    !(d->kind == DECLARED_DIR && S_ISDIR(st->st_mode)))
		return 0;
	build_mark_done(b, d);
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return add_dir(b, w, name, st, rule, below);
	case S_IFLNK:
		return build_add_link(b, w, name, st, rule);
	case S_IFREG:
		return build_add_file(b, w, name, st, rule);
	default:
		return build_leave_out(b, w, name, st, INDEX_LEFT_SPECIAL, NULL);
	}
}

/* The name of an entry of the old index, into out[INDEX_NAME_MAX + 1]. */
static void copy_name(const struct builder *b, const struct index_entry *e, char *out)
{
	memcpy(out, b->in->old->strings + e->name, e->name_len);
	out[e->name_len] = '\0';
}

bool build_look(int dir, const char *name, struct stat *st, bool *mounted)
{
	struct statx sx;

	if (statx(dir, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &sx) < 0)
		return false;
	*st = (struct stat){
		.st_dev = makedev(sx.stx_dev_major, sx.stx_dev_minor),
		.st_ino = sx.stx_ino,
		.st_mode = sx.stx_mode,
		.st_uid = sx.stx_uid,
		.st_gid = sx.stx_gid,
		.st_size = (off_t)sx.stx_size,
		.st_mtim = {.tv_sec = sx.stx_mtime.tv_sec, .tv_nsec = sx.stx_mtime.tv_nsec},
		.st_ctim = {.tv_sec = sx.stx_ctime.tv_sec, .tv_nsec = sx.stx_ctime.tv_nsec},
	};
	*mounted = (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
	return true;
}

/* Looks at one name. */
static int add_name(struct builder *b, const struct walk *w, const char *name)
{
	size_t before = b->path_len;
	struct default_file unused;
	const struct rule *rule;
	struct walk below;
	struct stat st;
	bool mounted;
	int r;

	if (!build_push(b, name))
		return 0;
	build_begin(&below);
	rule = rules_enter(b->in->rules, &w->rules, name, &below.rules);
	if (rule && rule->verb == RULE_DEFAULT && build_default_bytes(b, rule, &unused) < 0)
		rule = NULL;
	r = 0;
	if (!(rule && rule->verb == RULE_DEFAULT) && build_look(w->fd, name, &st, &mounted))
		/* The directories at the top may be mounted. */
		r = mounted && w->depth > 0 && !(rule && rule->verb == RULE_DENY)
			    ? build_leave_out(b, w, name, &st, INDEX_LEFT_MOUNT, NULL)
			    : add_type(b, w, name, &st, rule, &below);
	build_pop(b, before);
	if (++b->files % PROGRESS_EVERY == 0 && b->in->progress)
		b->in->progress->step(b->in->progress, b->files);
	return r;
}

/*
 * Whether an entry of the old index says less than is to be known of a name in a
 * directory that did not change: a directory may have, and what was nobody's may have been
 * there when a package came to own it.
 */
static bool is_looked_at(struct builder *b, const struct index_entry *e)
{
	size_t before = b->path_len;
	char name[INDEX_NAME_MAX + 1];
	bool owned;

	if (e->kind != INDEX_LEFT_OUT || e->how != INDEX_LEFT_UNOWNED)
		return e->kind == INDEX_DIR;
	copy_name(b, e, name);
	owned = build_push(b, name) && packages_owner(b->in->packages, b->path);
	build_pop(b, before);
	return owned;
}

static bool any_is_looked_at(struct builder *b, const struct walk *w)
{
	const struct index_entry *dir = &b->in->old->entries[w->old];
	uint32_t i = 0;

	while (i < index_count(dir) && !is_looked_at(b, &b->in->old->entries[index_first(dir) + i]))
		i++;
	return i < index_count(dir);
}

/* A directory whose names are those of the old index. */
static int take_over(struct builder *b, const struct walk *w)
{
	const struct index *old = b->in->old;
	const struct index_entry *dir = &old->entries[w->old];
	bool has_cache = false;

	for (uint32_t i = index_first(dir); i < index_first(dir) + index_count(dir); i++) {
		const struct index_entry *e = &old->entries[i];
		char name[INDEX_NAME_MAX + 1];
		const char *text = NULL;
		size_t len = 0;
		int r;

		copy_name(b, e, name);
		if (e->kind == INDEX_DIR && strcmp(name, python_cache) == 0) {
			has_cache = true;
			continue;
		}
		if (e->kind == INDEX_LINK) {
			text = old->strings + index_first(e);
			len = index_count(e);
		} else if (e->kind == INDEX_PRISTINE) {
			text = (const char *)old->blob + e->where;
			len = e->size;
		}
		r = is_looked_at(b, e)
			    ? add_name(b, w, name)
			    : index_writer_add(b->writer, w->dir, name, e, text, len, NULL);
		if (r < 0)
			return r;
	}
	return has_cache ? add_name(b, w, python_cache) : 0;
}

int build_walk(struct builder *b, const struct walk *w)
{
	const struct dirent *d;
	bool has_cache = false;
	DIR *dir;
	int fd, r = 0;

	/* The stream gets its own descriptor, as it closes it. */
	fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 3);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -errno;
	}
	while (r == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, python_cache) == 0)
			has_cache = true;
		else if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			r = add_name(b, w, d->d_name);
	}
	closedir(dir);
	if (r == 0 && has_cache)
		r = add_name(b, w, python_cache);
	return r < 0 ? r : build_add_made(b, w);
}

/* What is in a directory of that name. */
static int enter_dir(struct builder *b, const struct walk *w, const char *name,
		     const struct stat *st, struct walk *below)
{
	bool same = !below->pristine && below->old != BUILD_NO_OLD &&
		    b->in->old->entries[below->old].mtime == build_nanoseconds(&st->st_mtim);
	int r;

	/* Most of them hold nothing that is looked at, and need not be opened. */
	if (same && !any_is_looked_at(b, below))
		return take_over(b, below);
	below->fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below->fd < 0)
		return build_add_made(b, below);
	r = same ? take_over(b, below) : build_walk(b, below);
	close(below->fd);
	return r;
}
