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

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/accounts.h"
#include "image/base/declared.h"
#include "image/base/defaults.h"
#include "image/base/index_writer.h"

enum {
	COPY_MAX = 4 << 20, /* what is larger is not copied into the image */
	DEPTH_MAX = 64,
	PROGRESS_EVERY = 8192,
	/* Of what is declared as a copy, in all, an entry counted as so many bytes. */
	COPIES_MAX = 64 << 20,
	COPIES_ENTRY = 512,
};

#define NO_OLD UINT32_MAX

struct builder {
	const struct build_input *in;
	struct index_writer *writer;
	struct buffer bytes;
	struct declared declared;
	struct accounts accounts;
	bool *done; /* of declared.paths: it is in the image */
	size_t copied; /* of COPIES_MAX */
	dev_t dev; /* of the topmost directory one is in */
	uid_t uid; /* whose tree it is: shown as root */
	gid_t gid;
	size_t files;
	size_t path_len;
	char path[PATH_MAX];
};

/* A directory that is being walked. */
struct walk {
	int fd;
	uint32_t dir; /* in the writer */
	uint32_t old; /* in the old index; NO_OLD: not there */
	unsigned int depth;
	bool pristine;
	struct rule_state rules;
};

static int64_t nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

static struct index_entry entry_of(const struct builder *b, const struct stat *st,
				   enum index_kind kind, enum index_how how)
{
	return (struct index_entry){
		.size = (uint64_t)st->st_size,
		.where = kind == INDEX_SHARED ? st->st_ino : 0,
		.mtime = nanoseconds(&st->st_mtim),
		.uid = st->st_uid == b->uid ? 0 : st->st_uid,
		.gid = st->st_gid == b->gid ? 0 : st->st_gid,
		.mode = (uint16_t)st->st_mode,
		.kind = (uint8_t)kind,
		.how = (uint8_t)how,
	};
}

static const struct declared_path *declared_here(const struct builder *b)
{
	return declared_find(&b->declared, b->path);
}

static void mark_done(struct builder *b, const struct declared_path *d)
{
	if (d)
		b->done[d - b->declared.paths] = true;
}

/* What the line says of the owner; a copy's is that of what is copied. */
static void declare_owner(const struct builder *b, const struct declared_path *d,
			  struct index_entry *e)
{
	if (d->user || d->kind != DECLARED_COPY)
		e->uid = accounts_id(&b->accounts.users, d->user);
	if (d->group || d->kind != DECLARED_COPY)
		e->gid = accounts_id(&b->accounts.groups, d->group);
}

/* And of the mode, whatever the host has. */
static void declare(const struct builder *b, const struct declared_path *d, struct index_entry *e)
{
	if (d->mode != DECLARED_NO_MODE)
		e->mode = (uint16_t)((e->mode & S_IFMT) | d->mode);
	declare_owner(b, d, e);
}

/* Whether the line has a say in something that is there, of that mode. */
static bool declares(const struct declared_path *d, mode_t mode)
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
static int add_entry(struct builder *b, const struct walk *w, const char *name,
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

static int leave_out(struct builder *b, const struct walk *w, const char *name,
		     const struct stat *st, enum index_how why, const struct rule *rule)
{
	struct index_entry e = entry_of(b, st, INDEX_LEFT_OUT, why);

	if (why == INDEX_LEFT_DENIED)
		e.where = (uint64_t)(rule - b->in->rules->list) + 1;
	return index_writer_add(b->writer, w->dir, name, &e, NULL, 0, NULL);
}

/* The file's bytes into b->bytes. */
static int read_bytes(struct builder *b, const struct walk *w, const char *name)
{
	AUTO_CLOSE int fd = openat(w->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = 1;

	b->bytes.len = 0;
	if (fd < 0)
		return -errno;
	while (n > 0) {
		if (buffer_reserve(&b->bytes, 65536) < 0)
			return -ENOMEM;
		n = read(fd, b->bytes.data + b->bytes.len, 65536);
		if (n < 0)
			return -errno;
		b->bytes.len += (size_t)n;
		if (b->bytes.len > COPY_MAX)
			return -EFBIG;
	}
	return 0;
}

static int add_bytes(struct builder *b, const struct walk *w, const char *name,
		     const struct stat *st, enum index_how how)
{
	struct index_entry e = entry_of(b, st, INDEX_PRISTINE, how);

	return add_entry(b, w, name, &e, b->bytes.data, b->bytes.len, NULL);
}

/* A file below /etc or /var that a package owns: as the package has it, or not at all. */
static int add_pristine(struct builder *b, const struct walk *w, const char *name,
			const struct stat *st, const struct package *owner)
{
	const struct packages *p = b->in->packages;
	const struct package_conffile *conf = packages_conffile(p, b->path);
	uint32_t package = conf ? conf->package : (uint32_t)(owner - p->list);
	bool readable = st->st_mode & S_IROTH;
	uint8_t md5[PACKAGES_MD5];
	int r = 0;

	if (conf)
		memcpy(md5, conf->md5, sizeof(md5));
	else
		r = p->kind->md5(p, package, b->path, md5);
	if (r == 0 && readable && read_bytes(b, w, name) == 0 && packages_has_md5(&b->bytes, md5))
		return add_bytes(b, w, name, st, INDEX_AS_FOUND);
	r = p->kind->original(p, package, b->path, COPY_MAX, &b->bytes);
	if (r == 0)
		return add_bytes(b, w, name, st, INDEX_FROM_PACKAGE);
	if (r == -ENOMEM)
		return r;
	return leave_out(b, w, name, st, readable ? INDEX_LEFT_CHANGED : INDEX_LEFT_UNREADABLE,
			 NULL);
}

static int add_file(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, const struct rule *rule)
{
	const struct package *owner = packages_owner(b->in->packages, b->path);
	bool by_rule = rule && (rule->verb == RULE_SHARE || rule->verb == RULE_COPY);
	struct index_entry e = entry_of(b, st, INDEX_SHARED, INDEX_AS_FOUND);
	int r;

	if (w->pristine && !by_rule && packages_conffile(b->in->packages, b->path))
		return add_pristine(b, w, name, st, NULL);
	if (!by_rule && !owner)
		return leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	if (w->pristine && !by_rule)
		return add_pristine(b, w, name, st, owner);
	if (!(st->st_mode & S_IROTH))
		return leave_out(b, w, name, st, INDEX_LEFT_UNREADABLE, NULL);
	if (by_rule && rule->verb == RULE_COPY) {
		r = read_bytes(b, w, name);
		if (r == 0)
			return add_bytes(b, w, name, st, INDEX_AS_FOUND);
		if (r != -EFBIG)
			return r == -ENOMEM
				       ? r
				       : leave_out(b, w, name, st, INDEX_LEFT_UNREADABLE, NULL);
	}
	return index_writer_add(b->writer, w->dir, name, &e, NULL, 0, NULL);
}

static int add_link(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, const struct rule *rule)
{
	struct index_entry e = entry_of(b, st, INDEX_LINK, INDEX_AS_FOUND);
	bool by_rule = rule && (rule->verb == RULE_SHARE || rule->verb == RULE_COPY ||
				rule->verb == RULE_LINKS);
	char target[PATH_MAX];
	ssize_t n;

	if (!by_rule && !packages_owner(b->in->packages, b->path))
		return leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	n = readlinkat(w->fd, name, target, sizeof(target) - 1);
	if (n <= 0)
		return leave_out(b, w, name, st, INDEX_LEFT_SPECIAL, NULL);
	return index_writer_add(b->writer, w->dir, name, &e, target, (size_t)n, NULL);
}

static int add_made(struct builder *b, const struct walk *w);
static int enter_dir(struct builder *b, const struct walk *w, const char *name,
		     const struct stat *st, struct walk *below);

/* What the old index has of a directory. */
static uint32_t old_dir(const struct builder *b, const struct walk *w, const char *name)
{
	uint32_t old;

	if (w->old == NO_OLD || index_lookup(b->in->old, w->old, name, strlen(name), &old) < 0 ||
	    b->in->old->entries[old].kind != INDEX_DIR)
		return NO_OLD;
	return old;
}

static int add_dir(struct builder *b, const struct walk *w, const char *name, const struct stat *st,
		   const struct rule *rule, struct walk *below)
{
	struct index_entry e = entry_of(b, st, INDEX_DIR, INDEX_AS_FOUND);
	bool by_rule = rule && rule->verb != RULE_LINKS && rule->verb != RULE_DEFAULT;
	bool owned = packages_owner(b->in->packages, b->path) != NULL;
	const struct declared_path *d = declared_here(b);
	int r;

	if (!by_rule && !d && !owned)
		return leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	/* The directories at the top may be file systems of their own, those below may not. */
	if (w->depth == 0)
		b->dev = st->st_dev;
	else if (st->st_dev != b->dev)
		return leave_out(b, w, name, st, INDEX_LEFT_MOUNT, NULL);
	if (d && (declares(d, st->st_mode) || !(owned || by_rule)))
		declare(b, d, &e);
	mark_done(b, d);
	r = add_entry(b, w, name, &e, NULL, 0, &below->dir);
	if (r < 0 || w->depth == DEPTH_MAX)
		return r;
	below->depth = w->depth + 1;
	below->pristine =
		w->depth == 0 ? !strcmp(name, "etc") || !strcmp(name, "var") : w->pristine;
	/* What not everyone may list or pass has nothing to show. */
	if ((rule && rule->verb == RULE_EMPTY) ||
	    (st->st_mode & (S_IROTH | S_IXOTH)) != (S_IROTH | S_IXOTH))
		return add_made(b, below);
	below->old = old_dir(b, w, name);
	return enter_dir(b, w, name, st, below);
}

/* The bytes for a default rule; -ENOENT: none, so the file is treated as any other. */
static int default_bytes(struct builder *b, const struct rule *rule, struct default_file *file)
{
	*file = (struct default_file){.mode = 0644};
	if (rule->source[0] == '@')
		return default_make(&b->accounts, rule->source + 1, &b->bytes, file);
	return packages_slurp(b->in->root, rule->source + 1, COPY_MAX, &b->bytes);
}

static int add_type(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, const struct rule *rule, struct walk *below)
{
	const struct declared_path *d = declared_here(b);
	bool by_rule = rule && (rule->verb != RULE_LINKS || S_ISLNK(st->st_mode));

	if (rule && rule->verb == RULE_DENY)
		return leave_out(b, w, name, st, INDEX_LEFT_DENIED, rule);
	/* Neither a rule nor a package speaks for it: add_declared() makes it. */
	if (d && !by_rule && !packages_owner(b->in->packages, b->path) &&
	    !packages_conffile(b->in->packages, b->path) &&
	    !(d->kind == DECLARED_DIR && S_ISDIR(st->st_mode)))
		return 0;
	mark_done(b, d);
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return add_dir(b, w, name, st, rule, below);
	case S_IFLNK:
		return add_link(b, w, name, st, rule);
	case S_IFREG:
		return add_file(b, w, name, st, rule);
	default:
		return leave_out(b, w, name, st, INDEX_LEFT_SPECIAL, NULL);
	}
}

/* The path is that of a name in the directory one is in; false: it is too long. */
static bool push_name(struct builder *b, const char *name)
{
	size_t len = strlen(name);

	if (b->path_len + len + 2 > sizeof(b->path))
		return false;
	b->path[b->path_len] = '/';
	memcpy(b->path + b->path_len + 1, name, len + 1);
	b->path_len += 1 + len;
	return true;
}

static void pop_name(struct builder *b, size_t before)
{
	b->path_len = before;
	b->path[before] = '\0';
}

/* The name of an entry of the old index, into out[INDEX_NAME_MAX + 1]. */
static void copy_name(const struct builder *b, const struct index_entry *e, char *out)
{
	memcpy(out, b->in->old->strings + e->name, e->name_len);
	out[e->name_len] = '\0';
}

/* Looks at one name. */
static int add_name(struct builder *b, const struct walk *w, const char *name)
{
	size_t before = b->path_len;
	struct default_file unused;
	const struct rule *rule;
	struct walk below = {.fd = -1};
	struct stat st;
	int r;

	if (!push_name(b, name))
		return 0;
	rule = rules_enter(b->in->rules, &w->rules, name, &below.rules);
	if (rule && rule->verb == RULE_DEFAULT && default_bytes(b, rule, &unused) < 0)
		rule = NULL;
	r = 0;
	if (!(rule && rule->verb == RULE_DEFAULT) &&
	    fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0)
		r = add_type(b, w, name, &st, rule, &below);
	pop_name(b, before);
	if (++b->files % PROGRESS_EVERY == 0 && b->in->progress)
		b->in->progress->step(b->in->progress, b->files);
	return r;
}

static bool same_as_found(struct builder *b, const struct walk *w, const char *name)
{
	AUTO_CLOSE int fd = openat(w->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
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
		const char *name = rule->parts[w->rules.at[i].part];
		struct stat st = {.st_mtim.tv_sec = b->in->head->built};
		struct default_file file;
		enum index_how how = INDEX_MADE;
		size_t before = b->path_len;
		int r;

		if (rule->verb != RULE_DEFAULT || w->rules.at[i].part + 1u != rule->n_parts ||
		    rules_enter(rules, &w->rules, name, NULL) != rule)
			continue;
		r = default_bytes(b, rule, &file);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			continue;
		if (!push_name(b, name))
			continue;
		mark_done(b, declared_here(b));
		if (rule->source[0] != '@' && w->fd >= 0)
			how = same_as_found(b, w, name) ? INDEX_AS_FOUND : INDEX_FROM_MASTER;
		st.st_mode = S_IFREG | file.mode;
		st.st_gid = file.gid;
		r = add_bytes(b, w, name, &st, how);
		pop_name(b, before);
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
		    fstatat(b->in->root, path + 1, st, AT_SYMLINK_NOFOLLOW) < 0 || !others_may(st))
			return false;
		/* Nor what is mounted there. */
		dev = dev ? dev : st->st_dev;
		if (S_ISDIR(st->st_mode) && st->st_dev != dev)
			return false;
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
	int fd =
		openat(b->in->root, c->source + 1, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;
	int r = 0;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && r == 0 && (d = readdir(dir)) != NULL) {
		size_t before = b->path_len, len = c->len, n = strlen(d->d_name);
		struct walk below = {.fd = -1};
		struct default_file unused;
		const struct rule *rule;

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0 ||
		    len + n + 2 > sizeof(c->source) || !push_name(b, d->d_name))
			continue;
		c->source[len] = '/';
		memcpy(c->source + len + 1, d->d_name, n + 1);
		c->len += 1 + n;
		rule = rules_enter(b->in->rules, &w->rules, d->d_name, &below.rules);
		if (!rule || (rule->verb != RULE_DENY && !(rule->verb == RULE_DEFAULT &&
							   default_bytes(b, rule, &unused) == 0)))
			r = add_copy(b, w, d->d_name, c, &below);
		c->len = len;
		c->source[len] = '\0';
		pop_name(b, before);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* Modes and times are those of the source, where no line says otherwise. */
static int add_copy(struct builder *b, const struct walk *w, const char *name, struct copying *c,
		    struct walk *below)
{
	const struct declared_path *here = declared_here(b);
	char target[PATH_MAX];
	struct index_entry e;
	struct stat st;
	ssize_t n;
	int r;

	if (!stat_source(b, c->source, &st) || b->copied > COPIES_MAX)
		return 0;
	b->copied += COPIES_ENTRY;
	e = entry_of(b, &st, INDEX_PRISTINE, INDEX_MADE);
	declare_owner(b, c->line, &e);
	if (here && declares(here, st.st_mode))
		declare(b, here, &e);
	switch (st.st_mode & S_IFMT) {
	case S_IFLNK:
		n = readlinkat(b->in->root, c->source + 1, target, sizeof(target) - 1);
		if (n <= 0)
			return 0;
		e.kind = INDEX_LINK;
		mark_done(b, here);
		return add_entry(b, w, name, &e, target, (size_t)n, NULL);
	case S_IFREG:
		r = packages_slurp(b->in->root, c->source + 1, COPY_MAX, &b->bytes);
		if (r < 0)
			return r == -ENOMEM ? r : 0;
		b->copied += b->bytes.len;
		mark_done(b, here);
		return add_entry(b, w, name, &e, b->bytes.data, b->bytes.len, NULL);
	case S_IFDIR:
		e.kind = INDEX_DIR;
		mark_done(b, here);
		r = add_entry(b, w, name, &e, NULL, 0, &below->dir);
		below->depth = w->depth + 1;
		below->pristine = true;
		if (r == 0 && w->depth < DEPTH_MAX)
			r = copy_folder(b, below, c);
		return r < 0 || w->depth == DEPTH_MAX ? r : add_made(b, below);
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

	mark_done(b, d);
	switch (d->kind) {
	case DECLARED_LINK:
		st.st_mode = S_IFLNK | 0777;
		e = entry_of(b, &st, INDEX_LINK, INDEX_MADE);
		return d->argument[0] ? index_writer_add(b->writer, w->dir, name, &e, d->argument,
							 strlen(d->argument), NULL)
				      : 0;
	case DECLARED_DIR:
		st.st_mode = S_IFDIR;
		e = entry_of(b, &st, INDEX_DIR, INDEX_MADE);
		declare(b, d, &e);
		r = add_entry(b, w, name, &e, NULL, 0, &below->dir);
		below->depth = w->depth + 1;
		below->pristine = true;
		return r < 0 || w->depth == DEPTH_MAX ? r : add_made(b, below);
	case DECLARED_COPY:
		copying.len = strlen(d->argument);
		memcpy(copying.source, d->argument, copying.len + 1);
		return add_copy(b, w, name, &copying, below);
	default:
		e = entry_of(b, &st, INDEX_PRISTINE, INDEX_MADE);
		declare(b, d, &e);
		return add_entry(b, w, name, &e, d->argument, strlen(d->argument), NULL);
	}
}

/* What no walk finds in this directory: files that rules make, and what packages declare. */
static int add_made(struct builder *b, const struct walk *w)
{
	int r = add_defaults(b, w);

	for (size_t i = 0; r == 0 && w->pristine && i < b->declared.n_paths; i++) {
		const struct declared_path *d = &b->declared.paths[i];
		size_t before = b->path_len;
		struct walk below = {.fd = -1};
		const struct rule *rule;

		if (b->done[i] || strncmp(d->path, b->path, before) != 0 ||
		    d->path[before] != '/' || strchr(d->path + before + 1, '/'))
			continue;
		rule = rules_enter(b->in->rules, &w->rules, d->path + before + 1, &below.rules);
		if ((rule && rule->verb == RULE_DENY) || !push_name(b, d->path + before + 1))
			continue;
		r = add_declared(b, w, d, &below);
		pop_name(b, before);
	}
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
	owned = push_name(b, name) && packages_owner(b->in->packages, b->path);
	pop_name(b, before);
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

	for (uint32_t i = index_first(dir); i < index_first(dir) + index_count(dir); i++) {
		const struct index_entry *e = &old->entries[i];
		char name[INDEX_NAME_MAX + 1];
		const char *text = NULL;
		size_t len = 0;
		int r;

		copy_name(b, e, name);
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
	return 0;
}

static int walk_dir(struct builder *b, const struct walk *w)
{
	const struct dirent *d;
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
	while (r == 0 && (d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			r = add_name(b, w, d->d_name);
	closedir(dir);
	return r < 0 ? r : add_made(b, w);
}

/* What is in a directory of that name. */
static int enter_dir(struct builder *b, const struct walk *w, const char *name,
		     const struct stat *st, struct walk *below)
{
	bool same = !below->pristine && below->old != NO_OLD &&
		    b->in->old->entries[below->old].mtime == nanoseconds(&st->st_mtim);
	int r;

	/* Most of them hold nothing that is looked at, and need not be opened. */
	if (same && !any_is_looked_at(b, below))
		return take_over(b, below);
	below->fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below->fd < 0)
		return add_made(b, below);
	r = same ? take_over(b, below) : walk_dir(b, below);
	close(below->fd);
	return r;
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
		w->old = in->old ? INDEX_ROOT : NO_OLD;
		rules_begin(in->rules, &w->rules);
		if (fstat(in->root, &st) < 0)
			r = -errno;
	}
	if (r == 0)
		r = prepare(b);
	if (r == 0) {
		b->uid = st.st_uid;
		b->gid = st.st_gid;
		r = walk_dir(b, w);
	}
	if (r == 0)
		r = index_writer_finish(b->writer, in->head, out, len);
	if (b) {
		index_writer_free(b->writer);
		declared_fini(&b->declared);
		accounts_fini(&b->accounts);
		free(b->done);
		free(b->bytes.data);
	}
	free(b);
	free(w);
	return r;
}
