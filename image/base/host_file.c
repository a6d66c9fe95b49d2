/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/build_priv.h"

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
		if (b->bytes.len > BUILD_COPY_MAX)
			return -EFBIG;
	}
	return 0;
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
		return build_add_bytes(b, w, name, st, INDEX_AS_FOUND);
	r = p->kind->original(p, package, b->path, BUILD_COPY_MAX, &b->bytes);
	if (r == 0)
		return build_add_bytes(b, w, name, st, INDEX_FROM_PACKAGE);
	if (r == -ENOMEM)
		return r;
	return build_leave_out(b, w, name, st,
			       readable ? INDEX_LEFT_CHANGED : INDEX_LEFT_UNREADABLE, NULL);
}

int build_add_file(struct builder *b, const struct walk *w, const char *name, const struct stat *st,
		   const struct rule *rule)
{
	const struct package *owner = packages_owner(b->in->packages, b->path);
	bool by_rule = rule && (rule->verb == RULE_SHARE || rule->verb == RULE_COPY);
	struct index_entry e = build_entry(b, st, INDEX_SHARED, INDEX_AS_FOUND);
	int r;

	if (w->pristine && !by_rule && packages_conffile(b->in->packages, b->path))
		return add_pristine(b, w, name, st, NULL);
	if (!by_rule && !owner)
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNOWNED, NULL);
	if (w->pristine && !by_rule)
		return add_pristine(b, w, name, st, owner);
	if (!(st->st_mode & S_IROTH))
		return build_leave_out(b, w, name, st, INDEX_LEFT_UNREADABLE, NULL);
	if (by_rule && rule->verb == RULE_COPY) {
		r = read_bytes(b, w, name);
		if (r == 0)
			return build_add_bytes(b, w, name, st, INDEX_AS_FOUND);
		if (r != -EFBIG)
			return r == -ENOMEM ? r
					    : build_leave_out(b, w, name, st, INDEX_LEFT_UNREADABLE,
							      NULL);
	}
	return index_writer_add(b->writer, w->dir, name, &e, NULL, 0, NULL);
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
