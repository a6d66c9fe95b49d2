/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/build_priv.h"
#include "image/base/content.h"
#include "image/base/tree_file.h"

enum {
	/* Of what is declared as a copy, in all, an entry counted as so many bytes. */
	COPIES_MAX = 64 << 20,
	COPIES_ENTRY = 512,
};

/* The bytes for a default rule; -ENOENT: none, so the file is treated as any other. */
int build_default_bytes(struct builder *b, const struct rule *rule, struct default_file *file)
{
	int r;

	*file = (struct default_file){.mode = 0644};
	if (rule->source[0] == '@')
		return default_make(&b->accounts, rule->source + 1, &b->bytes, file);
	if (packages_owner(b->in->packages, rule->source))
		return packages_slurp_vouched(b->in->packages, rule->source, BUILD_COPY_MAX,
					      &b->bytes);
	r = packages_slurp(b->in->root, rule->source + 1, BUILD_COPY_MAX, &b->bytes);
	return r == 0 && content_is_secret(b->bytes.data, b->bytes.len) ? -ENOENT : r;
}

static bool same_as_found(struct builder *b, const struct walk *w, const char *name)
{
	AUTO_CLOSE int fd = tree_open(w->fd, name, TREE_NONE, NULL);
	AUTO_FREE char *found = malloc(b->bytes.len + 1);

	return fd >= 0 && found && pread(fd, found, b->bytes.len + 1, 0) == (ssize_t)b->bytes.len &&
	       memcmp(found, b->bytes.data, b->bytes.len) == 0;
}

/* The files that default rules make in this directory. */
static int add_defaults(struct builder *b, const struct walk *w)
{
	const struct rules *rules = b->in->rules;

	for (unsigned int i = 0; i < w->rules.n; i++) {
		const struct rule *rule = &rules->list[w->rules.at[i].rule];
		const char *name = rule->parts[w->rules.at[i].part].text;
		struct stat st = {.st_mtim.tv_sec = b->in->head->built};
		struct default_file file;
		enum index_how how = INDEX_MADE;
		size_t before = b->path_len;
		int r;

		if (rule->verb != RULE_DEFAULT || w->rules.at[i].part + 1u != rule->n_parts ||
		    rules_enter(rules, &w->rules, name, NULL) != rule)
			continue;
		r = build_default_bytes(b, rule, &file);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			continue;
		if (!build_push(b, name))
			continue;
		build_mark_done(b, build_declared_here(b));
		if (rule->source[0] != '@' && w->fd >= 0)
			how = same_as_found(b, w, name) ? INDEX_AS_FOUND : INDEX_FROM_MASTER;
		st.st_mode = S_IFREG | file.mode;
		st.st_gid = file.gid;
		r = build_add_bytes(b, w, name, &st, how);
		build_pop(b, before);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A copy that a package declares, which may be of a whole folder. */
struct copying {
	const struct declared_path *line;
	size_t len;
	char source[PATH_MAX]; /* absolute */
};

static bool others_may(const struct stat *st)
{
	mode_t need = S_ISDIR(st->st_mode) ? S_IROTH | S_IXOTH : S_IROTH;

	return (st->st_mode & need) == need;
}

/* Only what packages have below /usr, everyone may see and no rule hides is copied. */
static bool stat_source(const struct builder *b, const char *source, struct stat *st)
{
	struct rule_state rules, below;
	char path[PATH_MAX];
	dev_t dev = 0;
	bool mounted;

	if (strncmp(source, "/usr/", 5) != 0 || !packages_owner(b->in->packages, source))
		return false;
	memcpy(path, source, strlen(source) + 1);
	rules_begin(b->in->rules, &rules);
	for (char *name = path + 1, *end;; name = end + 1, rules = below) {
		const struct rule *rule;
		bool last;

		end = strchrnul(name, '/');
		last = *end == '\0';
		*end = '\0';
		rule = rules_enter(b->in->rules, &rules, name, &below);
		if ((rule && rule->verb == RULE_DENY) || strcmp(name, "..") == 0 ||
		    !build_look(b->in->root, path + 1, st, &mounted) || !others_may(st))
			return false;
		/* Nor what is mounted there. */
		if (name > path + 1 && (mounted || (S_ISDIR(st->st_mode) && st->st_dev != dev)))
			return false;
		dev = st->st_dev;
		if (last)
			return true;
		if (!S_ISDIR(st->st_mode) || (rule && rule->verb == RULE_EMPTY))
			return false;
		*end = '/';
	}
}

static int add_copy(struct builder *b, const struct walk *w, const char *name, struct copying *c,
		    struct walk *below);

/* What is in a folder, into that of `w`, where b->path is. */
static int copy_folder(struct builder *b, const struct walk *w, struct copying *c)
{
	int fd = tree_open_dir(b->in->root, c->source + 1, TREE_INSIDE_BUT_LAST);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	int r = 0;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && r == 0 && (d = readdir(dir)) != NULL) {
		size_t before = b->path_len, len = c->len, n = strlen(d->d_name);
		struct walk below;
		struct default_file unused;
		const struct rule *rule;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    len + n + 2 > sizeof(c->source) || !build_push(b, d->d_name))
			continue;
		build_begin(&below);
		c->source[len] = '/';
		memcpy(c->source + len + 1, d->d_name, n + 1);
		c->len += 1 + n;
		rule = rules_enter(b->in->rules, &w->rules, d->d_name, &below.rules);
		if (!rule ||
		    (rule->verb != RULE_DENY &&
		     !(rule->verb == RULE_DEFAULT && build_default_bytes(b, rule, &unused) == 0)))
			r = add_copy(b, w, d->d_name, c, &below);
		c->len = len;
		c->source[len] = '\0';
		build_pop(b, before);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* Modes and times are those of the source, where no line says otherwise. */
static int add_copy(struct builder *b, const struct walk *w, const char *name, struct copying *c,
		    struct walk *below)
{
	const struct declared_path *here = build_declared_here(b);
	char target[PATH_MAX];
	struct index_entry e;
	struct stat st;
	ssize_t n;
	int r;

	if (!stat_source(b, c->source, &st) || b->copied > COPIES_MAX)
		return 0;
	b->copied += COPIES_ENTRY;
	e = build_entry(b, &st, INDEX_PRISTINE, INDEX_MADE);
	build_declare_owner(b, c->line, &e);
	if (here && build_declares(here, st.st_mode))
		build_declare(b, here, &e);
	switch (st.st_mode & S_IFMT) {
	case S_IFLNK:
		n = readlinkat(b->in->root, c->source + 1, target, sizeof(target) - 1);
		if (n <= 0)
			return 0;
		e.kind = INDEX_LINK;
		build_mark_done(b, here);
		return build_add_entry(b, w, name, &e, target, (size_t)n, NULL);
	case S_IFREG:
		r = packages_slurp_vouched(b->in->packages, c->source, BUILD_COPY_MAX, &b->bytes);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
		b->copied += b->bytes.len;
		build_mark_done(b, here);
		return build_add_entry(b, w, name, &e, b->bytes.data, b->bytes.len, NULL);
	case S_IFDIR:
		e.kind = INDEX_DIR;
		build_mark_done(b, here);
		r = build_add_entry(b, w, name, &e, NULL, 0, &below->dir);
		below->depth = w->depth + 1;
		below->pristine = true;
		if (r == 0 && w->depth < BUILD_DEPTH_MAX)
			r = copy_folder(b, below, c);
		return r < 0 || w->depth == BUILD_DEPTH_MAX ? r : build_add_made(b, below);
	default:
		return 0;
	}
}

/* One path that a package declares, in the directory of `w`; b->path is its own. */
static int add_declared(struct builder *b, const struct walk *w, const struct declared_path *d,
			struct walk *below)
{
	const char *name = strrchr(d->path, '/') + 1;
	struct stat st = {.st_mtim.tv_sec = b->in->head->built, .st_mode = S_IFREG};
	struct copying copying = {.line = d};
	struct index_entry e;
	int r;

	build_mark_done(b, d);
	switch (d->kind) {
	case DECLARED_LINK:
		st.st_mode = S_IFLNK | 0777;
		e = build_entry(b, &st, INDEX_LINK, INDEX_MADE);
		return d->argument[0] ? index_writer_add(b->writer, w->dir, name, &e, d->argument,
							 strlen(d->argument), NULL)
				      : 0;
	case DECLARED_DIR:
		st.st_mode = S_IFDIR;
		e = build_entry(b, &st, INDEX_DIR, INDEX_MADE);
		build_declare(b, d, &e);
		r = build_add_entry(b, w, name, &e, NULL, 0, &below->dir);
		below->depth = w->depth + 1;
		below->pristine = true;
		return r < 0 || w->depth == BUILD_DEPTH_MAX ? r : build_add_made(b, below);
	case DECLARED_COPY:
		copying.len = strlen(d->argument);
		memcpy(copying.source, d->argument, copying.len + 1);
		return add_copy(b, w, name, &copying, below);
	default:
		e = build_entry(b, &st, INDEX_PRISTINE, INDEX_MADE);
		build_declare(b, d, &e);
		return build_add_entry(b, w, name, &e, d->argument, strlen(d->argument), NULL);
	}
}

/* What no walk finds in this directory: files that rules make, and what packages declare. */
int build_add_made(struct builder *b, const struct walk *w)
{
	int r = add_defaults(b, w);

	for (size_t i = 0; r == 0 && w->pristine && i < b->declared.n_paths; i++) {
		const struct declared_path *d = &b->declared.paths[i];
		size_t before = b->path_len;
		struct walk below;
		const struct rule *rule;

		build_begin(&below);
		if (b->done[i] || strncmp(d->path, b->path, before) != 0 ||
		    d->path[before] != '/' || strchr(d->path + before + 1, '/'))
			continue;
		rule = rules_enter(b->in->rules, &w->rules, d->path + before + 1, &below.rules);
		if ((rule && rule->verb == RULE_DENY) || !build_push(b, d->path + before + 1))
			continue;
		r = add_declared(b, w, d, &below);
		build_pop(b, before);
	}
	return r;
}
