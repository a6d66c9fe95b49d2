/* SPDX-License-Identifier: MIT */
#include "image/packages.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <nettle/md5.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "image/index.h"

/* Components and links of one path: this much stack a malformed database may cost. */
enum { RESOLVE_DEPTH = 128 };

static const struct package_kind *const kinds[] = {&package_kind_dpkg};

const struct package_kind *packages_kind(int root)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (faccessat(root, kinds[i]->probe, R_OK, 0) == 0)
			return kinds[i];
	return NULL;
}

int packages_slurp(int root, const char *path, size_t max, struct buffer *out)
{
	/* Links lead into the tree, wherever they point. */
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	struct stat st;
	ssize_t n = 1;
	int r;

	out->len = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size < 0 || (uint64_t)st.st_size > max)
		return -EFBIG;
	while (n > 0) {
		r = buffer_reserve(out, out->len == 0 ? (size_t)st.st_size + 2 : 4096);
		if (r < 0)
			return r;
		n = read(fd, out->data + out->len, out->room - out->len - 1);
		if (n < 0)
			return -errno;
		out->len += (size_t)n;
		if (out->len > max)
			return -EFBIG;
	}
	out->data[out->len] = '\0';
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool packages_parse_md5(const char *text, size_t len, uint8_t out[PACKAGES_MD5])
{
	if (len != 2 * (size_t)PACKAGES_MD5)
		return false;
	for (size_t i = 0; i < PACKAGES_MD5; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool packages_has_md5(const struct buffer *bytes, const uint8_t md5[PACKAGES_MD5])
{
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx ctx;

	md5_init(&ctx);
	md5_update(&ctx, bytes->len, (const uint8_t *)bytes->data);
	md5_digest(&ctx, sizeof(digest), digest);
	return memcmp(digest, md5, sizeof(digest)) == 0;
}

static int compare_paths(const void *a, const void *b)
{
	const struct package_conffile *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static int compare_conffiles(const void *a, const void *b)
{
	const struct package_conffile *x = a, *y = b;
	int r = compare_paths(a, b);

	return r ? r : x->made - y->made;
}

/* Of several for one path the first. */
static void sort_conffiles(struct packages *p)
{
	size_t n = 0;

	if (p->n_conffiles)
		qsort(p->conffiles, p->n_conffiles, sizeof(*p->conffiles), compare_conffiles);
	for (size_t i = 0; i < p->n_conffiles; i++) {
		if (n > 0 && strcmp(p->conffiles[n - 1].path, p->conffiles[i].path) == 0)
			free(p->conffiles[i].path);
		else
			p->conffiles[n++] = p->conffiles[i];
	}
	p->n_conffiles = n;
}

int packages_read(int root, struct packages **out)
{
	const struct package_kind *kind = packages_kind(root);
	struct packages *p;
	int r;

	if (!kind)
		return -ENOENT;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->kind = kind;
	p->root = root;
	r = kind->read(p);
	if (r < 0) {
		packages_free(p);
		return r;
	}
	sort_conffiles(p);
	*out = p;
	return 0;
}

static void package_fini(const struct package *package)
{
	free(package->name);
	free(package->version);
	free(package->arch);
	free(package->file);
}

void packages_free(struct packages *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		package_fini(&p->list[i]);
	for (size_t i = 0; i < p->n_conffiles; i++)
		free(p->conffiles[i].path);
	free(p->list);
	free(p->conffiles);
	free(p->paths.data);
	free(p->owners);
	free(p->dirs.data);
	free(p->dir_slots);
	free(p);
}

/* Room for one more in an array that doubles. */
static int grow(void **array, size_t n, size_t *room, size_t size)
{
	size_t more = *room ? 2 * *room : 64;
	void *p;

	if (n < *room)
		return 0;
	p = reallocarray(*array, more, size);
	if (!p)
		return -ENOMEM;
	*array = p;
	*room = more;
	return 0;
}

int packages_add(struct packages *p, const struct package *package)
{
	void *list = p->list;

	if (!package->name || !package->version || !package->arch || !package->file ||
	    grow(&list, p->n, &p->room, sizeof(*p->list)) < 0) {
		package_fini(package);
		return -ENOMEM;
	}
	p->list = list;
	p->list[p->n++] = *package;
	return 0;
}

/* Hash tables: offsets of strings in a buffer, open addressing, at most half full. */

static uint64_t hash(const char *s, size_t len)
{
	return index_checksum(s, len);
}

/* The resolved form of a directory seen before, or NULL. */
static const char *dir_known(const struct packages *p, const char *dir, size_t len)
{
	if (!p->n_dir_slots)
		return NULL;
	for (size_t i = hash(dir, len);; i++) {
		uint32_t at = p->dir_slots[i & (p->n_dir_slots - 1)];
		const char *s;

		if (!at)
			return NULL;
		s = p->dirs.data + at - 1;
		if (strncmp(s, dir, len) == 0 && s[len] == '\0')
			return s + len + 1;
	}
}

static int dir_slots_grow(struct packages *p)
{
	size_t n = p->n_dir_slots ? 2 * p->n_dir_slots : 1024;
	uint32_t *slots;

	if (2 * (p->n_dirs + 1) <= p->n_dir_slots)
		return 0;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_dir_slots; i++) {
		const char *s = p->dirs.data + p->dir_slots[i] - 1;
		size_t k;

		if (!p->dir_slots[i])
			continue;
		for (k = hash(s, strlen(s)); slots[k & (n - 1)]; k++)
			;
		slots[k & (n - 1)] = p->dir_slots[i];
	}
	free(p->dir_slots);
	p->dir_slots = slots;
	p->n_dir_slots = n;
	return 0;
}

static int dir_note(struct packages *p, const char *dir, size_t len, const char *resolved)
{
	uint32_t at = (uint32_t)p->dirs.len + 1;
	size_t i;
	int r = p->dirs.len > UINT32_MAX / 2 ? -EFBIG : dir_slots_grow(p);

	if (r == 0)
		r = buffer_reserve(&p->dirs, len + strlen(resolved) + 2);
	if (r < 0)
		return r;
	(void)buffer_add(&p->dirs, dir, len);
	(void)buffer_add(&p->dirs, "", 1);
	(void)buffer_add(&p->dirs, resolved, strlen(resolved) + 1);
	for (i = hash(dir, len); p->dir_slots[i & (p->n_dir_slots - 1)]; i++)
		;
	p->dir_slots[i & (p->n_dir_slots - 1)] = at;
	p->n_dirs++;
	return 0;
}

static int resolve(struct packages *p, const char *dir, size_t len, unsigned int depth, char *out);

/* What the link at `path` (absolute, its directories resolved) leads to, resolved. */
static int resolve_link(struct packages *p, const char *path, const char *target,
			unsigned int depth, char *out)
{
	char joined[2 * PATH_MAX];
	size_t up = (size_t)(strrchr(path, '/') - path);
	int n = target[0] == '/'
			? snprintf(joined, sizeof(joined), "%s", target)
			: snprintf(joined, sizeof(joined), "%.*s/%s", (int)up, path, target);

	if (n < 0 || n >= PATH_MAX)
		return -ENAMETOOLONG;
	return resolve(p, joined, (size_t)n, depth + 1, out);
}

/*
 * An absolute directory with its links resolved below root, into out[PATH_MAX];
 * "" for the root. Components that do not exist stay as they are.
 */
static int resolve(struct packages *p, const char *dir, size_t len, unsigned int depth, char *out)
{
	const char *known;
	char target[PATH_MAX];
	size_t name, n;
	ssize_t got;
	int r;

	while (len > 0 && dir[len - 1] == '/')
		len--;
	if (len == 0) {
		out[0] = '\0';
		return 0;
	}
	known = dir_known(p, dir, len);
	if (known) {
		memcpy(out, known, strlen(known) + 1);
		return 0;
	}
	if (depth > RESOLVE_DEPTH || len >= PATH_MAX)
		return -ELOOP;
	for (name = len; name > 0 && dir[name - 1] != '/'; name--)
		;
	if (name == 0)
		return -EBADMSG;
	r = resolve(p, dir, name - 1, depth + 1, out);
	if (r < 0)
		return r;
	n = strlen(out);
	if (len - name == 2 && memcmp(dir + name, "..", 2) == 0) {
		/* The root's parent is the root. */
		*(n ? strrchr(out, '/') : out) = '\0';
	} else if (len - name != 1 || dir[name] != '.') {
		if (n + 1 + len - name >= PATH_MAX)
			return -ENAMETOOLONG;
		out[n] = '/';
		memcpy(out + n + 1, dir + name, len - name);
		out[n + 1 + len - name] = '\0';
		got = readlinkat(p->root, out + 1, target, sizeof(target) - 1);
		if (got > 0) {
			target[got] = '\0';
			r = resolve_link(p, out, target, depth, out);
			if (r < 0)
				return r;
		}
	}
	return dir_note(p, dir, len, out);
}

static const struct package_owner *find_owner(const struct packages *p, const char *path)
{
	if (!p->n_slots)
		return NULL;
	for (size_t i = hash(path, strlen(path));; i++) {
		const struct package_owner *o = &p->owners[i & (p->n_slots - 1)];

		if (!o->path)
			return NULL;
		if (strcmp(p->paths.data + o->path - 1, path) == 0)
			return o;
	}
}

static int owners_grow(struct packages *p)
{
	size_t n = p->n_slots ? 2 * p->n_slots : 1 << 16;
	struct package_owner *slots;

	if (2 * (p->n_owners + 1) <= p->n_slots)
		return 0;
	slots = calloc(n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_slots; i++) {
		const char *s = p->paths.data + p->owners[i].path - 1;
		size_t k;

		if (!p->owners[i].path)
			continue;
		for (k = hash(s, strlen(s)); slots[k & (n - 1)].path; k++)
			;
		slots[k & (n - 1)] = p->owners[i];
	}
	free(p->owners);
	p->owners = slots;
	p->n_slots = n;
	return 0;
}

/* Resolves the directories of a path; the last component is taken as it is. */
static int resolve_path(struct packages *p, const char *path, size_t len, char *out)
{
	size_t name = len, n;
	int r;

	if (len < 2 || len >= PATH_MAX || path[0] != '/' || memchr(path, '\0', len))
		return -EBADMSG;
	while (path[name - 1] != '/')
		name--;
	r = name == len ? -EBADMSG : resolve(p, path, name - 1, 0, out);
	if (r < 0)
		return r;
	n = strlen(out);
	if (n + 1 + len - name >= PATH_MAX)
		return -ENAMETOOLONG;
	out[n] = '/';
	memcpy(out + n + 1, path + name, len - name);
	out[n + 1 + len - name] = '\0';
	return 0;
}

/* 1: it is new. */
static int add_owner(struct packages *p, uint32_t package, const char *real)
{
	size_t i;
	int r;

	if (find_owner(p, real))
		return 0;
	r = p->paths.len > UINT32_MAX / 2 ? -EFBIG : owners_grow(p);
	if (r < 0)
		return r;
	for (i = hash(real, strlen(real)); p->owners[i & (p->n_slots - 1)].path; i++)
		;
	p->owners[i & (p->n_slots - 1)] =
		(struct package_owner){(uint32_t)p->paths.len + 1, package};
	p->n_owners++;
	r = buffer_add(&p->paths, real, strlen(real) + 1);
	return r < 0 ? r : 1;
}

int packages_own(struct packages *p, uint32_t package, const char *path, size_t len)
{
	char real[PATH_MAX];
	int r = resolve_path(p, path, len, real);

	/* A path that leads nowhere is owned by nobody. */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	/*
	 * The directories above as well: they were listed by the names that their
	 * links have (/lib64 for /usr/lib64).
	 */
	while (real[0] && (r = add_owner(p, package, real)) > 0)
		*strrchr(real, '/') = '\0';
	return r < 0 ? r : 0;
}

int packages_add_conffile(struct packages *p, uint32_t package, const char *path, size_t len,
			  const uint8_t md5[PACKAGES_MD5], bool made)
{
	char real[PATH_MAX];
	struct package_conffile *c;
	void *list = p->conffiles;
	int r = resolve_path(p, path, len, real);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	r = grow(&list, p->n_conffiles, &p->room_conffiles, sizeof(*c));
	if (r < 0)
		return r;
	p->conffiles = list;
	c = &p->conffiles[p->n_conffiles];
	c->path = strdup(real);
	if (!c->path)
		return -ENOMEM;
	memcpy(c->md5, md5, sizeof(c->md5));
	c->package = package;
	c->made = made;
	p->n_conffiles++;
	return 0;
}

const struct package *packages_owner(const struct packages *p, const char *path)
{
	const struct package_owner *o = find_owner(p, path);

	return o && o->package < p->n ? &p->list[o->package] : NULL;
}

const struct package_conffile *packages_conffile(const struct packages *p, const char *path)
{
	/* Only compared by. NOLINTNEXTLINE(clang-diagnostic-cast-qual) */
	struct package_conffile key = {.path = (char *)(uintptr_t)path};

	return p->n_conffiles
		       ? bsearch(&key, p->conffiles, p->n_conffiles, sizeof(key), compare_paths)
		       : NULL;
}
