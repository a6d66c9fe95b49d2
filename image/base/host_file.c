/* SPDX-License-Identifier: MIT */
/*
 * DOC: whose bytes a file has
 *
 * A file that a package owns is in the image if it is still the package's. Below /etc and /var, and
 * where its times say that somebody may have written to it, its checksum is compared; a changed file is
 * replaced by the package's, if that is at hand, or left out. A file that only a rule lets in has nobody
 * to vouch for it, so content.c looks into it: as configuration if it is copied or has the name of
 * configuration, else for keys. For keys it looks into what packages have in /etc, too: a company's
 * own package may bring them.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/md5.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/build_priv.h"
#include "image/base/content.h"
#include "image/base/filter.h"
#include "image/base/tree_file.h"

#define READ_ALL_MAX (32ull << 30)

enum {
	READ_MAX = 1 << 30,
	LOOK_MAX = 64 << 20, /* a larger file is not looked into, and so not copied */
	KEY_FILE_MAX = 256 << 10, /* of a shared file: no key or token stands in a larger one */
	CHUNK = 65536,
};

/* Opens the very file that was looked at; -ESTALE if another has its name by now. */
static int open_same(const struct walk *w, const char *name, const struct stat *st)
{
	struct stat now;
	AUTO_CLOSE int fd = tree_open(w->fd, name, TREE_NONE, &now);

	if (fd < 0)
		return fd;
	if (now.st_ino != st->st_ino || now.st_mode != st->st_mode || now.st_size != st->st_size)
		return -ESTALE;
	return steal_fd(&fd);
}

/*
 * The same to read it whole. Files with holes are as large as one likes: -EFBIG beyond READ_MAX of one,
 * and of all beyond what is read of a system whose every file is compared.
 */
static int open_whole(struct builder *b, const struct walk *w, const char *name,
		      const struct stat *st)
{
	if (st->st_size > READ_MAX || b->read > READ_ALL_MAX)
		return -EFBIG;
	b->read += (uint64_t)st->st_size;
	return open_same(w, name, st);
}

/* The file's bytes into b->bytes; -EFBIG beyond `max`. */
static int read_bytes(struct builder *b, const struct walk *w, const char *name,
		      const struct stat *st, size_t max)
{
	AUTO_CLOSE int fd = open_whole(b, w, name, st);
	ssize_t n = 1;

	b->bytes.len = 0;
	if (fd < 0)
		return fd;
	while (n > 0) {
		if (buffer_reserve(&b->bytes, CHUNK) < 0)
			return -ENOMEM;
		n = read(fd, b->bytes.data + b->bytes.len, CHUNK);
		if (n < 0)
			return -errno;
		b->bytes.len += (size_t)n;
		if (b->bytes.len > max)
			return -EFBIG;
	}
	return 0;
}

/* Compares a file without keeping it. */
static bool has_md5(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, const uint8_t md5[PACKAGES_MD5])
{
	AUTO_CLOSE int fd = open_whole(b, w, name, st);
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx ctx;
	ssize_t n;

	b->bytes.len = 0;
	if (fd < 0 || buffer_reserve(&b->bytes, CHUNK) < 0)
		return false;
	md5_init(&ctx);
	while ((n = read(fd, b->bytes.data, CHUNK)) > 0)
		md5_update(&ctx, (size_t)n, (const uint8_t *)b->bytes.data);
	md5_digest(&ctx, sizeof(digest), digest);
	return n == 0 && memcmp(digest, md5, sizeof(digest)) == 0;
}

/* True for a rule of the user's own: they say what is in the file. */
static bool is_users(const struct builder *b, const struct rule *rule)
{
	return rule && (size_t)(rule - b->in->rules->list) < b->in->rules->n_own;
}

static int share(struct builder *b, const struct walk *w, const char *name, const struct stat *st)
{
	struct index_entry e = build_entry(b, st, INDEX_SHARED, INDEX_AS_FOUND);

	return index_writer_add(b->writer, w->dir, name, &e, NULL, 0, NULL);
}

/* The package's bytes instead of the host's. `md5` NULL: the package has none for it. */
static int add_original(struct builder *b, const struct walk *w, const char *name,
			const struct stat *st, uint32_t package, const uint8_t *md5)
{
	const struct packages *p = b->in->packages;
	int r = p->kind->original(p, package, b->path, BUILD_COPY_MAX, &b->bytes);

	/* The archive is the tree's, which may have put anything there. */
	if (r == 0 && (!md5 || packages_has_md5(&b->bytes, md5)) &&
	    !content_has_key(b->bytes.data, b->bytes.len))
		return build_add_bytes(b, w, name, st, INDEX_FROM_PACKAGE);
	if (r == -ENOMEM)
		return r;
	return build_leave_out(b, w, name, st,
			       st->st_mode & S_IROTH ? INDEX_LEFT_CHANGED : INDEX_LEFT_UNREADABLE,
			       NULL);
}

/* A file below /etc or /var that a package owns: as the package has it, or not at all. */
static int add_pristine(struct builder *b, const struct walk *w, const char *name,
			const struct stat *st, const struct package *owner)
{
	const struct packages *p = b->in->packages;
	const struct package_conffile *conf = packages_conffile(p, b->path);
	uint32_t package = conf ? conf->package : (uint32_t)(owner - p->list);
	uint8_t md5[PACKAGES_MD5];
	bool known = true;

	if (conf)
		memcpy(md5, conf->md5, sizeof(md5));
	else
		known = p->kind->md5(p, package, b->path, md5) == 0;
	if (known && st->st_mode & S_IROTH && read_bytes(b, w, name, st, BUILD_COPY_MAX) == 0 &&
	    packages_has_md5(&b->bytes, md5))
		return content_has_key(b->bytes.data, b->bytes.len)
			       ? build_leave_out(b, w, name, st, INDEX_LEFT_SECRET, NULL)
			       : build_add_bytes(b, w, name, st, INDEX_AS_FOUND);
	return add_original(b, w, name, st, package, known ? md5 : NULL);
}

struct profile_reader {
	struct package_reader base;
	struct buffer *out;
};

static int add_profile(struct package_reader *base, const char *text, size_t len)
{
	return buffer_add(CONTAINER_OF(base, struct profile_reader, base)->out, text, len);
}

/* The texts of /usr/share/pam-configs, read once. -ENOMEM. */
static int read_profiles(struct builder *b)
{
	struct profile_reader reader = {{add_profile}, &b->profiles};
	int r;

	if (b->profiles.data)
		return 0;
	r = packages_read_dir(b->in->packages, "usr/share/pam-configs", "", &reader.base);
	/* So that it is not read again where there are none. */
	return r < 0 ? r : buffer_add(&b->profiles, "\n", 1);
}

/* What PAM does where nobody has configured it, for a file whose lines are not all packages'. */
static int make_pam(struct builder *b, const char *name)
{
	static const char *const types[] = {"account", "auth", "password", "session"};
	static const char module[] = " required pam_unix.so\n";

	b->bytes.len = 0;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		size_t n = strlen(types[i]);

		if (strncmp(name, "common-", 7) != 0 || strncmp(name + 7, types[i], n) != 0)
			continue;
		if (buffer_add(&b->bytes, types[i], n) < 0)
			return -ENOMEM;
		return buffer_add(&b->bytes, module, sizeof(module) - 1);
	}
	return -ENOENT;
}

/* Changes b->bytes as the rule wants it. 0 or 1: it was made anew; -ENOENT: it is not to be had. */
static int apply(struct builder *b, const char *name, enum rule_check check)
{
	int r;

	if (check == RULE_APT)
		return filter_apt(&b->bytes);
	if (check != RULE_PAM)
		return 0;
	r = read_profiles(b);
	if (r < 0 || filter_pam(&b->bytes, b->profiles.data, b->profiles.len))
		return r;
	r = make_pam(b, name);
	return r == 0 ? 1 : r;
}

/* There are packages' descriptions, in prose that speaks of passwords. */
static bool is_prose(const struct builder *b)
{
	return strncmp(b->path, "/var/lib/dpkg/", 14) == 0 ||
	       strncmp(b->path, "/var/lib/apt/", 13) == 0;
}

/* As its name says. The endings of translations are not among them: those speak of passwords, too. */
static bool is_configuration(const char *name)
{
	static const char *const ends[] = {".conf", ".cnf",  ".cfg", ".config",
					   ".ini",  ".toml", ".env", ".rc"};
	size_t n = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t more = strlen(ends[i]);

		if (n > more && strcasecmp(name + n - more, ends[i]) == 0)
			return true;
	}
	return false;
}

/* A file whose bytes a rule has copied; one too large for that is shared. */
static int add_copied(struct builder *b, const struct walk *w, const char *name,
		      const struct stat *st, const struct rule *rule)
{
	bool large = st->st_size > BUILD_COPY_MAX;
	int r = read_bytes(b, w, name, st, LOOK_MAX), made = 0;

	if (r == 0 && large && rule->check != RULE_ANY_FILE)
		r = -EFBIG;
	if (r == 0)
		made = apply(b, name, rule->check);
	if (r == -ENOMEM || made == -ENOMEM)
		return -ENOMEM;
	if (r < 0)
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNREADABLE, NULL);
	if (made < 0 ||
	    (!is_users(b, rule) && (is_prose(b) ? content_has_key(b->bytes.data, b->bytes.len)
						: content_is_secret(b->bytes.data, b->bytes.len))))
		return build_leave_out(b, w, name, st, INDEX_LEFT_SECRET, NULL);
	return large ? share(b, w, name, st)
		     : build_add_bytes(b, w, name, st, made ? INDEX_FROM_MASTER : INDEX_AS_FOUND);
}

/*
 * True if the compiled file says that it was made of this source: of its time and size, as Python
 * itself compares them (PEP 552). What was made of another text has that one's constants. One that
 * names a hash instead is not believed.
 */
static bool is_made_of(const struct walk *w, const char *name, const struct stat *st,
		       const struct index_entry *source)
{
	AUTO_CLOSE int fd = open_same(w, name, st);
	uint32_t head[4]; /* magic, flags, seconds, bytes */

	return fd >= 0 && pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       head[1] == 0 && le32toh(head[2]) == (uint32_t)(source->mtime / 1000000000) &&
	       le32toh(head[3]) == (uint32_t)source->size;
}

/*
 * X.cpython-311.pyc of a directory __pycache__: true if the image has X.py beside that as a
 * shared file, and this was made of it. The walk comes to __pycache__ last.
 */
static bool has_source(const struct builder *b, const struct walk *w, const char *name,
		       const struct stat *st)
{
	const char *tag = strchr(name, '.');
	char source[NAME_MAX + 1];
	const struct index_entry *e;
	size_t n;

	while (tag && strncmp(tag, ".cpython-", 9) != 0 && strncmp(tag, ".pypy", 5) != 0)
		tag = strchr(tag + 1, '.');
	n = tag ? (size_t)(tag - name) : 0;
	if (n == 0 || n + 4 > sizeof(source))
		return false;
	memcpy(source, name, n);
	memcpy(source + n, ".py", 4);
	e = index_writer_find(b->writer, w->above, source);
	return e && e->kind == INDEX_SHARED && is_made_of(w, name, st, e);
}

/* True for an executable file that is a program or a script. */
static bool is_program(const struct walk *w, const char *name, const struct stat *st)
{
	AUTO_CLOSE int fd = -1;
	char head[4];

	if (!(st->st_mode & S_IXOTH))
		return false;
	fd = open_same(w, name, st);
	return fd >= 0 && pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       (memcmp(head, "\177ELF", 4) == 0 || memcmp(head, "#!", 2) == 0);
}

/* A file that is shared though no package owns it. */
static int add_local(struct builder *b, const struct walk *w, const char *name,
		     const struct stat *st, enum rule_check check)
{
	if ((check == RULE_PYTHON && !has_source(b, w, name, st)) ||
	    (check == RULE_PROGRAM && !is_program(w, name, st)))
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	if (check == RULE_PYTHON || st->st_size > KEY_FILE_MAX)
		return share(b, w, name, st);
	if (read_bytes(b, w, name, st, KEY_FILE_MAX) < 0)
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNREADABLE, NULL);
	if (is_configuration(name) ? content_is_secret(b->bytes.data, b->bytes.len)
				   : content_has_key(b->bytes.data, b->bytes.len))
		return build_leave_out(b, w, name, st, INDEX_LEFT_SECRET, NULL);
	return share(b, w, name, st);
}

/* A package's file elsewhere: shared, unless it was changed by others than the tool whose tree it is in. */
static int add_packaged(struct builder *b, const struct walk *w, const char *name,
			const struct stat *st, const struct package *owner, const struct rule *rule)
{
	const struct packages *p = b->in->packages;
	uint8_t md5[PACKAGES_MD5];
	enum packages_verdict verdict = packages_judge(p, owner, b->path, st, md5);

	if (verdict == PACKAGES_SAME ||
	    (verdict == PACKAGES_COMPARE && has_md5(b, w, name, st, md5)))
		return share(b, w, name, st);
	if (rule && rule->check == RULE_TREE)
		return add_local(b, w, name, st, RULE_TREE);
	return add_original(b, w, name, st, (uint32_t)(owner - p->list),
			    verdict == PACKAGES_COMPARE ? md5 : NULL);
}

int build_add_file(struct builder *b, const struct walk *w, const char *name, const struct stat *st,
		   const struct rule *rule)
{
	const struct package *owner = packages_owner(b->in->packages, b->path);
	bool by_rule = rule && (rule->verb == RULE_SHARE || rule->verb == RULE_COPY);

	if (w->pristine && !by_rule && packages_conffile(b->in->packages, b->path))
		return add_pristine(b, w, name, st, NULL);
	if (!by_rule && !owner)
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	if (w->pristine && !by_rule)
		return add_pristine(b, w, name, st, owner);
	if (!(st->st_mode & S_IROTH))
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNREADABLE, NULL);
	if (by_rule && rule->verb == RULE_COPY)
		return add_copied(b, w, name, st, rule);
	if (is_users(b, rule) && rule->check == RULE_ANY_FILE)
		return share(b, w, name, st);
	return owner ? add_packaged(b, w, name, st, owner, rule)
		     : add_local(b, w, name, st, rule->check);
}

int build_add_link(struct builder *b, const struct walk *w, const char *name, const struct stat *st,
		   const struct rule *rule)
{
	struct index_entry e = build_entry(b, st, INDEX_LINK, INDEX_AS_FOUND);
	bool by_rule = rule && (rule->verb == RULE_SHARE || rule->verb == RULE_COPY ||
				rule->verb == RULE_LINKS);
	char target[PATH_MAX];
	ssize_t n;

	if (!by_rule && !packages_owner(b->in->packages, b->path))
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	n = readlinkat(w->fd, name, target, sizeof(target) - 1);
	if (n <= 0)
		return build_leave_out(b, w, name, st, INDEX_LEFT_SPECIAL, NULL);
	return index_writer_add(b->writer, w->dir, name, &e, target, (size_t)n, NULL);
}
